package fake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
)

// Process is a running server, be it a child or a function in this process.
// Whoever has it reads Stdout to its end and then takes the exit code.
type Process struct {
	Stdin  io.WriteCloser
	Stdout io.ReadCloser
	Stderr *Log
	// PID is a child's number; 0 for a function in this process.
	PID int
	// Signal delivers a signal.
	Signal func(os.Signal) error
	// Kill ends it the hard way. Killing twice is harmless.
	Kill func()
	// Exit gives the exit code once; -1 stands for death by a signal.
	Exit <-chan int
}

// Launch says how a server is to be started.
type Launch struct {
	Path string   // executable, for a child
	Args []string // without the executable
	Env  []string // the whole environment, NAME=VALUE
	Dir  string   // working folder
	// Listen opens ports for a server in this process; nil means net.Listen. A
	// child opens its own.
	Listen func(network, address string) (net.Listener, error)
}

// StartChild starts a child process with three pipes. A goroutine of its own
// waits for it; it ends with the child.
func StartChild(l Launch) (*Process, error) {
	cmd := exec.Command(l.Path, l.Args...)
	cmd.Env, cmd.Dir = l.Env, l.Dir
	stderr := &Log{}
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("fake: stdin: %w", err)
	}
	// The pipe is our own, because StdoutPipe is closed by Wait, which would
	// lose what the child wrote last.
	out, childOut, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("fake: stdout: %w", err)
	}
	cmd.Stdout = childOut
	if err := cmd.Start(); err != nil {
		_ = out.Close()
		_ = childOut.Close()
		return nil, fmt.Errorf("fake: start %s: %w", l.Path, err)
	}
	_ = childOut.Close()
	exit := make(chan int, 1)
	go func() {
		_ = cmd.Wait() // the exit code says it all
		exit <- cmd.ProcessState.ExitCode()
	}()
	return &Process{Stdin: in, Stdout: out, Stderr: stderr, Exit: exit, PID: cmd.Process.Pid,
		Signal: cmd.Process.Signal,
		Kill:   func() { _ = cmd.Process.Kill() },
	}, nil
}

// Log is a writer that keeps what it is given. It is safe for concurrent use.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns everything written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// sender writes lines to a server's stdin in order without ever making its
// caller wait, so that a server that does not read cannot block a story.
type sender struct {
	out  io.WriteCloser
	done chan struct{}

	mu     sync.Mutex
	wake   *sync.Cond
	queue  [][]byte // guarded by mu
	closed bool     // guarded by mu
}

// newSender starts the writing goroutine. It ends after close, or when the
// server's end is gone.
func newSender(out io.WriteCloser) *sender {
	s := &sender{out: out, done: make(chan struct{})}
	s.wake = sync.NewCond(&s.mu)
	go s.run()
	return s
}

func (s *sender) run() {
	defer close(s.done)
	defer s.out.Close()
	for {
		s.mu.Lock()
		for len(s.queue) == 0 && !s.closed {
			s.wake.Wait()
		}
		batch := s.queue
		s.queue = nil
		s.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, b := range batch {
			if _, err := s.out.Write(b); err != nil {
				return
			}
		}
	}
}

func (s *sender) send(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, b)
	s.wake.Signal()
}

// close ends the stream once everything queued is written.
func (s *sender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.wake.Signal()
}

// ErrServerGone is what calls return when the server's stdout has ended.
var ErrServerGone = errors.New("the server has ended")

// waitExit waits for the exit code.
func (p *Process) waitExit(ctx context.Context) (int, error) {
	select {
	case code := <-p.Exit:
		return code, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("fake: exit of the server: %w", context.Cause(ctx))
	}
}
