package process

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait in these tests. Nothing should come near it.
const patience = time.Minute

func newManager(t *testing.T) *Manager {
	t.Helper()
	m := NewManager()
	t.Cleanup(m.Close)
	return m
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// sh is a Spec that runs a text.
func sh(text string) Spec {
	return Spec{Argv: []string{"/bin/sh", "-c", text}, Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"}}
}

func run(t *testing.T, m *Manager, s Spec) Result {
	t.Helper()
	p := start(t, m, s)
	defer p.Release()
	return wait(t, p)
}

func start(t *testing.T, m *Manager, s Spec) *Process {
	t.Helper()
	p, err := m.Start(s)
	if err != nil {
		t.Fatalf("start %q: %v", s.Argv, err)
	}
	return p
}

func wait(t *testing.T, p *Process) Result {
	t.Helper()
	select {
	case <-p.Done():
	case <-testContext(t).Done():
		t.Fatal("it never ended")
	}
	return p.Result()
}

// seen tells whether something stands in the output of a command.
func seen(p *Process, want string) func() bool {
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return strings.Contains(p.kept.text().String(), want)
	}
}

// known counts the processes of an owner that the manager knows.
func known(m *Manager, owner string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.procs {
		if p.spec.Owner == owner {
			n++
		}
	}
	return n
}

// pidFile reads a number that a command writes into a file, once it is there.
func pidFile(t *testing.T, path string) int {
	t.Helper()
	var pid int
	eventually(t, "a number in "+filepath.Base(path), func() bool {
		text, _ := os.ReadFile(path)
		n, err := strconv.Atoi(strings.TrimSpace(string(text)))
		pid = n
		return err == nil && strings.HasSuffix(string(text), "\n")
	})
	return pid
}

// eventually waits for something that only other processes can bring about.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// alive tells whether a process runs. One that only waits to be reaped by
// another does not.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}
