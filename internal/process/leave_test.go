//go:build linux

package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// children counts our children, zombies included.
func children(t *testing.T) int {
	t.Helper()
	n := 0
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(tasks) == 0 {
		t.Skip("no list of children here")
	}
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		n += len(strings.Fields(string(text)))
	}
	return n
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// Not parallel: it counts what the whole test process has.
func TestNothingLeft(t *testing.T) {
	m := newManager(t)
	run(t, m, sh("true")) // the first one opens what stays open
	fds, kids, routines := descriptors(t), children(t), runtime.NumGoroutine()
	for i := range 200 {
		s := sh("echo out; echo err >&2; sleep 30 & true")
		if i%2 == 1 {
			s.Terminal = &Size{Rows: 24, Cols: 80}
		}
		if r := run(t, m, s); r.ExitCode != 0 {
			t.Fatalf("got %+v", r)
		}
		if _, err := m.Start(Spec{Argv: []string{"/no/such"}}); err == nil {
			t.Fatal("started nothing")
		}
	}
	if n := descriptors(t); n > fds {
		t.Errorf("%d descriptors, %d before", n, fds)
	}
	if n := children(t); n > kids {
		t.Errorf("%d children, %d before", n, kids)
	}
	eventually(t, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= routines })
}

func TestChildrenDie(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		end        func(*Manager, *Process)
	}{
		{"at the end", "sleep 60 & echo $! >$F", func(*Manager, *Process) {}},
		{"that hold the pipe", "(trap '' TERM HUP; sleep 60) & echo $! >$F; echo x", func(*Manager, *Process) {}},
		{"at a stop", "sleep 60 & echo $! >$F; wait", func(_ *Manager, p *Process) { p.Stop() }},
		{"that do not obey", "trap '' TERM; sleep 60 & echo $! >$F; wait; sleep 60", func(_ *Manager, p *Process) { p.Stop() }},
		{"that are stopped", "sleep 60 & echo $! >$F; kill -STOP $!; wait", func(_ *Manager, p *Process) { p.Stop() }},
		{"that left the session", "setsid sh -c 'echo $$ >$F; exec sleep 60' & wait", func(_ *Manager, p *Process) { p.Stop() }},
		{"that outlived the command, with the owner", "setsid sh -c 'echo $$ >$F; exec sleep 60' & while ! test -s $F; do sleep .01; done",
			func(m *Manager, p *Process) { <-p.Done(); m.CloseOwner("o") }},
		{"that outlived the command, with the manager", "setsid sh -c 'echo $$ >$F; exec sleep 60' & while ! test -s $F; do sleep .01; done",
			func(m *Manager, p *Process) { <-p.Done(); m.Close() }},
	}
	for _, test := range tests {
		for _, terminal := range []*Size{nil, {Rows: 24, Cols: 80}} {
			t.Run(test.name+map[bool]string{true: " on a terminal"}[terminal != nil], func(t *testing.T) {
				t.Parallel()
				m := newManager(t)
				file := filepath.Join(t.TempDir(), "pid")
				s := sh(test.text)
				s.Env, s.Terminal, s.Owner = append(s.Env, "F="+file), terminal, "o"
				p := start(t, m, s)
				pid := pidFile(t, file)
				test.end(m, p)
				wait(t, p)
				eventually(t, "the child's death", func() bool { return !alive(pid) })
			})
		}
	}
}

// A descendant with a session of its own may keep the pipe; the command's end
// is told all the same.
func TestPipeHeldOpen(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	if r := run(t, m, sh("setsid sh -c 'while :; do echo flood; done' & echo started")); r.ExitCode != 0 {
		t.Errorf("got %d", r.ExitCode)
	}
	if r := run(t, m, sh("setsid sleep 60 & echo started")); r.Output.String() != "started\n" {
		t.Errorf("got %q", r.Output)
	}
}

const helperVar = "PROCESS_TEST_HELPER"

// TestHelper is the server that TestKilledServer kills.
func TestHelper(t *testing.T) {
	dir := os.Getenv(helperVar)
	if dir == "" {
		t.Skip("only as a child of TestKilledServer")
	}
	m := NewManager()
	start(t, m, Spec{Argv: []string{"/bin/sh", "-c", `echo $$ >"$D/leader"; sleep 60 & echo $! >"$D/child"
		setsid sh -c 'echo $$ >"$D/escaped"; exec sleep 60' & wait; sleep 60`}, Env: []string{"PATH=/usr/bin:/bin", "D=" + dir}})
	eventually(t, "a guard", func() bool { // its lock is held until it has been told
		m.guard.mu.Lock()
		defer m.guard.mu.Unlock()
		return len(m.guard.groups) == 1
	})
	if err := os.WriteFile(filepath.Join(dir, "guarded"), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Hour)
}

func TestKilledServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelper$")
	cmd.Env = append(os.Environ(), helperVar+"="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, name := range []string{"leader", "child", "escaped"} {
		pids = append(pids, pidFile(t, filepath.Join(dir, name)))
	}
	pidFile(t, filepath.Join(dir, "guarded"))
	cmd.Process.Kill()
	cmd.Wait()
	for _, pid := range pids {
		eventually(t, "the death of all", func() bool { return !alive(pid) })
	}
}

// TestStoppedGuard: a guard that some command has stopped does not hold up anybody.
func TestStoppedGuard(t *testing.T) {
	g := newGuard(markName + "=test.")
	g.add(1 << 30) // nobody's group
	if g.cmd == nil {
		t.Skip("no guard here")
	}
	if err := g.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { g.remove(1 << 30); close(gone) }()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("it waits for the guard")
	}
}
