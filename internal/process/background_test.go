//go:build linux

package process

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPoll(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	s := sh("echo first; read x; echo got $x; read y; echo last $y")
	s.Input, s.Owner = OpenInput, "thread"
	p := start(t, m, s)
	if got, ok := m.Get("thread", p.ID()); !ok || got != p {
		t.Fatal("not known by its id")
	}
	if _, ok := m.Get("other", p.ID()); ok {
		t.Fatal("known to another owner")
	}
	var all strings.Builder
	poll := func() bool {
		text, ended, err := p.Poll(testContext(t), 5*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(text.String())
		return ended
	}
	eventually(t, "first", func() bool { poll(); return all.String() == "first\n" })
	if err := p.Write(testContext(t), []byte("one\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "got one", func() bool { poll(); return all.String() == "first\ngot one\n" })
	if err := p.CloseInput(); err != nil {
		t.Fatal(err)
	}
	if err := p.Write(testContext(t), []byte("x")); !errors.Is(err, ErrNoInput) && !errors.Is(err, ErrEnded) {
		t.Errorf("write after close: %v", err)
	}
	eventually(t, "end", poll)
	if got := all.String(); got != "first\ngot one\nlast\n" {
		t.Errorf("got %q", got)
	}
	if out, _ := p.Snapshot(); out.String() != all.String() {
		t.Errorf("kept %q", out)
	}
	if _, ok := m.Get("thread", p.ID()); ok {
		t.Error("still known after the last poll")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	q := start(t, m, sh("sleep 60"))
	if _, _, err := q.Poll(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("poll cancelled: %v", err)
	}
}

func TestWriteWaits(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	s := sh("sleep 60")
	s.Input = OpenInput
	p := start(t, m, s)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := p.Write(ctx, make([]byte, 1<<20)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	p.Stop()
	wait(t, p)
	if err := p.Write(testContext(t), []byte("x")); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
	if err := start(t, m, sh("sleep 60")).Write(testContext(t), nil); !errors.Is(err, ErrNoInput) {
		t.Errorf("closed input: %v", err)
	}
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	s := sh("stty -echo; trap 'stty size' WINCH; echo ready; while ! read x; do :; done; echo $x; cat; echo end")
	s.Terminal = &Size{Rows: 24, Cols: 80}
	p := start(t, m, s)
	seen := func(want string) func() bool {
		return func() bool { out, _ := p.Snapshot(); return strings.Contains(out.String(), want) }
	}
	eventually(t, "ready", seen("ready\r\n"))
	if err := p.Resize(Size{Rows: 40, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	if err := p.Write(testContext(t), []byte("word\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "size", seen("40 100\r\n"))
	eventually(t, "word", seen("word\r\n"))
	if err := p.CloseInput(); err != nil {
		t.Fatal(err)
	}
	if r := wait(t, p); r.ExitCode != 0 || !strings.HasSuffix(r.Output.String(), "end\r\n") {
		t.Errorf("got %+v", r)
	}
	if err := p.Resize(Size{}); !errors.Is(err, ErrEnded) {
		t.Errorf("resize after the end: %v", err)
	}
	if err := start(t, m, sh("sleep 60")).Resize(Size{}); !errors.Is(err, ErrTerminal) {
		t.Errorf("resize without a terminal: %v", err)
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	p := start(t, m, sh("trap 'echo int; exit 3' INT; echo ready; while :; do sleep .01; done"))
	eventually(t, "ready", func() bool { out, _ := p.Snapshot(); return out.String() == "ready\n" })
	if err := p.Interrupt(); err != nil {
		t.Fatal(err)
	}
	if r := wait(t, p); r.ExitCode != 3 || r.Cause != Exited {
		t.Errorf("got %+v", r)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	s := Spec{Argv: []string{"/bin/sleep", "60"}, Owner: "a"}
	var first *Process
	for range MaxRunning {
		p := start(t, m, s)
		if first == nil {
			first = p
		}
	}
	if _, err := m.Start(s); !errors.Is(err, ErrFull) {
		t.Fatalf("got %v", err)
	}
	other := s
	other.Owner = "b"
	start(t, m, other)
	first.Stop()
	wait(t, first)
	start(t, m, s)
	m.CloseOwner("a")
	if n := len(m.List("a")); n != 0 {
		t.Errorf("%d left", n)
	}
	if n := len(m.List("b")); n != 1 {
		t.Errorf("other owner has %d", n)
	}
	for range 3 * maxEnded { // ended ones that nobody asks for do not pile up
		wait(t, start(t, m, Spec{Argv: []string{"/bin/true"}, Owner: "a"}))
	}
	m.mu.Lock()
	n := len(m.procs)
	m.mu.Unlock()
	if n > maxEnded+2 {
		t.Errorf("%d processes known", n)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	m := NewManager()
	p := start(t, m, sh("trap '' TERM; while :; do sleep 1; done"))
	begin := time.Now()
	m.Close()
	m.Close()
	if took := time.Since(begin); took > 10*closeGrace {
		t.Errorf("took %v", took)
	}
	if r := wait(t, p); r.Cause != Stopped {
		t.Errorf("got %+v", r)
	}
	if _, err := m.Start(sh("true")); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	NewManager().Close() // one that never started anything
}

// TestStopTwice: a second Stop is no delay.
func TestStopTwice(t *testing.T) {
	t.Parallel()
	p := start(t, newManager(t), sh(`trap "" TERM; echo ready; while :; do sleep 1; done`))
	eventually(t, "ready", func() bool { out, _ := p.Snapshot(); return out.String() == "ready\n" })
	tick := time.NewTicker(stopGrace / 4)
	defer tick.Stop()
	for range 20 {
		p.Stop()
		select {
		case <-p.Done():
			return
		case <-tick.C:
		}
	}
	t.Error("it still runs")
}
