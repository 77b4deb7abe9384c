//go:build linux

package process

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"
)

func TestTake(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	s := sh("stty -echo; echo first; read x; echo got $x; read y; echo last $y")
	s.Terminal, s.Owner = &Size{}, "thread"
	p := start(t, m, s)
	if got, ok := m.Get("thread", p.ID()); !ok || got != p {
		t.Fatal("not known by its id")
	}
	if _, ok := m.Get("other", p.ID()); ok {
		t.Fatal("known to another owner")
	}
	var all strings.Builder
	take := func() bool {
		text, ended := p.Take()
		all.WriteString(text.String())
		return ended
	}
	eventually(t, "first", func() bool { take(); return all.String() == "first\r\n" })
	if err := p.Write(testContext(t), []byte("one\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "got one", func() bool { take(); return all.String() == "first\r\ngot one\r\n" })
	if err := p.Write(testContext(t), []byte{4}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end", take)
	if got := all.String(); got != "first\r\ngot one\r\nlast\r\n" {
		t.Errorf("got %q", got)
	}
	if out := p.Result().Output; out.String() != all.String() {
		t.Errorf("kept %q", out)
	}
	if _, ok := m.Get("thread", p.ID()); ok {
		t.Error("still known after the last one")
	}
}

func TestWriteWaits(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	s := sh("stty raw -echo; echo ready; sleep 60")
	s.Terminal = &Size{}
	p := start(t, m, s)
	eventually(t, "ready", seen(p, "ready"))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	// A wait that was over before it began is no reason not to write.
	over, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	if err := p.Write(over, []byte("x")); err != nil {
		t.Errorf("with room: %v", err)
	}
	if err := p.Write(ctx, make([]byte, 1<<20)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := p.Write(over, make([]byte, 1<<20)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without room: %v", err)
	}
	p.Stop()
	wait(t, p)
	if err := p.Write(testContext(t), []byte("x")); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
	if err := start(t, m, sh("sleep 60")).Write(testContext(t), nil); !errors.Is(err, ErrNoInput) {
		t.Errorf("no terminal: %v", err)
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	if signal.Ignored(os.Interrupt) { // by what runs the tests; commands would inherit it
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	}
	m := newManager(t)
	p := start(t, m, sh("trap 'echo int; exit 3' INT; echo ready; while :; do sleep .01; done"))
	eventually(t, "ready", seen(p, "ready\n"))
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
	if n := known(m, "a"); n != 0 {
		t.Errorf("%d left", n)
	}
	if n := known(m, "b"); n != 1 {
		t.Errorf("other owner has %d", n)
	}
	for range 3 * maxEnded { // ended ones that nobody asks for do not pile up
		wait(t, start(t, m, Spec{Argv: []string{"/bin/true"}, Owner: "a"}))
	}
	if n := known(m, "a"); n > maxEnded+1 {
		t.Errorf("%d processes known", n)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	m := NewManager()
	p := start(t, m, sh("trap '' TERM; while :; do sleep 1; done"))
	m.Close()
	m.Close()
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
	eventually(t, "ready", seen(p, "ready\n"))
	tick := time.NewTicker(stopGrace / 4)
	defer tick.Stop()
	for limit := testContext(t); ; {
		p.Stop()
		select {
		case <-p.Done():
			return
		case <-tick.C:
		case <-limit.Done():
			t.Fatal("it still runs")
		}
	}
}
