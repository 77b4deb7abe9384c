package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/jsonrpc2"
	"go.uber.org/zap"
)

// Options make a Conn.
type Options struct {
	In  io.Reader
	Out io.Writer
	Mux *Mux
	// Log gets panics as errors, lines over the limit as warnings and
	// everything else at debug level; nil for none.
	Log *zap.Logger
	// Limits bounds memory and time; zero fields mean defaults.
	Limits Limits
	// Drain, if not nil, ends the work that no handler waits for, once the
	// input has ended or the context of Run was cancelled. Waiting asks have
	// failed and handlers have returned by then; notifications can still be
	// sent and never wait. Its context ends after Limits.Interrupt and what the
	// handlers have left of their time.
	Drain func(context.Context)
}

// Conn is the connection to the parent. Its methods may be called from any
// goroutine.
type Conn struct {
	opts   Options
	limits Limits
	log    *zap.Logger
	mux    *Mux
	box    *outbox
	lanes  *lanes
	stream *stream
	peer   *jsonrpc2.Conn // set before stream.ready is closed

	handlers  context.Context // of all handlers
	inline    context.Context // the same, marked: Notify does not wait
	cancel    context.CancelFunc
	running   atomic.Bool
	draining  atomic.Bool
	noAnswers chan struct{} // closed when no answer can come any more
	done      chan struct{} // closed at the end of Run

	buffers sync.Pool // of *bytes.Buffer
}

// New makes a connection. Nothing is read or written before Run.
func New(o Options) *Conn {
	c := &Conn{opts: o, limits: o.Limits.withDefaults(), log: o.Log, mux: o.Mux,
		noAnswers: make(chan struct{}), done: make(chan struct{})}
	if c.log == nil {
		c.log = zap.NewNop()
	}
	c.handlers, c.cancel = context.WithCancel(context.Background())
	c.inline = context.WithValue(c.handlers, unhurried{}, true)
	c.box = newOutbox(o.Out, c.limits.OutboxMark, c.limits.OutboxBound)
	c.lanes = newLanes(c.limits.Requests, c.limits.RequestBytes, c.serve)
	c.stream = newStream(o.In, c.box, c.limits.Line, c.done, c.log)
	return c
}

// unhurried marks the context of inline handlers.
type unhurried struct{}

// Run serves until the input ends, ctx is cancelled or the output breaks, and
// then shuts down within Limits.Total: waiting asks fail, new requests are
// refused, waiting and running ones end, Options.Drain runs, the outbox is
// written out.
//
// It returns nil after an orderly end, cancellation included, and an error
// where the input or the output failed. All goroutines of the connection have
// ended then, but those that hang in a Read, a Write or a handler and cannot
// be ended from outside. Run may be called once.
func (c *Conn) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return errors.New("rpc: connection was run before")
	}
	defer close(c.done)
	defer c.cancel()
	go c.stream.reader.run() // ends with the input, or c.done
	go c.box.write()         // ends when the stream is closed
	// Not ctx: the library would close without a drain when it ends.
	c.peer = jsonrpc2.NewConn(context.Background(), c.stream, dispatcher{c},
		jsonrpc2.OnRecv(c.stream.onRecv), jsonrpc2.OnSend(c.stream.onSend), jsonrpc2.SetLogger(silent{}))
	close(c.stream.ready)

	var inputErr error
	select {
	case <-ctx.Done():
	case <-c.box.broken:
	case <-c.stream.ended:
		if err := c.stream.readErr; err != nil {
			inputErr = fmt.Errorf("rpc: read input: %w", err)
		}
	}
	c.shutdown()
	if err := c.box.failure(); err != nil {
		return errors.Join(fmt.Errorf("rpc: write output: %w", err), inputErr)
	}
	return inputErr
}

// shutdown is the way down from any state, in the order that Run tells.
func (c *Conn) shutdown() {
	left := &patience{c.limits.Total}
	c.draining.Store(true)
	close(c.noAnswers)
	c.box.release()
	idle := c.lanes.drain()
	if c.box.failure() != nil {
		c.cancel() // nobody is left to be answered
	}
	if !left.wait(idle, c.limits.Grace) {
		c.cancel()
		if !left.wait(idle, c.limits.Stop) {
			c.strand()
		}
	}
	c.drain(left)
	c.cancel()
	c.stream.finish(left)
	// The dispatcher closes when it has answered the lines that it holds.
	if !within(c.stream.going, leaveTime) {
		c.log.Error("an inline handler did not end at shutdown")
		_ = c.peer.Close()
	}
	<-c.stream.shut // bounded by what is left
}

// leaveTime is how long the dispatcher gets to look at what it has read, and a
// drain to end when it is told to.
const leaveTime = 200 * time.Millisecond

// strand answers the requests that would not end.
func (c *Conn) strand() {
	calls := c.lanes.strand()
	for _, call := range calls {
		if call.respond(func() { c.send(call.id, errDraining) }) {
			c.log.Warn("request did not end before shutdown", zap.String("method", call.entry.method))
		}
	}
}

// drain runs Options.Drain in a bounded time. What the handlers have left of theirs
// is its own as well.
func (c *Conn) drain(left *patience) {
	if c.opts.Drain == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan struct{})
	go func() { // ends with Drain; left behind where that ignores its context
		defer close(ended)
		defer func() {
			if v := recover(); v != nil {
				c.logPanic("drain panicked", "", v)
			}
		}()
		c.opts.Drain(ctx)
	}()
	spent := c.limits.Total - left.left
	if left.wait(ended, c.limits.Grace+c.limits.Stop+c.limits.Interrupt-spent) {
		return
	}
	cancel()
	if !left.wait(ended, leaveTime) {
		c.log.Error("drain did not end in time")
	}
}

// started waits until Run has begun.
func (c *Conn) started(ctx context.Context) error {
	select {
	case <-c.stream.ready:
		return nil
	default:
	}
	select {
	case <-c.stream.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Notify sends a notification; nil params are left out. It waits while the
// outbox is over its mark, at the most as long as ctx allows, and never once
// the shutdown has begun; ctx bounds the waiting only. [ErrClosed] is returned
// after the end or where the output is broken.
func (c *Conn) Notify(ctx context.Context, method string, params any) error {
	if err := c.started(ctx); err != nil {
		return err
	}
	if c.box.pending.Load() > c.limits.OutboxMark && ctx.Value(unhurried{}) == nil {
		if err := c.box.wait(ctx); err != nil {
			return err
		}
	}
	buf := c.buffer()
	if err := encodeNotification(buf, method, params); err != nil {
		c.recycle(buf)
		return fmt.Errorf("rpc: params of %s: %w", method, err)
	}
	err := c.peer.Notify(ctx, "", nil, jsonrpc2.ExtraField(lineField, buf.Bytes()))
	c.recycle(buf)
	if err != nil {
		return ErrClosed
	}
	return nil
}

func (c *Conn) buffer() *bytes.Buffer {
	if buf, ok := c.buffers.Get().(*bytes.Buffer); ok {
		return buf
	}
	return new(bytes.Buffer)
}

// recycle keeps a buffer whose line was copied. A long line's memory belongs
// to the outbox.
func (c *Conn) recycle(buf *bytes.Buffer) {
	if buf.Len() < handOver && buf.Cap() < 2*handOver {
		buf.Reset()
		c.buffers.Put(buf)
	}
}

// silent is the library's logger. What it would say is either said by the
// stream, in our way, or about the end of the input.
type silent struct{}

func (silent) Printf(string, ...any) {}
