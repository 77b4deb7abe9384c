package process

import (
	"errors"
	"io"
	"os"
	"syscall"
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
	p    *Process
	file *os.File
	done chan struct{} // closed when nothing more comes

	// What is left of drainWait and drainBytes; both belong to run.
	wait time.Duration
	left int
}

func newReader(p *Process, f *os.File) *reader {
	return &reader{p: p, file: f, done: make(chan struct{}), wait: drainWait, left: drainBytes}
}

// end tells the reader that the command has ended, by a deadline in the past,
// which also wakes it. What there is to read is left to rest.
func (r *reader) end() {
	if err := r.file.SetReadDeadline(time.Unix(1, 0)); err != nil {
		// Without deadlines, as on Windows, closing is what ends a read.
		time.AfterFunc(drainWait, func() { r.file.Close() })
	}
}

func (r *reader) run() {
	defer close(r.done)
	var cut cutter
	if err := r.copy(&cut, r.file.Read); errors.Is(err, os.ErrDeadlineExceeded) {
		r.copy(&cut, r.rest)
	}
	r.hand(cut.flush())
}

// copy hands on what read gives until it fails: at the end, or where the command
// has ended. A terminal whose other side is closed says EIO.
func (r *reader) copy(cut *cutter, read func([]byte) (int, error)) error {
	buf := make([]byte, pieceSize)
	for {
		n, err := read(buf)
		r.hand(cut.write(buf[:n]))
		if err != nil {
			return err
		}
	}
}

// rest reads after the end of the command. What is there is read however late
// it is, since it may be the command's own; only the wait for more is bounded.
func (r *reader) rest(buf []byte) (n int, err error) {
	defer func() { r.left -= n }()
	for r.left > 0 {
		n, err = readNow(r.file, buf)
		if r.wait <= 0 || !errors.Is(err, syscall.EAGAIN) {
			return n, err
		}
		begin := time.Now()
		r.file.SetReadDeadline(begin.Add(r.wait))
		n, err = r.file.Read(buf)
		r.wait -= time.Since(begin)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
	return 0, io.EOF
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
