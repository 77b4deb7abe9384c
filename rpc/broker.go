package rpc

import (
	"bytes"
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/sourcegraph/jsonrpc2"
)

// ask is one question to the parent. It travels with the library's request as
// an extra field, so that the hooks of the stream find it.
type ask struct {
	method string
	params []byte
	id     uint64      // set while it is sent
	answer chan answer // room for one; the library delivers once
}

type answer struct {
	result jsontext.Value
	err    *Error
}

func askOf(req *jsonrpc2.Request) *ask { return req.ExtraFields[0].Value.(*ask) }

// deliver copies the answer out of the line and hands it over. It does not
// block, whether anybody still waits or not.
func (a *ask) deliver(result []byte, failed *Error) {
	ans := answer{err: failed}
	if failed == nil {
		ans.result = bytes.Clone(result)
	}
	a.answer <- ans
}

// Ask sends a request to the parent and waits for the answer, whose result is
// returned as it came. Ids count from 0 and are never used again; the id is
// returned whatever came of the question, and is -1 where it was never sent. An
// error answer is returned as *[Error]. Where ctx ends first its error is returned,
// and a late answer is dropped. [ErrClosed] is returned at once when the input
// has ended or the connection shuts down.
//
// Asks do not wait for room in the outbox. Before Run has started they wait
// for that. Ask may be called from any goroutine but the dispatcher's, that is
// not from an inline handler, which would wait for a line that only it can
// read.
func (c *Conn) Ask(ctx context.Context, method string, params any) (id int64, result jsontext.Value, err error) {
	a := &ask{method: method, answer: make(chan answer, 1)}
	if params != nil {
		if a.params, err = json.Marshal(params, wireOptions); err != nil {
			return -1, nil, fmt.Errorf("rpc: params of %s: %w", method, err)
		}
	}
	if err := c.started(ctx); err != nil {
		return -1, nil, err
	}
	select {
	case <-c.noAnswers:
		return -1, nil, ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return -1, nil, err // nobody would read the answer
	}
	if _, err := c.peer.DispatchCall(ctx, method, nil, jsonrpc2.ExtraField(lineField, a)); err != nil {
		return -1, nil, ErrClosed
	}
	result, err = c.wait(ctx, a)
	return int64(a.id), result, err
}

// wait waits for the answer to a question that was sent.
func (c *Conn) wait(ctx context.Context, a *ask) (jsontext.Value, error) {
	select {
	case ans := <-a.answer:
		return ans.take()
	case <-ctx.Done():
	case <-c.noAnswers:
	}
	select { // an answer that is there wins over all else
	case ans := <-a.answer:
		return ans.take()
	default:
	}
	c.stream.abandon(a.id)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, ErrClosed
}

func (a answer) take() (jsontext.Value, error) {
	if a.err != nil {
		return nil, a.err
	}
	return a.result, nil
}
