package rpc

import (
	"context"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// chunkSize is how much of the queue leaves in one write: what a Linux
	// pipe holds.
	chunkSize = 64 << 10
	// handOver is the length in bytes from which the outbox keeps a line's own
	// memory instead of copying it.
	handOver = 32 << 10
)

// outbox is the queue of lines on their way out and the only point where their
// order is decided. One goroutine, write, takes them off.
//
// Full has two meanings: over the mark wait blocks (Notify), over the bound
// the parent counts as gone and the outbox breaks.
type outbox struct {
	out         io.Writer
	mark, bound int64
	wake        chan struct{} // one signal for the writer
	broken      chan struct{} // closed with the first failure
	done        chan struct{} // closed when the writer has ended
	pending     atomic.Int64  // bytes appended and not written; changed under mu

	mu     sync.Mutex
	queue  [][]byte // chunks of whole lines
	spare  []byte   // one chunk to use again
	room   chan struct{}
	idle   bool // the writer waits for wake
	free   bool // nobody waits any more
	closed bool // nothing is taken any more
	err    error
}

func newOutbox(out io.Writer, mark, bound int64) *outbox {
	return &outbox{out: out, mark: mark, bound: bound,
		wake: make(chan struct{}, 1), broken: make(chan struct{}), done: make(chan struct{})}
}

// append queues one line with its newline. It never blocks. A line of handOver
// bytes or more belongs to the outbox from then on.
func (o *outbox) append(line []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.err != nil || o.closed:
		return ErrClosed
	case o.pending.Load() > o.bound:
		// Judged before the line is added: one huge line alone is fine.
		o.failLocked(ErrParentGone)
		return ErrClosed
	}
	o.pending.Add(int64(len(line)))
	last := len(o.queue) - 1
	switch {
	case len(line) >= handOver:
		o.queue = append(o.queue, line)
	case last >= 0 && cap(o.queue[last]) == chunkSize && len(o.queue[last])+len(line) <= chunkSize:
		o.queue[last] = append(o.queue[last], line...)
	default:
		chunk := o.spare
		if o.spare = nil; chunk == nil {
			chunk = make([]byte, 0, chunkSize)
		}
		o.queue = append(o.queue, append(chunk, line...))
	}
	if o.idle {
		o.idle = false
		o.wake <- struct{}{} // has room: idle is set with an empty channel only
	}
	return nil
}

// wait returns when the queue is not over its mark, or when nobody is to wait
// any more. The fast path takes no lock.
func (o *outbox) wait(ctx context.Context) error {
	for o.pending.Load() > o.mark {
		o.mu.Lock()
		if o.err != nil || o.closed {
			o.mu.Unlock()
			return ErrClosed
		}
		if o.free || o.pending.Load() <= o.mark {
			o.mu.Unlock()
			return nil
		}
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room := o.room
		o.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// release lets all waiting callers go on, now and from now on.
func (o *outbox) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.free = true
	o.roomLocked()
}

func (o *outbox) roomLocked() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// failLocked breaks the outbox: what is queued is lost.
func (o *outbox) failLocked(err error) {
	if o.err != nil {
		return
	}
	o.err = err
	o.queue, o.spare = nil, nil
	close(o.broken)
	o.roomLocked()
	if o.idle {
		o.idle = false
		o.wake <- struct{}{}
	}
}

func (o *outbox) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// write is the writer goroutine. It ends when the outbox is closed and empty,
// or broken. A Write that never returns keeps it, see close.
func (o *outbox) write() {
	defer close(o.done)
	for {
		// Whoever is about to append does so now: lines that come in one burst
		// leave in one write.
		runtime.Gosched()
		chunks := o.take()
		if chunks == nil {
			return
		}
		for i, chunk := range chunks {
			n, err := o.out.Write(chunk)
			if err == nil && n < len(chunk) {
				err = io.ErrShortWrite
			}
			chunks[i] = nil
			if !o.wrote(chunk, err) {
				return
			}
		}
	}
}

// take waits for lines and takes all of them; nil means the end.
func (o *outbox) take() [][]byte {
	for {
		o.mu.Lock()
		if o.err != nil || o.closed && len(o.queue) == 0 {
			o.mu.Unlock()
			return nil
		}
		if chunks := o.queue; len(chunks) > 0 {
			o.queue = nil
			o.mu.Unlock()
			return chunks
		}
		o.idle = true
		o.mu.Unlock()
		<-o.wake
	}
}

// wrote accounts for a chunk that was written and keeps it for later use.
func (o *outbox) wrote(chunk []byte, err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pending.Add(-int64(len(chunk))) <= o.mark {
		o.roomLocked()
	}
	if err != nil {
		o.failLocked(err)
	}
	if o.err != nil {
		return false
	}
	if cap(chunk) == chunkSize {
		o.spare = chunk[:0]
	}
	return true
}

// close takes no more lines and waits until all are written, as long as there
// is time left. A Write that hangs beyond it is asked to end by a write
// deadline, where the output knows them; otherwise its goroutine is left
// behind, because nothing can end it.
func (o *outbox) close(left *patience) {
	o.mu.Lock()
	o.closed = true
	o.roomLocked()
	if o.idle {
		o.idle = false
		o.wake <- struct{}{}
	}
	o.mu.Unlock()
	for o.failure() == nil { // tick by tick, because it may break
		if left.wait(o.done, tick) {
			return
		}
		if left.left <= 0 {
			o.mu.Lock()
			if o.pending.Load() > 0 { // else the writer has nothing to do but end
				o.failLocked(ErrNotFlushed)
			}
			o.mu.Unlock()
			break
		}
	}
	if d, ok := o.out.(interface{ SetWriteDeadline(time.Time) error }); ok && d.SetWriteDeadline(time.Now()) == nil {
		<-o.done
		return
	}
	// A writer that was merely between two writes ends at once.
	within(o.done, endingTime)
}

// endingTime is how long goroutines that have no more work get to end.
const endingTime = 20 * time.Millisecond
