package git

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	dir := repository(t, `
git commit -q --allow-empty -m one
git remote add origin https://user:secret@example.com/a.git
mkdir deep`)
	want := State{SHA: run(t, dir, "git rev-parse HEAD"), Branch: "main", Origin: "https://example.com/a.git"}
	for _, in := range []string{dir, filepath.Join(dir, "deep"), filepath.Join(dir, "deep", "gone")} {
		got, err := Describe(t.Context(), in, os.Getenv)
		if in == filepath.Join(dir, "deep", "gone") {
			if err == nil {
				t.Errorf("a folder that is not there: %+v", got)
			}
			continue
		}
		if got != want || err != nil {
			t.Errorf("Describe(%s) = %+v, %v, want %+v", in, got, err, want)
		}
	}
	run(t, dir, "git checkout -q --detach && git remote remove origin")
	if got, err := Describe(t.Context(), dir, os.Getenv); err != nil || got != (State{SHA: want.SHA}) {
		t.Errorf("a detached HEAD: %+v, %v", got, err)
	}
	if got, err := Describe(t.Context(), repository(t, ""), os.Getenv); err != nil || got != (State{Branch: "main"}) {
		t.Errorf("no commit yet: %+v, %v", got, err)
	}
	if got, err := Describe(t.Context(), t.TempDir(), os.Getenv); err == nil {
		t.Errorf("no repository: %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := Describe(ctx, dir, os.Getenv); err == nil {
		t.Errorf("a context that has ended: %+v", got)
	}
}

// over is a context whose time was over when nobody looked.
type over struct{ context.Context }

func (over) Err() error { return context.DeadlineExceeded }

// TestLateAnswer: what git has said counts, though the time is over by then.
func TestLateAnswer(t *testing.T) {
	dir := repository(t, "git commit -q --allow-empty -m one")
	got, err := newRunner(dir, os.Getenv).run(over{context.Background()}, "rev-parse", "HEAD")
	if want := run(t, dir, "git rev-parse HEAD"); strings.TrimSpace(got) != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestWithoutUser(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"git@example.com:a/b.git":         "git@example.com:a/b.git",
		"ssh://git@example.com/a.git":     "ssh://git@example.com/a.git",
		"ssh://git:pw@example.com/a.git":  "ssh://example.com/a.git",
		"https://token@example.com/a.git": "https://example.com/a.git",
		"https://u:p@example.com:8/a.git": "https://example.com:8/a.git",
		"/srv/a.git":                      "/srv/a.git",
		"https://u:50%@example.com/a.git": "https://example.com/a.git",
		"https://u:a#b/c@example.com/a":   "https://example.com/a",
	} {
		if got := withoutUser(in); got != want {
			t.Errorf("withoutUser(%q) = %q, want %q", in, got, want)
		}
	}
}
