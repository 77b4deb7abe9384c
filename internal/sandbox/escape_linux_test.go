package sandbox

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// scene is what attempts are made upon.
type scene struct {
	policy Policy
	// ws may be written, outside not; both are on the same file system.
	ws, outside string
	// secret is a file outside, home the server's own folder inside of another
	// writable root.
	secret, home string
	// inner is a writable root inside of another one, linked one with a .git that
	// is a link.
	inner, linked string
	// victim is a process of the same user, unconfined.
	victim string
	// terminal is somebody else's.
	terminal                                   string
	tcp, udp, unixPath, datagram, abstractName string
}

// newScene makes one; an attempt may break it, so each gets its own.
func newScene(t *testing.T) scene {
	t.Helper()
	p := workspace(t)
	sc := scene{policy: p, ws: p.Cwd, outside: realTemp(t)}
	sc.secret = put(t, filepath.Join(sc.outside, "secret"), "untouched")
	other := realTemp(t)
	sc.inner, sc.linked = filepath.Join(sc.ws, "inner"), filepath.Join(sc.ws, "linked")
	sc.policy.WritableRoots = []string{other, sc.inner, sc.linked}
	put(t, filepath.Join(sc.inner, ".git", "config"), "untouched")
	put(t, filepath.Join(sc.linked, "stored", "config"), "untouched")
	if err := os.Symlink("stored", filepath.Join(sc.linked, ".git")); err != nil {
		t.Fatal(err)
	}
	sc.home = filepath.Join(other, "deep", "home")
	put(t, filepath.Join(sc.home, "auth.json"), "untouched")
	put(t, filepath.Join(sc.ws, ".git", "config"), "untouched")
	put(t, filepath.Join(sc.ws, ".codex", "config.toml"), "untouched")
	put(t, filepath.Join(sc.ws, "own"), "own")

	victim := exec.Command("cat")
	if _, err := victim.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = victim.Process.Kill(); _ = victim.Wait() })
	sc.victim = strconv.Itoa(victim.Process.Pid)
	_, sc.terminal = openTerminal(t)

	listen := func(network, address string) net.Listener {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	sc.tcp = listen("tcp", "127.0.0.1:0").Addr().String()
	sc.unixPath = listen("unix", filepath.Join(sc.outside, "s")).Addr().String()
	sc.abstractName = listen("unix", "@sandbox-test-"+sc.victim).Addr().String()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sc.udp = udp.LocalAddr().String()
	sc.datagram = filepath.Join(sc.outside, "d")
	gram, err := net.ListenPacket("unixgram", sc.datagram)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close(); _ = gram.Close() })
	return sc
}

// escapes are things that no confined command may do. Each is done for real,
// once without the sandbox, where it must succeed, and once inside.
var escapes = []struct {
	name string
	args func(scene) []string
	// rootOnly: others cannot do it without a sandbox either.
	rootOnly bool
	// needs names the wall without which it is not refused; empty: any will do.
	needs string
}{
	{name: "write outside", args: func(s scene) []string { return []string{"write", s.secret} }},
	{name: "create outside", args: func(s scene) []string { return []string{"write", s.outside + "/new"} }},
	{name: "append outside", args: func(s scene) []string { return []string{"append", s.secret} }},
	{name: "truncate outside", args: func(s scene) []string { return []string{"truncate", s.secret} }},
	{name: "mkdir outside", args: func(s scene) []string { return []string{"mkdir", s.outside + "/dir"} }},
	{name: "remove outside", args: func(s scene) []string { return []string{"remove", s.secret} }},
	{name: "chmod outside", needs: "namespaces", args: func(s scene) []string { return []string{"chmod", s.secret} }},
	{name: "dotdot", args: func(s scene) []string { return []string{"write", s.ws + "/../" + filepath.Base(s.ws) + "x"} }},
	{name: "symlink", args: func(s scene) []string { return []string{"symlink", s.secret, s.ws + "/link"} }},
	{name: "hard link", args: func(s scene) []string { return []string{"hardlink", s.secret, s.ws + "/link"} }},
	{name: "rename in", args: func(s scene) []string { return []string{"rename", s.secret, s.ws + "/taken"} }},
	{name: "rename out", args: func(s scene) []string { return []string{"rename", s.ws + "/own", s.secret} }},
	{name: "proc self root", args: func(s scene) []string { return []string{"write", "/proc/self/root" + s.secret} }},
	{name: "proc victim root", args: func(s scene) []string { return []string{"write", "/proc/" + s.victim + "/root" + s.secret} }},
	{name: "proc victim cwd", args: func(s scene) []string { return []string{"write", "/proc/" + s.victim + "/cwd/escaped-by-test"} }},
	{name: "memory", args: func(s scene) []string { return []string{"readmem", s.victim} }},
	{name: "environment", args: func(s scene) []string { return []string{"readenv", s.victim} }},
	{name: "ptrace", args: func(s scene) []string { return []string{"ptrace", s.victim} }},
	{name: "signal", needs: "landlock", args: func(s scene) []string { return []string{"signal", s.victim} }},
	{name: "limits", args: func(s scene) []string { return []string{"limits", s.victim} }},
	{name: "git", needs: "namespaces", args: func(s scene) []string { return []string{"write", s.ws + "/.git/config"} }},
	{name: "git hook", needs: "namespaces", args: func(s scene) []string { return []string{"write", s.ws + "/.git/hook"} }},
	{name: "git aside", needs: "namespaces", args: func(s scene) []string { return []string{"swap", s.ws + "/.git", s.ws + "/.git/config"} }},
	{name: "git hard link", needs: "namespaces", args: func(s scene) []string { return []string{"hardlink", s.ws + "/.git/config", s.ws + "/link"} }},
	{name: "git with its root aside", needs: "namespaces", args: func(s scene) []string { return []string{"swap", s.inner, s.inner + "/.git/config"} }},
	{name: "git through a link", needs: "namespaces", args: func(s scene) []string { return []string{"write", s.linked + "/.git/config"} }},
	{name: "link to git aside", needs: "namespaces", args: func(s scene) []string { return []string{"swap", s.linked + "/.git", s.linked + "/.git/config"} }},
	{name: "codex", needs: "namespaces", args: func(s scene) []string { return []string{"write", s.ws + "/.codex/config.toml"} }},
	{name: "home", args: func(s scene) []string { return []string{"write", s.home + "/auth.json"} }},
	{name: "home new", args: func(s scene) []string { return []string{"write", s.home + "/new"} }},
	{name: "home aside", args: func(s scene) []string { return []string{"swap", s.home, s.home + "/auth.json"} }},
	{name: "home's parent aside", args: func(s scene) []string { return []string{"swap", filepath.Dir(s.home), s.home + "/auth.json"} }},
	{name: "tcp", args: func(s scene) []string { return []string{"dial", "tcp", s.tcp} }},
	{name: "udp", args: func(s scene) []string { return []string{"dial", "udp", s.udp} }},
	{name: "unix socket", args: func(s scene) []string { return []string{"dial", "unix", s.unixPath} }},
	{name: "unix datagram", args: func(s scene) []string { return []string{"dial", "unixgram", s.datagram} }},
	{name: "unix datagram unconnected", args: func(s scene) []string { return []string{"sendto", s.datagram} }},
	{name: "abstract socket", args: func(s scene) []string { return []string{"dial", "unix", s.abstractName} }},
	{name: "background child", args: func(s scene) []string { return []string{"background", s.secret} }},
	{name: "terminal", args: func(s scene) []string { return []string{"append", s.terminal} }},
	{name: "type into terminal", args: func(scene) []string { return []string{"tiocsti"} }},
	{name: "user namespace", args: func(scene) []string { return []string{"userns"} }},
	{name: "mount namespace", rootOnly: true, args: func(scene) []string { return []string{"unshare"} }},
	{name: "mount", rootOnly: true, args: func(s scene) []string { return []string{"mount", s.ws} }},
	{name: "remount", rootOnly: true, args: func(s scene) []string { return []string{"remount"} }},
	{name: "set-user-id", args: func(s scene) []string { return []string{"setuid", s.ws + "/own"} }},
	{name: "set-user-id at creation", args: func(s scene) []string { return []string{"setuidcreate", s.ws + "/f"} }},
	{name: "set-user-id without a name", args: func(s scene) []string { return []string{"setuidlink", s.ws} }},
	{name: "device", rootOnly: true, args: func(s scene) []string { return []string{"mknod", s.ws + "/dev"} }},
	{name: "io_uring", args: func(scene) []string { return []string{"iouring"} }},
	{name: "keys", args: func(scene) []string { return []string{"keyctl"} }},
}

func TestEscape(t *testing.T) {
	program := testBinary(t)
	for _, e := range escapes {
		t.Run(e.name, func(t *testing.T) {
			argv := func(sc scene) []string { return append([]string{program, attemptArg}, e.args(sc)...) }
			sc := newScene(t)
			open := start(t, Command{Argv: argv(sc)}, sc.ws)
			_ = os.Remove("escaped-by-test")
			if !strings.HasPrefix(open.out, escaped) {
				if e.rootOnly && os.Geteuid() != 0 {
					t.Skip("only root can")
				}
				// Nothing is proved where the thing fails anyway.
				t.Skipf("fails without a sandbox too: %+v", open)
			}
			for name, w := range setups {
				t.Run(name, func(t *testing.T) {
					sc := newScene(t)
					s := fixed(t, w, Options{Protected: []string{sc.home}})
					r := run(t, s, sc.policy, argv(sc)...)
					want := refused
					if e.needs != "" && slices.Contains([]string{"namespaces", "landlock"}, name) && name != e.needs {
						want = escaped // as Support.Missing says
					}
					if !strings.HasPrefix(r.out, want) {
						t.Errorf("want %s, got %+v", want, r)
					}
					for _, file := range []string{sc.secret, sc.home + "/auth.json"} {
						if b, err := os.ReadFile(file); want == refused && (err != nil || string(b) != "untouched") {
							t.Errorf("%s: %q, %v", file, b, err)
						}
					}
				})
			}
		})
	}
}

// Without root other rules hold in the kernel, so everything runs once more.
func TestEscapeAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "sandbox-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(testBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "sandbox.test")
	if err := os.WriteFile(program, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run", "^(TestEscape|TestWorkspaceWrite|TestReadOnly|TestSameProcess|TestTerminalStillWorks|TestWorktree.*|TestSupport)$", "-test.v")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("as another user: %v\n%s", err, out)
	}
	if n := strings.Count(string(out), "--- PASS: TestEscape/"); n < 50 {
		t.Errorf("only %d escapes were refused\n%s", n, out)
	}
}
