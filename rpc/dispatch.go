package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/sourcegraph/jsonrpc2"
	"go.uber.org/zap"
)

// dispatcher is the library's handler. It runs on the reading goroutine and
// takes the message from the stream; the library's request is a stub.
type dispatcher struct{ c *Conn }

func (d dispatcher) Handle(context.Context, *jsonrpc2.Conn, *jsonrpc2.Request) {
	if m := &d.c.stream.cur; m.kind == kindRequest {
		d.c.request(m)
	} else {
		d.c.notification(m)
	}
}

// request looks a request up, decodes it and puts it on its lane.
func (c *Conn) request(m *message) {
	if c.draining.Load() {
		c.send(m.id, errDraining)
		return
	}
	e := c.mux.entries[string(m.method)]
	if e == nil || e.run == nil {
		var err error
		if !c.guard(string(m.method), func() { err = c.mux.hooks.Unknown(string(m.method)) }) {
			err = errInternal
		}
		c.send(m.id, c.failure(err))
		return
	}
	call := &call{entry: e, id: bytes.Clone(m.id), size: int64(m.size)}
	var key string
	var err error
	ok := c.guard(e.method, func() {
		if call.params, err = c.mux.prepare(e, m.params); err == nil && e.key != nil {
			key = e.key(call.params)
		}
	})
	switch {
	case !ok:
		c.send(m.id, errInternal)
	case err != nil:
		c.send(m.id, c.failure(err))
	case e.inline:
		c.serveIn(c.inline, call)
	default:
		if refused := c.lanes.add(call, key, e.key != nil); refused != nil {
			c.log.Debug("request refused", zap.String("method", e.method), zap.String("why", refused.Message))
			c.send(m.id, refused)
		}
	}
}

// notification runs a notification's handler; what is unknown or refused is
// dropped, as there is nobody to tell.
func (c *Conn) notification(m *message) {
	e := c.mux.entries[string(m.method)]
	if e == nil || e.note == nil || c.draining.Load() {
		c.log.Debug("notification ignored")
		return
	}
	c.guard(e.method, func() {
		p, err := c.mux.prepare(e, m.params)
		if err != nil {
			c.log.Debug("notification refused", zap.String("method", e.method))
			return
		}
		e.note(c.inline, p)
	})
}

// serve runs one request on its lane.
func (c *Conn) serve(call *call) { c.serveIn(c.handlers, call) }

// serveIn runs the handler, answers, and runs what is to follow. A handler that
// returns a rest is not answered yet: the request leaves its lane and comes here
// again.
func (c *Conn) serveIn(ctx context.Context, call *call) {
	if call.isAnswered() {
		return // given up by a shutdown
	}
	var result any
	var then Then
	var err error
	// Deferred, because a handler may end its goroutine.
	ok := false
	defer func() {
		if !ok {
			c.answer(call, nil, errInternal)
		}
	}()
	if ok = c.guard(call.entry.method, func() { result, then, err = call.run(ctx) }); !ok {
		return
	}
	if call.leaves {
		return
	}
	if err != nil {
		c.answer(call, nil, c.failure(err))
		return
	}
	if opens := call.entry.opens; opens != nil && then != nil {
		release := func() {}
		c.guard(call.entry.method, func() { release = c.lanes.hold(call, opens(result)) })
		defer release()
	}
	if c.answer(call, result, nil) && then != nil {
		c.guard(call.entry.method, then)
	}
}

// answer sends the response, if nobody has answered before, and reports
// whether it is a result and on its way.
func (c *Conn) answer(call *call, result any, failed *Error) bool {
	if failed != nil {
		call.respond(func() { c.send(call.id, failed) })
		return false
	}
	buf := c.buffer()
	var err error
	// Guarded: encoding runs methods of the result. It may take long, so that a
	// shutdown can be quicker.
	ok := c.guard(call.entry.method, func() { err = encodeResult(buf, call.id, result) })
	if !ok || err != nil {
		if err != nil {
			// Not the text of the error: it may quote the result.
			c.log.Error("result cannot be encoded", zap.String("method", call.entry.method), zap.String("type", fmt.Sprintf("%T", result)))
		}
		call.respond(func() { c.send(call.id, errInternal) })
		return false
	}
	first := call.respond(func() { err = c.sendLine(buf.Bytes()) })
	c.recycle(buf)
	return first && err == nil
}

// send answers with an error. id is JSON text.
func (c *Conn) send(id []byte, failed *Error) {
	// A closed connection means that there is nobody left to tell.
	_ = c.sendLine(appendFailure(nil, id, failed))
}

// sendLine passes a response through the library, which needs none of its
// parts.
func (c *Conn) sendLine(line []byte) error {
	return c.peer.SendResponse(context.Background(), &jsonrpc2.Response{Result: (*json.RawMessage)(&line)})
}

// failure is Hooks.Error, guarded.
func (c *Conn) failure(err error) (e *Error) {
	if !c.guard("", func() { e = c.mux.failure(err) }) {
		return errInternal
	}
	return e
}

// guard runs f and reports whether it returned. A panic is logged and ends
// there: one broken request must not take the parent's other work along.
func (c *Conn) guard(method string, f func()) (ok bool) {
	defer func() {
		if ok {
			return
		}
		if v := recover(); v != nil {
			c.logPanic("handler panicked", method, v)
		} else {
			c.log.Error("handler ended its goroutine", zap.String("method", method))
		}
	}()
	f()
	return true
}

// logPanic logs a panic with its stack. Of the value only runtime errors are
// shown in words: the text of others may hold anything, tokens included.
func (c *Conn) logPanic(message, method string, v any) {
	what := fmt.Sprintf("%T", v)
	if e, ok := v.(runtime.Error); ok {
		what = e.Error()
	}
	c.log.Error(message, zap.String("method", method), zap.String("panic", what), zap.ByteString("stack", debug.Stack()))
}
