package process

import (
	"errors"
	"os"
	"sync/atomic"
	"time"
)

const (
	// pieceSize is how much is read, and so handed on, at once.
	pieceSize = 32 << 10
	// drainWait is how long a reader waits, in all, for output after the
	// command has ended. Its own output is in the pipe by then; more can only
	// come from a descendant that holds the pipe open.
	drainWait = 150 * time.Millisecond
	// drainBytes bounds what is read after the end: more than a pipe or a
	// terminal holds, so that only a descendant's flood is cut.
	drainBytes = 1 << 20
)

// reader copies the output of a command until its end, or until shortly after
// the command's end.
type reader struct {
	p     *Process
	file  *os.File
	ended atomic.Bool   // the command has
	done  chan struct{} // closed when nothing more comes
}

func newReader(p *Process, f *os.File) *reader {
	return &reader{p: p, file: f, done: make(chan struct{})}
}

// end tells the reader that the command has ended, and wakes it.
func (r *reader) end() {
	r.ended.Store(true)
	if err := r.file.SetReadDeadline(time.Now().Add(drainWait)); err != nil {
		// Without deadlines, as on Windows, closing is what ends a read.
		time.AfterFunc(drainWait, func() { r.file.Close() })
	}
}

func (r *reader) run() {
	defer close(r.done)
	var cut cutter
	buf := make([]byte, pieceSize)
	wait, bytes := drainWait, drainBytes
	for wait > 0 && bytes > 0 {
		ended := r.ended.Load()
		begin := time.Now()
		if ended {
			r.file.SetReadDeadline(begin.Add(wait))
		}
		n, err := r.file.Read(buf)
		if ended {
			wait -= time.Since(begin)
			bytes -= n
		}
		if n > 0 {
			r.hand(cut.write(buf[:n]))
		}
		if err != nil && (ended || !errors.Is(err, os.ErrDeadlineExceeded)) {
			break // at the end; a terminal whose other side is closed says EIO
		}
	}
	r.hand(cut.flush())
}

// hand keeps a piece and gives it to the callback.
func (r *reader) hand(piece []byte) {
	if len(piece) == 0 {
		return
	}
	p := r.p
	p.mu.Lock()
	p.kept.write(piece)
	p.fresh.write(piece)
	p.mu.Unlock()
	if p.spec.Output != nil {
		p.spec.Output(p.outCtx, piece)
	}
}
