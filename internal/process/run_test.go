//go:build linux

package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRun(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	dir := t.TempDir()
	tests := []struct {
		name string
		spec Spec
		edit func(*Spec)
		want Result
	}{
		{name: "plain", spec: sh("echo hi"), want: Result{Output: Text{Head: "hi\n"}}},
		{name: "mixed in order", spec: sh("echo a; echo b >&2; echo c"), want: Result{Output: Text{Head: "a\nb\nc\n"}}},
		{name: "exit code", spec: sh("exit 7"), want: Result{ExitCode: 7}},
		{name: "signal", spec: sh("kill -9 $$"), want: Result{ExitCode: 137}},
		{name: "no input", spec: sh("cat; echo end"), want: Result{Output: Text{Head: "end\n"}}},
		{name: "folder", spec: sh("pwd"), edit: func(s *Spec) { s.Dir = dir }, want: Result{Output: Text{Head: dir + "\n"}}},
		{name: "not UTF-8", spec: sh(`printf 'a\377b\303'`), want: Result{Output: Text{Head: "a\ufffdb\ufffd"}}},
		{name: "no terminal", spec: sh("test -t 0 || test -t 1 || (: </dev/tty) 2>/dev/null || echo none"), want: Result{Output: Text{Head: "none\n"}}},
		{name: "terminal", spec: sh("test -t 0 && test -t 1 && stty size"), edit: func(s *Spec) { s.Terminal = &Size{Rows: 31, Cols: 97} },
			want: Result{Output: Text{Head: "31 97\r\n"}}},
		{name: "program in PATH", spec: Spec{Argv: []string{"echo", "x"}, Env: []string{"PATH=/nowhere:/bin:/usr/bin"}}, want: Result{Output: Text{Head: "x\n"}}},
		{name: "nothing inherited", spec: Spec{Argv: []string{"/usr/bin/env"}}, edit: func(s *Spec) {
			s.Argv = []string{"/bin/sh", "-c", "/usr/bin/env | /bin/grep -cv -e ^APP_SERVER_COMMAND= -e ^PWD= -e ^_= -e ^SHLVL="}
		},
			want: Result{Output: Text{Head: "0\n"}, ExitCode: 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.edit != nil {
				test.edit(&test.spec)
			}
			got := run(t, m, test.spec)
			if got.Duration <= 0 {
				t.Errorf("duration %v", got.Duration)
			}
			got.Duration = 0
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	for name, text := range map[string]string{"obeyed": "echo a; exec sleep 600", "not obeyed": "trap '' TERM; echo a; sleep 600; sleep 600"} {
		t.Run(name, func(t *testing.T) {
			want := Result{Output: Text{Head: "a\n"}, ExitCode: exitTimeout, Cause: TimedOut}
			s := sh(text)
			// A shell may take longer to print than the limit; then so may the limit.
			for s.Timeout = 50 * time.Millisecond; ; s.Timeout *= 2 {
				got := run(t, m, s)
				if got.Output.Bytes() == 0 && s.Timeout < patience/2 {
					continue
				}
				if got.Duration < s.Timeout {
					t.Errorf("ended after %v", got.Duration)
				}
				got.Duration = 0
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
				return
			}
		})
	}
}

// ended returns a command that has ended, which nobody has noticed so far.
func ended(t *testing.T, m *Manager, s Spec) *Process {
	t.Helper()
	id, err := m.reserve(s.Owner)
	if err != nil {
		t.Fatal(err)
	}
	p := newProcess(m, id, s)
	if err := p.start(); err != nil {
		m.wg.Done()
		t.Fatal(err)
	}
	for !hasExited(p.cmd) {
		time.Sleep(time.Millisecond)
	}
	return p
}

// TestEndedFirst: what comes after the end of a command is not why it ended, even
// where this server hears of both at once.
func TestEndedFirst(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the end is not seen before it is heard of")
	}
	m := newManager(t)
	for range 20 { // a select takes either of two that are ready
		s := sh("echo a; exit 3")
		s.Timeout = time.Nanosecond
		p := ended(t, m, s)
		p.Stop()
		p.serve()
		if r := wait(t, p); r.Cause != Exited || r.ExitCode != 3 || r.Output.String() != "a\n" {
			t.Fatalf("got %+v", r)
		}
	}
}

// TestLateReader: a reader whose time is over loses nothing of what the command
// has written, though a descendant holds the pipe open.
func TestLateReader(t *testing.T) {
	t.Parallel()
	ours, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	text := strings.Repeat("x", pieceSize+1000)
	if _, err := theirs.WriteString(text); err != nil {
		t.Fatal(err)
	}
	p := newProcess(nil, firstID, Spec{})
	r := newReader(p, ours)
	r.wait = 0
	r.end()
	r.run()
	if got := p.kept.text().String(); got != text {
		t.Errorf("got %d of %d bytes", len(got), len(text))
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		spec Spec
		want error
	}{
		{"empty", Spec{}, ErrNotFound},
		{"missing", Spec{Argv: []string{"no-such-program-here"}}, ErrNotFound},
		{"missing path", Spec{Argv: []string{"/no/such/program"}}, ErrNotFound},
		{"missing interpreter", Spec{Argv: []string{file}}, ErrNotFound},
		{"folder as program", Spec{Argv: []string{dir}}, os.ErrPermission},
		{"missing folder", Spec{Argv: []string{"/bin/true"}, Dir: dir + "/x"}, ErrDir},
		{"file as folder", Spec{Argv: []string{"/bin/true"}, Dir: file}, ErrDir},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := m.Start(test.spec); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	p := start(t, newManager(t), sh("echo ready; sleep 60"))
	eventually(t, "ready", seen(p, "ready\n"))
	p.Stop()
	if r := wait(t, p); r.Cause != Stopped || r.Output.String() != "ready\n" {
		t.Errorf("got %+v", r)
	}
}

func TestOutputInPieces(t *testing.T) {
	t.Parallel()
	s := sh("head -c 3000000 /dev/zero | tr '\\0' x; printf '\\344'; sleep .05; printf '\\270\\226\\377'")
	var got strings.Builder
	s.Output = func(_ context.Context, piece []byte) {
		if len(piece) > pieceSize+8 {
			t.Errorf("piece of %d bytes", len(piece))
		}
		got.Write(piece)
	}
	r := run(t, newManager(t), s)
	if got.String() != strings.Repeat("x", 3000000)+"世\ufffd" {
		t.Errorf("%d bytes, end %q", got.Len(), got.String()[got.Len()-8:])
	}
	if r.Output.Bytes() != 3000006 || len(r.Output.Head)+len(r.Output.Tail) > outputLimit {
		t.Errorf("kept %d of %d", len(r.Output.Head)+len(r.Output.Tail), r.Output.Bytes())
	}
}

// A callback that waits must not lose the output of a command that is long
// gone, and a Stop must free one that waits for ever.
func TestSlowCallback(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	s := sh("head -c 200000 /dev/zero")
	n := 0
	s.Output = func(_ context.Context, piece []byte) {
		time.Sleep(drainWait / 2)
		n += len(piece)
	}
	if run(t, m, s); n != 200000 {
		t.Errorf("got %d bytes", n)
	}
	s = sh("echo; sleep 60")
	blocked := make(chan struct{})
	s.Output = func(ctx context.Context, _ []byte) { close(blocked); <-ctx.Done() }
	p := start(t, m, s)
	<-blocked
	p.Stop()
	wait(t, p)
}
