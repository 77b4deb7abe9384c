package git

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository makes one with these commands run in it, and returns its folder.
func repository(t *testing.T, script string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git here")
	}
	dir := t.TempDir()
	run(t, dir, "git init -q -b main && git config user.name n && git config user.email a@b && git config commit.gpgsign false\n"+script)
	return dir
}

func run(t *testing.T, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestMergeBase(t *testing.T) {
	dir := repository(t, `
git commit -q --allow-empty -m base
git checkout -q -b work
git commit -q --allow-empty -m mine
git checkout -q main
git commit -q --allow-empty -m theirs
git checkout -q work
mkdir deep`)
	want := run(t, dir, "git rev-parse main~1")
	for _, in := range []string{dir, filepath.Join(dir, "deep")} {
		if got, err := MergeBase(t.Context(), in, "main", os.Getenv); got != want || err != nil {
			t.Errorf("MergeBase(%s) = %q, %v, want %q", in, got, err, want)
		}
	}
	if got, err := MergeBase(t.Context(), dir, want, os.Getenv); got != want || err != nil {
		t.Errorf("MergeBase of a commit = %q, %v, want %q", got, err, want)
	}
	for _, branch := range []string{"nope", "", "-h", "--all", "main\nwork", "main; touch x"} {
		if got, err := MergeBase(t.Context(), dir, branch, os.Getenv); err == nil {
			t.Errorf("MergeBase(%q) = %q", branch, got)
		}
	}
	if _, err := MergeBase(t.Context(), t.TempDir(), "main", os.Getenv); err == nil {
		t.Error("a folder without a repository has a merge base")
	}
	if _, err := MergeBase(t.Context(), filepath.Join(dir, "gone"), "main", os.Getenv); err == nil {
		t.Error("a folder that is not there has a merge base")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := MergeBase(ctx, dir, "main", os.Getenv); err == nil {
		t.Error("a context that has ended is passed over")
	}
}

// TestMergeBaseUpstream: the branch's upstream is ahead, and HEAD was made from
// there; then behind, where the local branch decides.
func TestMergeBaseUpstream(t *testing.T) {
	dir := repository(t, `
git commit -q --allow-empty -m one
git update-ref refs/remotes/origin/main HEAD
git remote add origin .
git branch -q --set-upstream-to=origin/main main
git checkout -q -b work
git commit -q --allow-empty -m two
git update-ref refs/remotes/origin/main HEAD
git commit -q --allow-empty -m mine`)
	if got, err := MergeBase(t.Context(), dir, "main", os.Getenv); err != nil || got != run(t, dir, "git rev-parse work~1") {
		t.Errorf("upstream ahead: %q, %v", got, err)
	}
	run(t, dir, "git update-ref refs/remotes/origin/main work~2; git branch -q -f main work~1")
	if got, err := MergeBase(t.Context(), dir, "main", os.Getenv); err != nil || got != run(t, dir, "git rev-parse work~1") {
		t.Errorf("upstream behind: %q, %v", got, err)
	}
}

// TestHostileRepository: nothing that a repository's configuration names is run,
// and what the environment says of another repository is not believed.
func TestHostileRepository(t *testing.T) {
	dir := repository(t, `
git commit -q --allow-empty -m one
printf '#!/bin/sh\ntouch "$0.ran"\n' > trap; chmod +x trap
git config core.fsmonitor "$PWD/trap"; git config core.sshCommand "$PWD/trap"; git config core.pager "$PWD/trap"
git config alias.merge-base "!$PWD/trap"; git config protocol.ext.allow always
git config remote.r.url "ext::$PWD/trap"; git config remote.r.promisor true; git config extensions.partialClone r
git update-ref refs/heads/gone HEAD; rm .git/refs/heads/gone
echo 0123456789012345678901234567890123456789 > .git/refs/heads/gone`)
	t.Setenv("GIT_DIR", t.TempDir())
	if _, err := MergeBase(t.Context(), dir, "main", os.Getenv); err != nil {
		t.Error(err)
	}
	if base, err := MergeBase(t.Context(), dir, "gone", os.Getenv); err == nil {
		t.Errorf("a commit that is not there has the base %s", base)
	}
	if _, err := os.Stat(filepath.Join(dir, "trap.ran")); err == nil {
		t.Error("a command of the repository was run")
	}
}

func TestWithoutGit(t *testing.T) {
	dir := repository(t, "git commit -q --allow-empty -m one")
	t.Setenv("PATH", t.TempDir())
	if _, err := MergeBase(t.Context(), dir, "main", os.Getenv); err == nil {
		t.Error("there is a merge base without git")
	}
}
