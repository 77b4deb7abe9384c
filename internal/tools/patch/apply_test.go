package patch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everything is a patch that does all there is to do, on the files of before.
const everything = `*** Add File: n/e/w
+new
*** Add File: over
+over
*** Update File: u
@@
-1
+2
*** Update File: m
*** Move to: sub/m2
@@
-1
+2
*** Update File: m3
*** Move to: over2
@@
 1
*** Delete File: d`

func before() map[string]string {
	return map[string]string{"over": "old\n", "over2": "old2\n", "u": "1\n", "m": "1\n", "m3": "1\n", "d": "\xff\n", "keep": "k\n"}
}

// TestApplyUndoes fails each rename in turn: nothing may be left of the patch.
func TestApplyUndoes(t *testing.T) {
	for n := 0; ; n++ {
		dir := tree(t, before())
		must(t, os.Chmod(filepath.Join(dir, "u"), 0o755))
		p, err := plan(t, dir, wrap(everything))
		must(t, err)
		calls := 0
		err = p.apply(t.Context(), func(string) error {
			if calls++; calls > n {
				return errors.New("disk full")
			}
			return nil
		})
		if err == nil {
			if n != 8 {
				t.Errorf("%d renames, want 8", n)
			}
			want := map[string]string{"n/e/w": "new\n", "over": "over\n", "u": "2\n", "sub/m2": "2\n", "over2": "1\n", "keep": "k\n"}
			if d := cmp.Diff(want, files(t, dir)); d != "" {
				t.Error(d)
			}
			return
		}
		if !strings.Contains(err.Error(), "disk full") {
			t.Fatal(err)
		}
		if d := cmp.Diff(before(), files(t, dir)); d != "" {
			t.Fatalf("after %d renames: %s", n, d)
		}
		if info, err := os.Stat(filepath.Join(dir, "u")); runtime.GOOS != "windows" && (err != nil || info.Mode().Perm() != 0o755) {
			t.Errorf("mode of a restored file: %v %v", info.Mode(), err)
		}
	}
}

func TestApplyUndoFails(t *testing.T) {
	dir := tree(t, map[string]string{"a": "1\n", "s/b": "1\n"})
	p, err := plan(t, dir, wrap("*** Update File: s/b\n@@\n-1\n+2\n*** Update File: a\n@@\n-1\n+2"))
	must(t, err)
	err = p.apply(t.Context(), func(real string) error {
		if filepath.Base(real) == "b" {
			return nil
		}
		// The folder of the first file goes away before it can be put back.
		must(t, os.RemoveAll(filepath.Join(dir, "s")))
		return errors.New("disk full")
	})
	var undo *UndoError
	if !errors.As(err, &undo) || len(undo.Paths) != 1 || undo.Paths[0] != filepath.Join(dir, "s", "b") {
		t.Errorf("got %v", err)
	}
}

func TestApplyKeepsMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permissions there")
	}
	dir := tree(t, map[string]string{"x": "1\n", "m": "1\n"})
	must(t, os.Chmod(filepath.Join(dir, "x"), 0o750))
	must(t, os.Chmod(filepath.Join(dir, "m"), 0o711))
	p, err := plan(t, dir, wrap("*** Update File: x\n@@\n-1\n+2\n*** Update File: m\n*** Move to: s/m\n@@\n 1\n*** Add File: n\n+1"))
	must(t, err)
	must(t, p.Apply(t.Context()))
	must(t, os.WriteFile(filepath.Join(dir, "like"), nil, 0o666))
	like, _ := os.Stat(filepath.Join(dir, "like"))
	for name, want := range map[string]os.FileMode{"x": 0o750, "s/m": 0o711, "n": like.Mode()} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode() != want {
			t.Errorf("%s: mode %v, want %v", name, info.Mode(), want)
		}
	}
}

func TestApplyReadOnly(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everything")
	}
	dir := tree(t, map[string]string{"a": "1\n"})
	must(t, os.Chmod(filepath.Join(dir, "a"), 0o444))
	p, err := plan(t, dir, wrap("*** Update File: a\n@@\n-1\n+2"))
	must(t, err)
	if err := p.Apply(t.Context()); err == nil {
		t.Error("a read-only file was replaced")
	}
}

func TestApplyStale(t *testing.T) {
	changes := map[string]func(dir string) error{
		"content": func(dir string) error { return os.WriteFile(filepath.Join(dir, "u"), []byte("3\n"), 0o644) },
		"gone":    func(dir string) error { return os.Remove(filepath.Join(dir, "d")) },
		"new":     func(dir string) error { return os.WriteFile(filepath.Join(dir, "sub"), nil, 0o644) },
		"made": func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o777), os.WriteFile(filepath.Join(dir, "sub/m2"), nil, 0o644))
		},
		"folder": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "u")), os.Mkdir(filepath.Join(dir, "u"), 0o777))
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, before())
			p, err := plan(t, dir, wrap(everything))
			must(t, err)
			must(t, change(dir))
			want := files(t, dir)
			err = p.Apply(t.Context())
			var stale *StaleError
			if err == nil || name != "new" && !errors.As(err, &stale) {
				t.Errorf("got %v", err)
			}
			if d := cmp.Diff(want, files(t, dir)); d != "" {
				t.Error(d)
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		dir := tree(t, before())
		p, err := plan(t, dir, wrap(everything))
		must(t, err)
		must(t, p.Apply(t.Context()))
		if err := p.Apply(t.Context()); err == nil {
			t.Error("applied twice")
		}
	})
}

func TestApplyCancelled(t *testing.T) {
	dir := tree(t, before())
	p, err := plan(t, dir, wrap(everything))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Apply(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff(before(), files(t, dir)); d != "" {
		t.Error(d)
	}
}

// TestApplySwappedSymlink puts symlinks in the way after the plan was checked.
// None may lead a write out of the paths that Touched told.
func TestApplySwappedSymlink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symlinks need a privilege there")
	}
	swap := func(dir, name string) error {
		p := filepath.Join(dir, name)
		return errors.Join(os.RemoveAll(p), os.Symlink(filepath.Join(dir, "secret"), p))
	}
	tests := []struct{ name, patch, swapped string }{
		{"folder of a new file", "*** Add File: in/f\n+x", "in"},
		{"missing folder of a new file", "*** Add File: in/new/f\n+x", "in/new"},
		{"folder of an old file", "*** Update File: in/old\n@@\n-1\n+2", "in"},
		{"the file itself", "*** Update File: in/old\n@@\n-1\n+2", "in/old"},
		{"the new file itself", "*** Add File: in/f\n+x", "in/f"},
		{"folder of a removal", "*** Delete File: in/old", "in"},
		{"target of a move", "*** Update File: in/old\n*** Move to: to/old\n@@\n 1", "to"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := tree(t, map[string]string{"in/old": "1\n", "secret/old": "1\n", "to/": ""})
			p, err := plan(t, dir, wrap(tt.patch))
			must(t, err)
			must(t, swap(dir, tt.swapped))
			want := files(t, dir)
			if err := p.Apply(t.Context()); err == nil {
				t.Error("applied through a symlink")
			}
			if d := cmp.Diff(want, files(t, dir)); d != "" {
				t.Error(d)
			}
		})
	}
	// Swapped between the check and the rename: the open folder is what counts.
	dir := tree(t, map[string]string{"in/old": "1\n", "secret/old": "1\n"})
	p, err := plan(t, dir, wrap("*** Update File: in/old\n@@\n-1\n+2\n*** Add File: in/f\n+x"))
	must(t, err)
	must(t, p.apply(t.Context(), func(string) error {
		if _, err := os.Lstat(filepath.Join(dir, "away")); err == nil {
			return nil
		}
		return errors.Join(os.Rename(filepath.Join(dir, "in"), filepath.Join(dir, "away")), swap(dir, "in"))
	}))
	want := map[string]string{"in@": filepath.Join(dir, "secret"), "secret/old": "1\n", "away/old": "2\n", "away/f": "x\n"}
	if d := cmp.Diff(want, files(t, dir)); d != "" {
		t.Error(d)
	}
}

// randomText makes a text of few different lines, which are hard to place.
func randomText(r *rand.Rand, longest int) string {
	var b strings.Builder
	for range r.IntN(longest + 1) {
		fmt.Fprintf(&b, "%s\n", []string{"", "a", "b", "}", "  x", "\tif y {", "é – “q”"}[r.IntN(7)])
	}
	return b.String()
}

// patchOfTexts writes a patch that turns one text into another: one hunk from
// the whole of both, so that only one place fits.
func patchOfTexts(before, after string) string {
	var b strings.Builder
	b.WriteString("*** Update File: f\n@@\n")
	old, now := splitLines(before), splitLines(after)
	head := 0
	for head < len(old) && head < len(now) && old[head] == now[head] {
		b.WriteString(" " + old[head])
		head++
	}
	tail := 0
	for tail < len(old)-head && tail < len(now)-head && old[len(old)-1-tail] == now[len(now)-1-tail] {
		tail++
	}
	for _, l := range old[head : len(old)-tail] {
		b.WriteString("-" + l)
	}
	for _, l := range now[head : len(now)-tail] {
		b.WriteString("+" + l)
	}
	for _, l := range old[len(old)-tail:] {
		b.WriteString(" " + l)
	}
	b.WriteString("*** End of File")
	return wrap(b.String())
}

func TestPatchOfTwoTextsGivesTheSecond(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		before, after := randomText(r, 12), randomText(r, 12)
		if before == "" && after == "" {
			continue
		}
		p, err := Parse(patchOfTexts(before, after))
		must(t, err)
		got, err := updated(t.Context(), before, p.Sections[0].Hunks)
		if err != nil || got != after {
			t.Fatalf("%q -> %q gives %q, %v", before, after, got, err)
		}
	}
}

// FuzzApply applies whatever parses. Run it with -fuzzminimizetime=10x: what the
// disk does makes inputs look new that are not.
func FuzzApply(f *testing.F) {
	f.Add(wrap(everything), byte(99))
	f.Add(wrap(everything), byte(3))
	f.Add(wrap("*** Update File: u\n@@ 1\n \n+2\n*** Move to: x"), byte(99))
	f.Add(wrap("*** Add File: a/b\n*** Add File: a\n*** Delete File: ../x"), byte(1))
	f.Fuzz(func(t *testing.T, text string, failAt byte) { checkApply(t, text, int(failAt)) })
}

// TestApplyRandomPatches applies patches that are well formed and make little
// sense, and fails some of them half way.
func TestApplyRandomPatches(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	names := []string{"over", "over2", "u", "m", "d", "keep", "x", "x/y", "x/y/z", "link", "linkdir/n", "linkdir/u"}
	name := func() string { return names[r.IntN(len(names))] }
	applied := 0
	for range 1500 {
		var b strings.Builder
		for range 1 + r.IntN(5) {
			switch r.IntN(4) {
			case 0:
				fmt.Fprintf(&b, "*** Add File: %s\n+1\n", name())
			case 1:
				fmt.Fprintf(&b, "*** Delete File: %s\n", name())
			case 2:
				fmt.Fprintf(&b, "*** Update File: %s\n*** Move to: %s\n@@\n+%d\n", name(), name(), r.IntN(3))
			case 3:
				fmt.Fprintf(&b, "*** Update File: %s\n@@\n-1\n+1\n+%d\n", name(), r.IntN(3))
			}
		}
		if checkApply(t, wrap(b.String()), r.IntN(12)) {
			applied++
		}
	}
	if applied < 100 {
		t.Errorf("only %d of 1500 patches were applied", applied)
	}
}

// checkApply applies a patch to a small tree and stops it before the rename of
// number failAt: nothing panics, an error leaves the tree as it was, a success
// is what the plan said. It returns whether the patch was applied.
func checkApply(t *testing.T, text string, failAt int) bool {
	p, err := Parse(text)
	if err != nil {
		return false
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	for name, content := range before() {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	if runtime.GOOS != "windows" {
		must(t, os.Symlink("u", filepath.Join(dir, "link")))
		must(t, os.Symlink(".", filepath.Join(dir, "linkdir")))
	}
	pl, err := p.Plan(t.Context(), OS(), dir)
	if err != nil {
		return false
	}
	// Nothing outside of the test's folder may be touched, whatever the paths.
	touched := map[string]bool{}
	for _, real := range pl.Touched() {
		rel, err := filepath.Rel(dir, real)
		if err != nil || !filepath.IsLocal(rel) {
			return false
		}
		touched[filepath.ToSlash(rel)] = true
	}
	old := files(t, dir)
	err = pl.apply(t.Context(), func(string) error {
		if failAt--; failAt < 0 {
			return errors.New("stop")
		}
		return nil
	})
	now := files(t, dir)
	if err != nil {
		if d := cmp.Diff(old, now); d != "" {
			t.Fatalf("%v left: %s\n%s", err, d, text)
		}
		return false
	}
	for _, f := range pl.files {
		if got, ok := now[relative(dir, f.real)]; ok != f.after.exists || got != f.after.data {
			t.Fatalf("%s is %q, want %q\n%s", f.real, got, f.after.data, text)
		}
	}
	for name := range now {
		if _, ok := old[name]; !ok && !touched[name] || strings.HasPrefix(filepath.Base(name), ".patch-") {
			t.Fatalf("%s came from nowhere\n%s", name, text)
		}
	}
	for _, c := range pl.Changes {
		c.Diff()
	}
	tr := NewTracker(OS(), dir)
	tr.Record(pl)
	tr.Diff()
	return true
}
