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

	input   *os.File // nil when not open; the terminal's when there is one
	readers []*reader

	// To the supervising goroutine, which alone sends signals and reaps, so
	// that none goes to a stranger with the same number.
	stops   chan time.Duration
	signals chan syscall.Signal

	outCtx    context.Context // for Spec.Output
	outCancel context.CancelFunc
	outMu     sync.Mutex // one call of Spec.Output at a time

	writing chan struct{} // taken by who writes input

	done   chan struct{}
	result Result // written before done is closed

	mu          sync.Mutex
	kept        [2]*ends // by Stream
	fresh       *ends    // since the last Poll
	inputClosed bool
}

func newProcess(m *Manager, id int, s Spec) *Process {
	if s.Limit <= 0 {
		s.Limit = DefaultLimit
	}
	p := &Process{
		id: id, spec: s, m: m, stops: make(chan time.Duration, 1), signals: make(chan syscall.Signal, 1),
		writing: make(chan struct{}, 1), done: make(chan struct{}),
		kept: [2]*ends{newEnds(s.Limit, s.Keep), newEnds(s.Limit, s.Keep)}, fresh: newEnds(DefaultLimit, KeepEnds),
	}
	p.outCtx, p.outCancel = context.WithCancel(context.Background())
	return p
}

// ID is the number by which Manager.Get knows the process.
func (p *Process) ID() int { return p.id }

// PID is the system's number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

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

// Wait waits for the end of the command, or of ctx, which does not stop it.
func (p *Process) Wait(ctx context.Context) (Result, error) {
	select {
	case <-p.done:
		return p.result, nil
	case <-ctx.Done():
		return Result{}, fmt.Errorf("process: wait: %w", context.Cause(ctx))
	}
}

// Poll waits until the command has ended, but not longer than wait, and
// returns the output since the last Poll. When ctx ends first the output stays
// for the next one. Once a Poll has returned ended, Get no longer knows the
// process; its result is there.
func (p *Process) Poll(ctx context.Context, wait time.Duration) (fresh Text, ended bool, err error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	case <-ctx.Done():
		return Text{}, false, fmt.Errorf("process: poll: %w", context.Cause(ctx))
	}
	ended = p.hasEnded() // before the output is taken, so that none comes after the end
	p.mu.Lock()
	fresh = p.fresh.text()
	p.fresh.reset()
	p.mu.Unlock()
	if ended {
		p.Release()
	}
	return fresh, ended, nil
}

// Snapshot returns what is kept of the output so far.
func (p *Process) Snapshot() (output, stderr Text) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept[Stdout].text(), p.kept[Stderr].text()
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
// until ctx ends. It fails with ErrNoInput when input was never open or is
// closed, and with ErrEnded when nobody reads any more.
func (p *Process) Write(ctx context.Context, data []byte) error {
	p.mu.Lock()
	open := p.input != nil && !p.inputClosed
	p.mu.Unlock()
	switch {
	case p.hasEnded():
		return ErrEnded
	case !open:
		return ErrNoInput
	}
	select { // the deadline below is that of all writers
	case p.writing <- struct{}{}:
		defer func() { <-p.writing }()
	case <-ctx.Done():
		return fmt.Errorf("process: write: %w", context.Cause(ctx))
	}
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		p.input.SetWriteDeadline(time.Unix(1, 0))
		close(expired)
	})
	_, err := p.input.Write(data)
	if !stop() {
		<-expired
		p.input.SetWriteDeadline(time.Time{})
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("process: write: %w", context.Cause(ctx))
	case errors.Is(err, os.ErrClosed), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.EIO):
		return ErrEnded
	}
	return fmt.Errorf("process: write: %w", err)
}

// CloseInput tells the command that no more input comes: its pipe is closed,
// a terminal is given Ctrl-D.
func (p *Process) CloseInput() error {
	p.mu.Lock()
	open := p.input != nil && !p.inputClosed
	if p.spec.Terminal == nil {
		p.inputClosed = true
	}
	p.mu.Unlock()
	switch {
	case !open:
		return ErrNoInput
	case p.hasEnded():
		return ErrEnded
	case p.spec.Terminal == nil:
		return p.input.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return p.Write(ctx, []byte{4})
}

// Resize changes the terminal's size; the command is told by the system.
func (p *Process) Resize(s Size) error {
	switch {
	case p.spec.Terminal == nil:
		return ErrTerminal
	case p.hasEnded():
		return ErrEnded
	}
	if err := resize(p.input, s); err != nil {
		return fmt.Errorf("process: resize: %w", err)
	}
	return nil
}
