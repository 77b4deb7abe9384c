package backend

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"strings"
	"time"

	"github.com/tmaxmax/go-sse"
	"go.uber.org/zap"
)

// maxEventSize bounds one event, in bytes. A response.completed repeats the
// whole output, images in base64 included; go-sse's own limit is 64 KiB, which
// long answers pass.
const maxEventSize = 64 << 20

// Stream sends a request and gives what comes of it, one attempt of a stream.
// Silent repeats (Provider.RequestMaxRetries) and the refresh after a 401
// happen inside. The first event is [EventStarted]; the last one is
// [EventCompleted], or else an error ends the stream, which is always an
// *[Error] and comes once, with a zero Event. Leaving the loop ends the
// request, and so does the end of ctx, at once and with [KindCanceled].
//
// The iterator may be ranged over once and runs on the caller's goroutine. The
// idle timeout does not run while the caller handles an event.
func (c *Client) Stream(ctx context.Context, r *Request) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if fail := c.stream(ctx, r, func(e Event) bool { return yield(e, nil) }); fail != nil {
			yield(Event{}, fail)
		}
	}
}

// stream returns nil when the response was complete or the caller has left.
func (c *Client) stream(ctx context.Context, r *Request, yield func(Event) bool) *Error {
	if ctx.Err() != nil {
		return canceled(ctx)
	}
	k, fail := c.newCall(r)
	if fail != nil {
		return fail
	}
	a, fail := c.exchange(ctx, k)
	if fail != nil {
		return fail
	}
	defer a.close()
	k.secrets.Add(a.credential.token.Bearer)
	r.Turn.keep(a.response.Header.Get("X-Codex-Turn-State"))
	limits := limitsOf(a.response.Header, k.secrets)
	if fail := c.notEvents(ctx, k, a); fail != nil {
		fail.Limits = limits
		return fail
	}
	if !yield(Event{Kind: EventStarted, Limits: limits}) {
		return nil
	}
	skipped := 0
	defer func() {
		if skipped > 0 {
			c.log.Debug("events of a stream were skipped", zap.String("thread", r.ThreadID), zap.Int("count", skipped))
		}
	}()
	for sent, err := range sse.Read(&eventReader{r: a.body}, &sse.ReadConfig{MaxEventSize: maxEventSize}) {
		if ctx.Err() != nil {
			return canceled(ctx)
		}
		if err != nil {
			fail := c.readError(ctx, k, a, err)
			fail.Limits = limits
			return fail
		}
		e, fail := decodeEvent(sent.Data, k.secrets, time.Now())
		switch {
		case fail != nil:
			fail.Limits = limits
			if fail.Details == "" {
				fail.Details = requestID(a.response.Header, k.secrets)
			}
			return fail
		case e.Kind == EventCompleted:
			yield(e)
			a.discard()
			return nil
		case e.Kind == 0:
			skipped++
		case !yield(e):
			return nil
		}
	}
	if ctx.Err() != nil {
		return canceled(ctx)
	}
	return &Error{Kind: KindStreamDisconnected, Retry: RetryStream, Limits: limits,
		Message: "The stream ended before the response was complete", Details: requestID(a.response.Header, k.secrets), Err: io.ErrUnexpectedEOF}
}

// notEvents refuses an answer of 2xx that is no event stream: a login page, or
// an error that a gateway sends with the wrong status. An answer without a
// type is taken for a stream.
func (c *Client) notEvents(ctx context.Context, k *call, a *answer) *Error {
	declared := a.response.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(declared)
	if err != nil {
		media, _, _ = strings.Cut(declared, ";")
		media = strings.ToLower(strings.TrimSpace(media))
	}
	if media == "" || media == "text/event-stream" {
		return nil
	}
	e := c.statusError(ctx, k, a, a.credential)
	if e.Kind == KindOther {
		e.Message = fmt.Sprintf("The backend at %s sent %s instead of an event stream", a.url, tidy(media, k.secrets))
		if e.said != "" {
			e.Message += ": " + e.said
		}
		e.Retry = RetryStream
	}
	return e
}

// readError words a failure between the headers and the end of the response.
func (c *Client) readError(ctx context.Context, k *call, a *answer, err error) *Error {
	e := &Error{Kind: KindStreamDisconnected, Retry: RetryStream, Details: tidy(err.Error(), k.secrets), Err: err}
	switch {
	case ctx.Err() != nil:
		return canceled(ctx)
	case errors.Is(context.Cause(a.ctx), errIdle):
		e.Message, e.Details, e.Err = fmt.Sprintf("The backend was silent for %v", k.patience), "", errIdle
	case errors.Is(err, bufio.ErrTooLong):
		e.Kind, e.Retry = KindOther, RetryNever
		e.Message = fmt.Sprintf("The backend sent an event of more than %d MiB", maxEventSize>>20)
	default:
		e.Message = "The stream broke off before the response was complete"
	}
	return e
}

// eventReader stands between the body and go-sse, which searches all that it
// holds again after each read: an event of many megabytes that comes in small
// pieces would cost the square of its size. A piece without a line end cannot
// end an event, so reading goes on until one comes or the buffer, which
// doubles, is full. Whole events are handed on at once.
type eventReader struct{ r io.Reader }

func (e *eventReader) Read(p []byte) (int, error) {
	n := 0
	for {
		m, err := e.r.Read(p[n:])
		piece := p[n : n+m]
		n += m
		if err != nil || n == len(p) || bytes.IndexByte(piece, '\n') >= 0 || bytes.IndexByte(piece, '\r') >= 0 {
			return n, err
		}
	}
}
