package sandbox

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"app-server/protocol"
)

func TestSupport(t *testing.T) {
	for name, w := range setups {
		s := fixed(t, w, Options{}).Probe()
		if !s.Seccomp || (s.Warning() == "") != (name == "all") {
			t.Errorf("%s: %+v", name, s)
		}
		if name == "landlock" && !strings.Contains(s.Warning(), ".git") {
			t.Errorf("the warning says nothing of .git: %s", s.Warning())
		}
	}
}

// Where nothing can be enforced nothing runs.
func TestNoWalls(t *testing.T) {
	s := New(Options{})
	support := probeWalls(walls{})
	s.probe = func() Support { return support }
	c, err := s.Command(workspace(t), []string{"true"})
	if !errors.Is(err, ErrUnsupported) || c.Argv != nil {
		t.Errorf("got %+v, %v", c, err)
	}
	if w := support.Warning(); !strings.Contains(w, "namespaces: ") || !strings.Contains(w, "landlock: ") {
		t.Errorf("warning %q", w)
	}
	if _, err := s.Command(Policy{Mode: protocol.SandboxDangerFullAccess}, []string{"true"}); err != nil {
		t.Errorf("full access: %v", err)
	}
}

// A plan without walls is refused by the child too.
func TestChildRefusesWithoutWalls(t *testing.T) {
	args, err := plan{}.args([]string{"echo", "ran"})
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, Command{Argv: append([]string{self}, args...)}, "/")
	if reason, failed := SetupError(r.code, r.errOut); !failed || reason != "neither namespaces nor landlock" || r.out != "" {
		t.Errorf("got %+v", r)
	}
}

// The repository of a worktree may lie in another writable folder.
func TestWorktree(t *testing.T) {
	s := fixed(t, setups["all"], Options{})
	base := realTemp(t)
	put(t, filepath.Join(base, "main/.git/worktrees/w/commondir"), "../..\n")
	put(t, filepath.Join(base, "main/.git/config"), "")
	put(t, filepath.Join(base, "w/.git"), "gitdir: ../main/.git/worktrees/w\n")
	p := Policy{Mode: protocol.SandboxWorkspaceWrite, Cwd: filepath.Join(base, "w"), WritableRoots: []string{base}, NoSlashTmp: true, NoTmpdir: true}
	r := run(t, s, p, "sh", "-c", "for f in .git ../main/.git/config ../main/.git/worktrees/w/HEAD; do echo x 2>/dev/null >$f && echo $f; done; "+
		"mv ../main ../other; mv ../w ../v; echo x >ok && cat ok")
	if r.out != "x\n" {
		t.Errorf("got %+v", r)
	}
}

// A link that takes the place of a folder after it was resolved is not followed.
func TestLinkPlantedLater(t *testing.T) {
	for name, w := range setups {
		s := fixed(t, w, Options{})
		p := workspace(t)
		outside := realTemp(t)
		root := filepath.Join(realTemp(t), "root")
		put(t, filepath.Join(root, "f"), "")
		p.WritableRoots = []string{root}
		c, err := s.Command(p, []string{"sh", "-c", "echo x >" + outside + "/f"})
		if err != nil {
			t.Fatal(err)
		}
		swapForLink(t, root, outside)
		if r := start(t, c, p.Cwd); r.code == 0 {
			t.Errorf("%s: written through the link: %+v", name, r)
		}
	}
}
