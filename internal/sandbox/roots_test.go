//go:build unix

package sandbox

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

func symlink(t *testing.T, target, link string) {
	t.Helper()
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func touch(t *testing.T, path, text string) {
	t.Helper()
	mkdir(t, filepath.Dir(path))
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFolders(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in := func(path string) string { return filepath.Join(base, path) }
	mkdir(t, in("plain"))
	mkdir(t, in("repo/.git"))
	mkdir(t, in("repo/.codex"))
	mkdir(t, in("repo/sub/.git"))
	mkdir(t, in("real"))
	symlink(t, in("real"), in("chosen"))
	mkdir(t, in("outside"))
	symlink(t, in("outside"), in("repo/planted"))
	mkdir(t, in("home/work"))
	mkdir(t, in("tmpdir"))
	// A worktree whose repository lies in another writable folder.
	mkdir(t, in("main/.git/worktrees/w"))
	touch(t, in("main/.git/worktrees/w/commondir"), "../..\n")
	touch(t, in("w/.git"), "gitdir: "+in("main/.git/worktrees/w")+"\n")
	touch(t, in("broken/.git"), "gitdir:\n")
	// A .git that is a link.
	mkdir(t, in("linked/stored"))
	symlink(t, "stored", in("linked/.git"))

	for _, tc := range []struct {
		name           string
		policy         Policy
		writable, kept []string
	}{
		{name: "plain", policy: Policy{Cwd: in("plain")}, writable: []string{"plain"}},
		{name: "repository", policy: Policy{Cwd: in("repo")}, writable: []string{"repo"}, kept: []string{"repo/.codex", "repo/.git"}},
		{name: "below a repository", policy: Policy{Cwd: in("plain"), WritableRoots: []string{"../repo/sub"}},
			writable: []string{"plain", "repo/sub"}, kept: []string{"repo/sub/.git"}},
		{name: "missing root", policy: Policy{Cwd: in("plain"), WritableRoots: []string{in("none"), in("w/.git")}}, writable: []string{"plain"}},
		{name: "link chosen by the user", policy: Policy{Cwd: in("chosen")}, writable: []string{"real"}},
		{name: "link in a writable folder", policy: Policy{Cwd: in("repo"), WritableRoots: []string{in("repo/planted")}},
			writable: []string{"repo"}, kept: []string{"repo/.codex", "repo/.git"}},
		{name: "named although kept", policy: Policy{Cwd: in("repo"), WritableRoots: []string{in("repo/.git")}},
			writable: []string{"repo", "repo/.git"}, kept: []string{"repo/.codex"}},
		{name: "worktree alone", policy: Policy{Cwd: in("w")}, writable: []string{"w"}, kept: []string{"w/.git"}},
		{name: "worktree and its repository", policy: Policy{Cwd: in("w"), WritableRoots: []string{base}},
			writable: []string{"", "w"}, kept: []string{"main/.git", "main/.git/worktrees/w", "w/.git"}},
		{name: "broken worktree", policy: Policy{Cwd: in("broken")}, writable: []string{"broken"}, kept: []string{"broken/.git"}},
		{name: "git as a link", policy: Policy{Cwd: in("linked")}, writable: []string{"linked"}, kept: []string{"linked/.git", "linked/stored"}},
		{name: "inside of the home", policy: Policy{Cwd: in("home/work"), WritableRoots: []string{in("plain")}}, writable: []string{"plain"}},
		{name: "read-only", policy: Policy{Mode: protocol.SandboxReadOnly, Cwd: in("repo"), WritableRoots: []string{in("plain")}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := New(Options{Protected: []string{in("home"), in("absent")}, Tmpdir: in("tmpdir")})
			p := tc.policy
			p.NoSlashTmp, p.NoTmpdir = true, true
			if p.Mode == "" {
				p.Mode = protocol.SandboxWorkspaceWrite
			}
			got, err := s.Folders(p)
			if err != nil {
				t.Fatal(err)
			}
			want := Folders{Never: []string{in("home")}}
			for _, dir := range tc.writable {
				want.Writable = append(want.Writable, in(dir))
			}
			for _, dir := range tc.kept {
				want.Kept = append(want.Kept, in(dir))
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}

	t.Run("tmp", func(t *testing.T) {
		s := New(Options{Tmpdir: in("tmpdir")})
		got, err := s.Folders(Policy{Mode: protocol.SandboxWorkspaceWrite, Cwd: in("plain"), NoSlashTmp: true})
		if err != nil || !got.Allows(in("tmpdir/x")) {
			t.Errorf("got %+v, %v", got, err)
		}
		got, err = s.Folders(Policy{Mode: protocol.SandboxWorkspaceWrite, Cwd: in("plain"), NoTmpdir: true})
		if err != nil || !got.Allows("/tmp/x") {
			t.Errorf("got %+v, %v", got, err)
		}
	})

	t.Run("allows", func(t *testing.T) {
		s := New(Options{Protected: []string{in("home")}})
		f, err := s.Folders(Policy{Mode: protocol.SandboxWorkspaceWrite, Cwd: in("repo"), NoSlashTmp: true, WritableRoots: []string{in("linked")}})
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]bool{
			"repo": true, "repo/new": true, "repo/a/b/c": true, "repo/.git": false, "repo/.git/x/y": false,
			"repo/.gitignore": true, "repository": false, "repo/planted": true,
			"repo/sub/.git/x": false, "linked/stored/config": false, "home/x": false, "repo/../outside/x": false,
		} {
			if got := f.Allows(in(path)); got != want {
				t.Errorf("%s: %v", path, got)
			}
		}
		if f.Allows("relative") {
			t.Error("a relative path is allowed")
		}
	})
}

func TestFoldersRefuses(t *testing.T) {
	s := New(Options{})
	for _, p := range []Policy{
		{Mode: "other", Cwd: "/"},
		{Mode: protocol.SandboxWorkspaceWrite, Cwd: "relative"},
	} {
		if _, err := s.Folders(p); err == nil {
			t.Errorf("%+v: no error", p)
		}
	}
}

func TestLayers(t *testing.T) {
	f := Folders{
		Writable: []string{"/a", "/a/b", "/a/.git/inner", "/c/home/inside"},
		Kept:     []string{"/a/.git", "/a/b/.git"},
		Never:    []string{"/c/home", "/a/b/x/home"},
	}
	want := []layer{{"/a", true}, {"/a/.git", false}, {"/a/.git/inner", true}, {"/a/b/.git", false}, {"/a/b/x/home", false}}
	if d := cmp.Diff(want, f.layers(), cmp.AllowUnexported(layer{})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"/a/b", "/a/b/x"}, f.between("/a/b/x/home")); d != "" {
		t.Error(d)
	}
	if got := f.between("/elsewhere"); got != nil {
		t.Error(got)
	}
}

func TestArgs(t *testing.T) {
	p := plan{Folders: Folders{Writable: []string{"/a b"}, Never: []string{"/n"}}, Network: true, Landlock: true}
	args, err := p.args([]string{"sh", "-c", "x"})
	if err != nil || !Is(args) {
		t.Fatal(args, err)
	}
	got, argv, err := parseArgs(args)
	if d := cmp.Diff(p, got); d != "" || err != nil || len(argv) != 3 {
		t.Error(d, argv, err)
	}
	for _, bad := range [][]string{nil, {hiddenArg}, {hiddenArg, "{}"}, {hiddenArg, "{", "x"}, {hiddenArg, `{"new":1}`, "x"}, {"x", "{}", "x"}} {
		if _, _, err := parseArgs(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
