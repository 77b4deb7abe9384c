package rpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// patient are limits for tests outside of bubbles: no machine is so slow that a
// shutdown gives anything up.
var patient = Limits{Grace: time.Minute, Stop: time.Minute, Total: 2 * time.Minute}

// sink is a parent's end of the output. It can stop reading.
type sink struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	writes int
	stall  chan struct{} // non-nil: writes wait until it is closed
	err    error
}

func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	stall := s.stall
	s.mu.Unlock()
	if stall != nil {
		<-stall
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	s.writes++
	return s.buf.Write(b)
}

// take returns the lines written since the last call.
func (s *sink) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.buf.String()
	s.buf.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func (s *sink) hold() (letGo func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stall := make(chan struct{})
	s.stall = stall
	return func() {
		s.mu.Lock()
		s.stall = nil
		s.mu.Unlock()
		close(stall)
	}
}

// parent is a connection under test with both of its ends. Use it inside a
// synctest bubble.
type parent struct {
	t      *testing.T
	in     *io.PipeWriter
	out    *sink
	conn   *Conn
	logs   *observer.ObservedLogs
	cancel context.CancelFunc
	result chan error
}

func newParent(t *testing.T, mux *Mux, set func(*Options)) *parent {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	r, w := io.Pipe()
	p := &parent{t: t, in: w, out: &sink{}, logs: logs, result: make(chan error, 1)}
	o := Options{In: r, Out: p.out, Mux: mux, Log: zap.New(core)}
	if set != nil {
		set(&o)
	}
	p.conn = New(o)
	return p
}

func start(t *testing.T, mux *Mux, set func(*Options)) *parent {
	t.Helper()
	p := newParent(t, mux, set)
	p.run()
	return p
}

func (p *parent) run() {
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	go func() { p.result <- p.conn.Run(ctx) }()
}

// send writes lines and waits until nothing moves any more.
func (p *parent) send(lines ...string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, strings.Join(lines, "\n")+"\n"); err != nil {
		p.t.Errorf("send: %v", err)
	}
	synctest.Wait()
}

// end closes the input and returns what Run said.
func (p *parent) end() error {
	p.in.Close()
	err := <-p.result
	p.cancel()
	return err
}

// want compares the lines written since the last look.
func (p *parent) want(lines ...string) {
	p.t.Helper()
	synctest.Wait()
	got := p.out.take()
	if strings.Join(got, "\n") != strings.Join(lines, "\n") {
		p.t.Errorf("lines:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(lines, "\n  "))
	}
}

func (p *parent) finish() {
	p.t.Helper()
	if err := p.end(); err != nil {
		p.t.Errorf("Run: %v", err)
	}
}

type echoParams struct {
	Key  string `json:"key"`
	Text string `json:"text"`
}

type echoResult struct {
	Text string `json:"text"`
}

var errTest = errors.New("told by a test")

func echo(_ context.Context, p *echoParams) (echoResult, error) { return echoResult{p.Text}, nil }

// echoMux has an ordered and an unordered echo.
func echoMux() *Mux {
	m := NewMux(Hooks{})
	Handle(m, "echo", Fixed[echoParams]("one"), echo)
	Handle(m, "free", nil, echo)
	return m
}
