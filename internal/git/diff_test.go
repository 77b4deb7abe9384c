package git

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// repo is a repository with a remote, to be driven by git.
type repo struct {
	t   *testing.T
	dir string
}

func newRepo(t *testing.T) repo {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git here")
	}
	dir := t.TempDir()
	r := repo{t, filepath.Join(dir, "work")}
	repo{t, dir}.git("init", "-q", "--bare", "remote")
	repo{t, dir}.git("init", "-q", "-b", "main", "work")
	r.git("remote", "add", "origin", filepath.Join(dir, "remote"))
	return r
}

func (r repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=n", "-c", "user.email=n@example.com"}, args...)...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r repo) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r repo) commit(name, content string) string {
	r.t.Helper()
	r.write(name, content)
	r.git("add", name)
	r.git("commit", "-q", "-m", name)
	return r.git("rev-parse", "HEAD")
}

// diff is the diff as seen from a folder: which files it names.
func (r repo) diff(from string) (Diff, []string) {
	r.t.Helper()
	d, err := DiffToRemote(r.t.Context(), filepath.Join(r.dir, from), os.Getenv)
	if err != nil {
		r.t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(d.Text) {
		if rest, ok := strings.CutPrefix(line, "diff --git a/"); ok {
			name, _, _ := strings.Cut(rest, " ")
			names = append(names, name)
		}
	}
	return d, names
}

func TestDiffToRemote(t *testing.T) {
	r := newRepo(t)
	one := r.commit("a.txt", "a\n")
	r.git("push", "-q", "origin", "main")
	if d, names := r.diff("."); d.SHA != one || d.Text != "" {
		t.Errorf("nothing to tell: %v, %v", d, names)
	}

	two := r.commit("b.txt", "b\n")
	r.write("a.txt", "changed\n")
	r.write("sub/new.txt", "new\n")
	r.write("sub/bin", "\x00\x01")
	r.write("x.log", "ignored\n")
	r.write(".gitignore", "*.log\n")
	r.write("staged.txt", "staged\n")
	r.git("add", "staged.txt")
	before := r.git("status", "--porcelain")
	for _, from := range []string{".", "sub"} {
		d, names := r.diff(from)
		if diff := cmp.Diff([]string{".gitignore", "a.txt", "b.txt", "staged.txt", "sub/bin", "sub/new.txt"}, names); diff != "" || d.SHA != one {
			t.Errorf("from %s: base %s\n%s", from, d.SHA, diff)
		}
		if !strings.Contains(d.Text, "+changed\n") || !strings.Contains(d.Text, "GIT binary patch") {
			t.Errorf("from %s: %s", from, d.Text)
		}
	}
	if after := r.git("status", "--porcelain"); after != before {
		t.Errorf("the index changed: %s, before %s", after, before)
	}

	// A branch that no remote knows counts from where it left one that is known.
	r.git("checkout", "-q", "-b", "feature")
	if d, _ := r.diff("."); d.SHA != one {
		t.Errorf("on a new branch: %s", d.SHA)
	}
	// Of two ways to what a remote has, the shorter one counts.
	r.git("push", "-q", "origin", "main")
	r.git("checkout", "-q", "-b", "other", one)
	r.commit("c.txt", "c\n")
	r.git("stash", "-q", "--include-untracked")
	r.git("merge", "-q", "-m", "join", "feature")
	if d, names := r.diff("."); d.SHA != two {
		t.Errorf("after a merge: %s, want %s: %v", d.SHA, two, names)
	}
}

// A change in the second in which the file was added, and of the same size, is not
// hidden by its time.
func TestDiffToRemoteOfTheSameSecond(t *testing.T) {
	r := newRepo(t)
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	dated := func(name string) {
		if err := os.Chtimes(filepath.Join(r.dir, name), then, then); err != nil {
			t.Fatal(err)
		}
	}
	r.git("config", "core.trustctime", "false") // which cannot be set to the past
	r.write("a.txt", "a\n")
	dated("a.txt")
	r.git("add", "a.txt")
	r.git("commit", "-q", "-m", "a")
	r.git("push", "-q", "origin", "main")
	dated(".git/index")
	r.write("a.txt", "A\n")
	dated("a.txt")
	if _, names := r.diff("."); !cmp.Equal(names, []string{"a.txt"}) {
		t.Error(names)
	}
}

func TestDiffToRemoteRefuses(t *testing.T) {
	r := newRepo(t)
	ctx := t.Context()
	if d, err := DiffToRemote(ctx, t.TempDir(), os.Getenv); !errors.Is(err, errNoRepository) {
		t.Error("no repository", d, err)
	}
	if d, err := DiffToRemote(ctx, filepath.Join(r.dir, "none"), os.Getenv); !errors.Is(err, errNoRepository) {
		t.Error("no folder", d, err)
	}
	if d, err := DiffToRemote(ctx, r.dir, os.Getenv); !errors.Is(err, errNoCommit) {
		t.Error("no commit", d, err)
	}
	r.commit("a.txt", "a\n")
	if d, err := DiffToRemote(ctx, r.dir, os.Getenv); !errors.Is(err, errNoRemote) {
		t.Error("nothing pushed", d, err)
	}
	r.git("push", "-q", "origin", "main")
	r.write("large.txt", strings.Repeat("0123456789abcde\n", maxOutput/16+1))
	if _, err := DiffToRemote(ctx, r.dir, os.Getenv); !errors.Is(err, errTooLarge) {
		t.Error("too large", err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := DiffToRemote(stopped, r.dir, os.Getenv); !errors.Is(err, context.Canceled) {
		t.Error("stopped", err)
	}
}

// A repository may come from anywhere: its settings must not make git run
// programs.
func TestDiffToRemoteRunsNothing(t *testing.T) {
	r := newRepo(t)
	r.commit("a.txt", "a\n")
	r.git("push", "-q", "origin", "main")
	mark := filepath.Join(t.TempDir(), "mark")
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ntouch "+mark+"\ncat\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"diff.external", "core.fsmonitor", "diff.own.textconv", "core.pager", "filter.own.clean", "filter.own.process"} {
		r.git("config", key, script)
	}
	r.git("config", "filter.own.required", "true")
	r.write(".gitattributes", "* diff=own filter=own\n")
	r.write("a.txt", "b\n")
	if _, names := r.diff("."); len(names) != 2 {
		t.Error(names)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("a program of the repository was run")
	}
}

// Neither must those of a submodule, in which git would look for changes.
func TestDiffToRemoteOfSubmodule(t *testing.T) {
	r := newRepo(t)
	inner := repo{t, filepath.Join(r.dir, "inner")}
	r.git("init", "-q", "-b", "main", "inner")
	inner.commit("a.txt", "a\n")
	r.git("add", "inner")
	r.git("commit", "-q", "-m", "inner")
	r.git("push", "-q", "origin", "main")
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ntouch $0.ran\ncat\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	inner.write(".gitattributes", "* filter=own\n")
	inner.write("a.txt", "b\n")
	inner.git("config", "filter.own.clean", script)
	inner.git("config", "diff.external", script)
	r.git("config", "diff.submodule", "diff")
	r.git("config", "submodule.inner.ignore", "none")
	r.write("new/.keep", "")
	r.git("init", "-q", "unborn") // has no commit, and git add would refuse it
	if _, names := r.diff("."); !cmp.Equal(names, []string{"new/.keep"}) {
		t.Error(names)
	}
	if _, err := os.Stat(script + ".ran"); err == nil {
		t.Error("a program of the submodule was run")
	}
}

// The user's own filters are used, also where the repository has others under
// their names.
func TestDiffToRemoteUsersFilters(t *testing.T) {
	r := newRepo(t)
	global := filepath.Join(t.TempDir(), "gitconfig")
	t.Setenv("GIT_CONFIG_GLOBAL", global)
	if err := os.WriteFile(global, []byte("[filter \"up\"]\n\tclean = tr a-z A-Z\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.commit("a.txt", "HELLO\n")
	r.git("push", "-q", "origin", "main")
	r.git("config", "filter.up.clean", "false")
	r.write(".git/info/attributes", "*.txt filter=up\n")
	r.write("a.txt", "hello\n")
	if _, names := r.diff("."); names != nil {
		t.Error(names)
	}
	r.git("config", "filter.a=b.clean", "false")
	if d, err := DiffToRemote(t.Context(), r.dir, os.Getenv); err == nil {
		t.Error("a filter that cannot be switched off", d)
	}
}
