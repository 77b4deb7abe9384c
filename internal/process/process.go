package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is a command that was started. Its methods may be called from any
// goroutine.
type Process struct {
	id   int
	spec Spec
	m    *Manager
	cmd  *exec.Cmd
	born time.Time

	terminal *os.File // nil when there is none; output comes from it, too
	reader   *reader

	// To the supervising goroutine, which alone sends signals and reaps, so
	// that none goes to a stranger with the same number.
	stops   chan time.Duration
	signals chan syscall.Signal

	outCtx    context.Context // for Spec.Output
	outCancel context.CancelFunc

	writing chan struct{} // taken by who writes input

	done   chan struct{}
	result Result // written before done is closed

	mu    sync.Mutex
	kept  *ends
	fresh *ends // since the last Take
}

func newProcess(m *Manager, id int, s Spec) *Process {
	p := &Process{
		id: id, spec: s, m: m, stops: make(chan time.Duration, 1), signals: make(chan syscall.Signal, 1),
		writing: make(chan struct{}, 1), done: make(chan struct{}),
		kept: newEnds(outputLimit), fresh: newEnds(outputLimit),
	}
	p.outCtx, p.outCancel = context.WithCancel(context.Background())
	return p
}

// ID is the number by which Manager.Get knows the process.
func (p *Process) ID() int { return p.id }

// Done is closed when the command has ended and its output is all there.
func (p *Process) Done() <-chan struct{} { return p.done }

func (p *Process) hasEnded() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Result waits for the end of the command and tells its outcome.
func (p *Process) Result() Result {
	<-p.done
	return p.result
}

// Take returns the output since the last Take, and whether the command has ended.
// Once it has, Get no longer knows the process; its result is there.
func (p *Process) Take() (fresh Text, ended bool) {
	ended = p.hasEnded() // before the output is taken, so that none comes after the end
	p.mu.Lock()
	fresh = p.fresh.text()
	p.fresh.reset()
	p.mu.Unlock()
	if ended {
		p.Release()
	}
	return fresh, ended
}

// Release makes the manager forget the process once it has ended. A running
// one stays in its care.
func (p *Process) Release() {
	if p.hasEnded() {
		p.m.forget(p)
	}
}

// Stop tells the command and its children to end and kills what is left after
// 400 ms. It returns at once; Done tells the end. A command that has ended is
// left alone.
func (p *Process) Stop() { p.stop(stopGrace) }

func (p *Process) stop(grace time.Duration) {
	select {
	case p.stops <- grace:
	default: // one is under way
	}
	// A callback that waits for its reader must not outlast the command.
	time.AfterFunc(grace, p.outCancel)
}

// Interrupt sends the command and its children what Ctrl-C would.
func (p *Process) Interrupt() error {
	select {
	case <-p.done:
		return ErrEnded
	case p.signals <- syscall.SIGINT:
		return nil
	default: // one waits to be sent
		return nil
	}
}

// Write gives the command input. It waits while the command does not read,
// until ctx ends. It fails with ErrNoInput when the command has no terminal, and
// with ErrEnded when nobody reads any more.
func (p *Process) Write(ctx context.Context, data []byte) error {
	switch {
	case p.hasEnded():
		return ErrEnded
	case p.terminal == nil:
		return ErrNoInput
	}
	select {
	case p.writing <- struct{}{}:
	default:
		select { // the deadline below is that of all writers
		case p.writing <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("process: write: %w", context.Cause(ctx))
		}
	}
	defer func() { <-p.writing }()
	// What there is room for is written without a look at the time: only who has
	// tried knows that the command does not read.
	n, err := writeNow(p.terminal, data)
	if errors.Is(err, syscall.EAGAIN) || err == nil && n < len(data) {
		err = p.writeUntil(ctx, data[n:])
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrClosed), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.EIO):
		return ErrEnded
	case ctx.Err() != nil:
		return fmt.Errorf("process: write: %w", context.Cause(ctx))
	}
	return fmt.Errorf("process: write: %w", err)
}

// writeUntil writes, and waits for room until ctx ends.
func (p *Process) writeUntil(ctx context.Context, data []byte) error {
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		p.terminal.SetWriteDeadline(time.Unix(1, 0))
		close(expired)
	})
	_, err := p.terminal.Write(data)
	if !stop() {
		<-expired
		p.terminal.SetWriteDeadline(time.Time{})
	}
	return err
}
