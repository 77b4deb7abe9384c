package sandbox

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"app-server/protocol"
)

func TestWorkspaceWrite(t *testing.T) {
	for name, w := range setups {
		t.Run(name, func(t *testing.T) {
			s := fixed(t, w, Options{})
			p := workspace(t)
			r := run(t, s, p, "sh", "-c", "pwd && echo hi >a && mkdir d && mv a d/b && ln d/b c && chmod +x c && cat c && echo x >/dev/null && exit 7")
			if r.code != 7 || r.out != p.Cwd+"\nhi\n" || r.errOut != "" {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestReadOnly(t *testing.T) {
	for name, w := range setups {
		t.Run(name, func(t *testing.T) {
			s := fixed(t, w, Options{})
			dir := realTemp(t)
			put(t, filepath.Join(dir, "f"), "text\n")
			r := run(t, s, Policy{Mode: protocol.SandboxReadOnly, Cwd: dir}, "sh", "-c", "cat f; echo no >f")
			if r.code == 0 || r.out != "text\n" {
				t.Errorf("got %+v", r)
			}
		})
	}
}

// TestNoDescriptorsLeak: neither those of the set-up nor those that the server
// itself was started with reach a command.
func TestNoDescriptorsLeak(t *testing.T) {
	p := workspace(t)
	f, err := os.Open(p.Cwd)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, w := range setups {
		t.Run(name, func(t *testing.T) {
			c, err := fixed(t, w, Options{}).Command(p, []string{"/bin/ls", "/proc/self/fd"})
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
			cmd.SysProcAttr, cmd.Dir, cmd.Env, cmd.ExtraFiles = c.Attr, p.Cwd, append(os.Environ(), c.Env...), []*os.File{f}
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != "0\n1\n2\n3\n" { // the last one is that of ls
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func TestFullAccessIsLeftAlone(t *testing.T) {
	c, err := New(Options{}).Command(Policy{Mode: protocol.SandboxDangerFullAccess}, []string{"a", "b"})
	if err != nil || strings.Join(c.Argv, " ") != "a b" || c.Env != nil || c.Attr == nil {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestExitCodes(t *testing.T) {
	s := New(Options{})
	p := workspace(t)
	put(t, filepath.Join(p.Cwd, "plain"), "no program")
	for _, tc := range []struct {
		argv []string
		code int
		text string
	}{
		{[]string{"no-such-program-here"}, exitNotFound, "no-such-program-here: executable file not found in $PATH"},
		{[]string{"./missing"}, exitNotFound, "./missing: no such file"},
		{[]string{"./plain"}, exitNotExecutable, "./plain: permission denied"},
		{[]string{"sh", "-c", "exit 3"}, 3, ""},
	} {
		r := run(t, s, p, tc.argv...)
		if r.code != tc.code || !strings.Contains(r.errOut, tc.text) {
			t.Errorf("%v: got %+v", tc.argv, r)
		}
		if _, failed := SetupError(r.code, r.errOut); failed {
			t.Errorf("%v: taken for a failed set-up", tc.argv)
		}
	}
}

func TestSetupError(t *testing.T) {
	s := New(Options{})
	p := workspace(t)
	c, err := s.Command(p, []string{"true"})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Probe().Namespaces {
		t.Skip("no namespaces")
	}
	// A caller that forgets the attributes must not have the host's mounts
	// changed, nor the command run.
	c.Attr = nil
	r := start(t, c, p.Cwd)
	reason, failed := SetupError(r.code, r.errOut)
	if !failed || reason != "namespaces: not in a new ipc namespace" {
		t.Errorf("got %+v, reason %q", r, reason)
	}
}

func TestNetworkVariable(t *testing.T) {
	s := New(Options{})
	p := workspace(t)
	for network, want := range map[bool]string{false: "1", true: ""} {
		p.Network = network
		if r := run(t, s, p, "sh", "-c", "printf %s \"$CODEX_SANDBOX_NETWORK_DISABLED\""); r.out != want {
			t.Errorf("network %v: got %+v", network, r)
		}
	}
}

func TestNetworkAccess(t *testing.T) {
	for name, w := range setups {
		s := fixed(t, w, Options{})
		p := workspace(t)
		p.Network = true
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		r := run(t, s, p, testBinary(t), attemptArg, "dial", "tcp", l.Addr().String())
		if !strings.HasPrefix(r.out, escaped) {
			t.Errorf("%s: %+v", name, r)
		}
		_ = l.Close()
	}
}

// The process keeps its id, so that a kill reaches the command.
func TestSameProcess(t *testing.T) {
	s := New(Options{})
	p := workspace(t)
	r := run(t, s, p, "sh", "-c", "kill -TERM $$")
	if r.code != -1 {
		t.Errorf("got %+v, want an end by signal", r)
	}
}

func TestOwnTerminalsAndMemory(t *testing.T) {
	s := fixed(t, setups["all"], Options{})
	p := workspace(t)
	r := run(t, s, p, "sh", "-c", "echo x >/dev/shm/f && ls /dev/shm && ls /dev/pts")
	if r.code != 0 || r.out != "f\nptmx\n" {
		t.Errorf("got %+v", r)
	}
	if _, err := os.Stat("/dev/shm/f"); err == nil {
		t.Error("the host's shared memory was written")
	}
}

func TestTerminalStillWorks(t *testing.T) {
	s := New(Options{})
	p := workspace(t)
	terminal, name := openTerminal(t)
	c, err := s.Command(p, []string{"sh", "-c", "test -t 0 && stty size </dev/tty && echo done >/dev/tty"})
	if err != nil {
		t.Fatal(err)
	}
	out := startOnTerminal(t, c, p.Cwd, terminal, name)
	if !strings.Contains(out, "done") {
		t.Errorf("got %q", out)
	}
}

// Root in a container often works on files of somebody else.
func TestRootWorksOnFilesOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	s := New(Options{})
	p := workspace(t)
	if err := os.Chmod(p.Cwd, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(p.Cwd, 1234, 1234); err != nil {
		t.Fatal(err)
	}
	if r := run(t, s, p, "sh", "-c", "echo x >f && chown 1234 f && stat -c %u f ."); r.out != "1234\n1234\n" {
		t.Errorf("got %+v, support %+v", r, s.Probe())
	}
}

func BenchmarkPlain(b *testing.B) {
	c := Command{Argv: []string{"/bin/true"}}
	for b.Loop() {
		start(b, c, "/")
	}
}

func BenchmarkSandboxed(b *testing.B) {
	s := New(Options{})
	p := workspace(b)
	put(b, filepath.Join(p.Cwd, ".git", "config"), "")
	s.Probe()
	for b.Loop() {
		if r := run(b, s, p, "/bin/true"); r.code != 0 {
			b.Fatal(r)
		}
	}
}
