package sandbox

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"

	"app-server/protocol"
)

func ptr(b *byte) unsafe.Pointer { return unsafe.Pointer(b) }

// fixed is a sandbox with some of the walls that this host has.
func fixed(t *testing.T, w walls, o Options) *Sandbox {
	t.Helper()
	s := New(o)
	support := probeWalls(w)
	if support.Err != nil {
		t.Skipf("this host cannot: %v", support.Err)
	}
	if support.Namespaces != w.namespaces || support.Landlock != w.landlock {
		t.Skipf("this host has other walls: %+v", support)
	}
	s.probe = func() Support { return support }
	return s
}

// setups are the ways in which a host can confine.
var setups = map[string]walls{
	"all":        {namespaces: true, landlock: true},
	"namespaces": {namespaces: true},
	"landlock":   {landlock: true},
}

// result is how a command went.
type result struct {
	code        int
	out, errOut string
}

// start runs a command to its end, in dir.
func start(t testing.TB, c Command, dir string, env ...string) result {
	t.Helper()
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.SysProcAttr, cmd.Dir = c.Attr, dir
	cmd.Env = append(append(os.Environ(), c.Env...), env...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("start: %v", err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// run runs argv under a policy.
func run(t testing.TB, s *Sandbox, p Policy, argv ...string) result {
	t.Helper()
	c, err := s.Command(p, argv)
	if err != nil {
		t.Fatalf("command: %v", err)
	}
	return start(t, c, p.Cwd)
}

// workspace is a policy that allows to write in a new folder and nowhere else.
func workspace(t testing.TB) Policy {
	return Policy{Mode: protocol.SandboxWorkspaceWrite, Cwd: realTemp(t), NoTmpdir: true, NoSlashTmp: true}
}

// realTemp is a new folder without links in its path.
func realTemp(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// put writes a file and the folders on the way.
func put(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// testBinary is this test's own program.
func testBinary(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// swapForLink puts a link in the place of a folder.
func swapForLink(t *testing.T, dir, target string) {
	t.Helper()
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, dir); err != nil {
		t.Fatal(err)
	}
}
