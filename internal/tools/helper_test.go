package tools

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/process"
	"app-server/internal/process/shell"
	"app-server/internal/sandbox"
	"app-server/protocol"
)

// TestMain makes the test binary the sandbox's child as well.
func TestMain(m *testing.M) {
	if sandbox.Is(os.Args[1:]) {
		os.Exit(sandbox.Run(os.Args[1:]))
	}
	// With the race detector every program waits a second before it ends.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// fakeHost records what a turn tells about commands, and answers questions.
type fakeHost struct {
	// answer gives the answer to a question; nil never answers.
	answer func(n int, p *protocol.CommandExecutionRequestApprovalParams) (string, error)

	mu          sync.Mutex
	events      []event
	asked       []*protocol.CommandExecutionRequestApprovalParams
	warnings    []string
	interrupts  int
	changed     chan struct{} // closed and made anew at each event
	onInterrupt func()
}

// event is one thing told. One of the members is set.
type event struct {
	started, completed *protocol.CommandExecutionItem
	delta              *protocol.CommandExecutionOutputDeltaNotification
	typed              *protocol.TerminalInteractionNotification
	ask                *protocol.CommandExecutionRequestApprovalParams
}

func (h *fakeHost) add(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

func (h *fakeHost) ItemStarted(i protocol.ThreadItem) {
	if i, ok := i.(*protocol.CommandExecutionItem); ok {
		h.add(event{started: i})
	}
}

func (h *fakeHost) ItemCompleted(i protocol.ThreadItem) {
	if i, ok := i.(*protocol.CommandExecutionItem); ok {
		h.add(event{completed: i})
	}
}

func (h *fakeHost) Notify(_ string, params any) {
	if p, ok := params.(*protocol.TerminalInteractionNotification); ok {
		h.add(event{typed: p})
	}
}

func (h *fakeHost) Progress(_ context.Context, _ string, params any) {
	if p, ok := params.(*protocol.CommandExecutionOutputDeltaNotification); ok {
		h.add(event{delta: p})
	}
}

func (h *fakeHost) Ask(ctx context.Context, flag protocol.ThreadActiveFlag, _ string, params any) (jsontext.Value, error) {
	p := params.(*protocol.CommandExecutionRequestApprovalParams)
	h.add(event{ask: p})
	h.mu.Lock()
	n := len(h.asked)
	h.asked = append(h.asked, p)
	h.mu.Unlock()
	if flag != protocol.FlagWaitingOnApproval {
		return nil, errors.New("wrong flag")
	}
	if h.answer == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	text, err := h.answer(n, p)
	return jsontext.Value(text), err
}

func (h *fakeHost) Interrupt() {
	h.mu.Lock()
	h.interrupts++
	f := h.onInterrupt
	h.mu.Unlock()
	if f != nil {
		f()
	}
}

func (h *fakeHost) Warn(m string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.warnings = append(h.warnings, m)
}

// seen returns what was told so far.
func (h *fakeHost) seen() []event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]event(nil), h.events...)
}

// until waits until something was told for which want holds.
func (h *fakeHost) until(t *testing.T, want func(event) bool) event {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		h.mu.Lock()
		for _, e := range h.events {
			if want(e) {
				h.mu.Unlock()
				return e
			}
		}
		if h.changed == nil {
			h.changed = make(chan struct{})
		}
		changed := h.changed
		h.mu.Unlock()
		select {
		case <-changed:
		case <-limit:
			t.Fatal("it was never told")
		}
	}
}

// items returns the start and the end of the only item.
func (h *fakeHost) items(t *testing.T) (started, completed *protocol.CommandExecutionItem) {
	t.Helper()
	for _, e := range h.seen() {
		switch {
		case e.started != nil && started == nil && completed == nil:
			started = e.started
		case e.completed != nil && started != nil && completed == nil:
			completed = e.completed
		case e.started != nil || e.completed != nil:
			t.Fatalf("more than one item, or its end before its start: %+v", e)
		}
	}
	if started == nil || completed == nil {
		t.Fatalf("item started: %v, completed: %v", started != nil, completed != nil)
	}
	return started, completed
}

// deltas are all deltas put together.
func (h *fakeHost) deltas() string {
	var b strings.Builder
	for _, e := range h.seen() {
		if e.delta != nil {
			b.WriteString(e.delta.Delta)
		}
	}
	return b.String()
}

// bench is a registry with one thread in folders of its own.
type bench struct {
	*Registry
	th        *Thread
	home, cwd string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{home: t.TempDir(), cwd: t.TempDir()}
	r := NewRegistry(Options{
		Home: b.home, Sandbox: sandbox.New(sandbox.Options{Protected: []string{b.home}}), Processes: process.NewManager(),
		Shell: shell.Shell{Path: "/bin/sh"}, Environ: os.Environ(),
	})
	for _, tool := range Builtin() {
		r.Add(tool)
	}
	b.Registry = r
	b.th = r.Open(ThreadOptions{ID: "thread"})
	t.Cleanup(func() {
		b.th.Close()
		r.Close()
	})
	return b
}

// turn begins a turn. The policies are those of the wire.
func (b *bench) turn(h *fakeHost, approval protocol.ApprovalMode, policy protocol.SandboxPolicyType) *Turn {
	return b.th.Begin("turn", Env{
		Cwd: b.cwd, Approval: protocol.ApprovalPolicy{Mode: approval}, Sandbox: protocol.SandboxPolicy{Type: policy},
	}, h)
}

// exec calls exec_command. more is further members, such as `,"tty":true`.
func exec(t *Turn, ctx context.Context, cmd, more string) string {
	return t.Run(ctx, Call{ID: "c1", Name: "exec_command", Arguments: `{"login":false,"cmd":` + string(encode(cmd)) + more + `}`}).Text
}

// accept and the like are answers.
func always(decision string) func(int, *protocol.CommandExecutionRequestApprovalParams) (string, error) {
	return func(int, *protocol.CommandExecutionRequestApprovalParams) (string, error) {
		return `{"decision":` + decision + `}`, nil
	}
}

// needSandbox skips a test where the host cannot confine commands.
func needSandbox(t *testing.T, b *bench) {
	t.Helper()
	if err := b.o.Sandbox.Probe().Err; err != nil {
		t.Skip(err)
	}
}
