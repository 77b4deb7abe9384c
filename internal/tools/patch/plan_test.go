package patch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestUpdated holds what the reference does to the content of a file, as it was
// seen to do it.
func TestUpdated(t *testing.T) {
	const abc = "one\ntwo\nthree\n"
	tests := []struct{ name, before, hunks, want string }{
		{"plain", abc, "@@\n one\n-two\n+2", "one\n2\nthree\n"},
		{"context only", abc, "@@\n one\n two", abc},
		{"header", abc, "@@ one\n-two\n+2", "one\n2\nthree\n"},
		{"header lets the first of two be", "f\nx\nf\nx\n", "@@ f\n-x\n+1\n@@ f\n-x\n+2", "f\n1\nf\n2\n"},
		{"header that is indented in the file", "   one\nthree\n", "@@ one\n-three\n+1", "   one\n1\n"},
		{"header with typographic quotes", "it’s\nthree\n", "@@ it's\n-three\n+1", "it’s\n1\n"},
		{"same hunk twice", "x\ny\nx\n", "@@\n-x\n+1\n@@\n-x\n+1", "1\ny\n1\n"},
		{"end of file", "x\ny\nx\n", "@@\n-x\n+1\n*** End of File", "x\ny\n1\n"},
		{"new lines only", abc, "@@\n+new", abc + "new\n"},
		{"new lines only, under a header", abc, "@@ one\n+new", abc + "new\n"},
		{"new lines and a blank one, under a header", abc, "@@ one\n+new\n\n", "one\nnew\ntwo\nthree\n"},
		{"new lines, then an earlier hunk", abc, "@@\n+new\n@@\n-one\n+1", "1\ntwo\nthree\nnew\n"},
		{"new lines in an empty file", "", "@@\n+1", "1\n"},
		{"all lines away", "one\n", "@@\n-one", ""},
		{"blank lines away", "one\n\n\n", "@@\n one\n-\n-", "one\n"},
		{"blank context", "one\n\ntwo\n", "@@\n one\n\n-two\n+2", "one\n\n2\n"},
		{"blank line between hunks", abc, "@@\n-one\n+1\n\n@@\n-three\n+3", "1\ntwo\n3\n"},
		{"blank line that is not there", abc, "@@\n-three\n+3\n ", "one\ntwo\n3\n"},
		{"blank new line last", abc, "@@\n three\n+4\n+", abc + "4\n\n"},
		{"exact before lenient", "  x\nx\n", "@@\n-x\n+1", "  x\n1\n"},
		{"blanks at line ends", "one  \ntwo \nthree\n", "@@\n one\n-two\n+2", "one  \n2\nthree\n"},
		{"indentation", "  one\n\ttwo\nthree\n", "@@\n one\n-two\n+2", "  one\n2\nthree\n"},
		{"typography", "say “hi” – it’s\n", "@@\n-say \"hi\" - it's\n+2", "2\n"},
		{"typography the other way", "say \"hi\"\n", "@@\n-say “hi”\n+2", "2\n"},
		{"no-break space", "a\u00a0b\n", "@@\n-a b\n+2", "2\n"},
		{"no final newline", "one\ntwo", "@@\n-two\n+2", "one\n2\n"},
		{"no final newline, not touched", "one\ntwo", "@@\n-one\n+1", "1\ntwo\n"},
		{"no final newline, appended to", "one\ntwo", "@@\n+n", "one\ntwo\nn\n"},
		{"CRLF", "one\r\ntwo\r\nthree\r\n", "@@\n one\n-two\n+2", "one\r\n2\r\nthree\r\n"},
		{"CRLF, appended to", "one\r\ntwo", "@@\n+n", "one\r\ntwo\r\nn\r\n"},
		{"mixed line ends", "one\r\ntwo\nthree\nfour\n", "@@\n one\n+n\n two", "one\r\nn\r\ntwo\nthree\nfour\n"},
		{"mixed line ends, LF first", "one\ntwo\r\nthree\n", "@@\n one\n+n\n two", "one\nn\ntwo\r\nthree\n"},
		{"zero byte", "one\n\x00two\n", "@@\n-one\n+b", "b\n\x00two\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse(wrap("*** Update File: a\n" + tt.hunks))
			must(t, err)
			got, err := updated(t.Context(), tt.before, p.Sections[0].Hunks)
			must(t, err)
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPlan(t *testing.T) {
	const abc = "one\ntwo\nthree\n"
	tests := []struct {
		name   string
		before map[string]string
		patch  string
		want   []Change // paths relative
		after  map[string]string
	}{
		{"add, update, delete", map[string]string{"u": abc, "d": "bye\n"},
			"*** Add File: p/q/n\n+hi\n*** Update File: u\n@@\n-two\n+2\n*** Delete File: d",
			[]Change{{Path: "p/q/n", Kind: Add, New: "hi\n"}, {Path: "u", Kind: Update, Old: abc, New: "one\n2\nthree\n"}, {Path: "d", Kind: Delete, Old: "bye\n"}},
			map[string]string{"p/q/n": "hi\n", "u": "one\n2\nthree\n"}},
		{"add over a file", map[string]string{"a": abc}, "*** Add File: a\n+x",
			[]Change{{Path: "a", Kind: Add, Old: abc, New: "x\n"}}, map[string]string{"a": "x\n"}},
		{"move", map[string]string{"a": abc}, "*** Update File: a\n*** Move to: b/c\n@@\n-two\n+2",
			[]Change{{Path: "a", MovePath: "b/c", Kind: Update, Old: abc, New: "one\n2\nthree\n"}}, map[string]string{"b/c": "one\n2\nthree\n"}},
		{"move over a file", map[string]string{"a": abc, "b": "B\n"}, "*** Update File: a\n*** Move to: b\n@@\n one",
			[]Change{{Path: "a", MovePath: "b", Kind: Update, Old: abc, New: abc}}, map[string]string{"b": abc}},
		{"move to itself", map[string]string{"a": abc}, "*** Update File: a\n*** Move to: ./x/../a\n@@\n-one\n+1",
			[]Change{{Path: "a", Kind: Update, Old: abc, New: "1\ntwo\nthree\n"}}, map[string]string{"a": "1\ntwo\nthree\n"}},
		{"add, then update", nil, "*** Add File: a\n+1\n*** Update File: a\n@@\n-1\n+2",
			[]Change{{Path: "a", Kind: Add, New: "2\n"}}, map[string]string{"a": "2\n"}},
		{"update twice", map[string]string{"a": abc}, "*** Update File: a\n@@\n-one\n+1\n*** Update File: a\n@@\n-two\n+2",
			[]Change{{Path: "a", Kind: Update, Old: abc, New: "1\n2\nthree\n"}}, map[string]string{"a": "1\n2\nthree\n"}},
		{"delete, then add", map[string]string{"a": abc}, "*** Delete File: a\n*** Add File: a\n+z",
			[]Change{{Path: "a", Kind: Add, Old: abc, New: "z\n"}}, map[string]string{"a": "z\n"}},
		{"add, then delete", nil, "*** Add File: a\n+z\n*** Delete File: a", nil, map[string]string{}},
		{"move, then update", map[string]string{"a": abc}, "*** Update File: a\n*** Move to: b\n@@\n-one\n+1\n*** Update File: b\n@@\n-two\n+2",
			[]Change{{Path: "a", MovePath: "b", Kind: Update, Old: abc, New: "1\n2\nthree\n"}}, map[string]string{"b": "1\n2\nthree\n"}},
		{"move twice", map[string]string{"a": abc}, "*** Update File: a\n*** Move to: b\n@@\n one\n*** Update File: b\n*** Move to: c\n@@\n one",
			[]Change{{Path: "a", MovePath: "c", Kind: Update, Old: abc, New: abc}}, map[string]string{"c": abc}},
		{"move there and back", map[string]string{"a": abc}, "*** Update File: a\n*** Move to: b\n@@\n one\n*** Update File: b\n*** Move to: a\n@@\n-one\n+1",
			[]Change{{Path: "a", Kind: Update, Old: abc, New: "1\ntwo\nthree\n"}}, map[string]string{"a": "1\ntwo\nthree\n"}},
		{"swap", map[string]string{"a": "A\n", "b": "B\n"},
			"*** Update File: a\n*** Move to: t\n@@\n A\n*** Update File: b\n*** Move to: a\n@@\n B\n*** Update File: t\n*** Move to: b\n@@\n A",
			[]Change{{Path: "a", Kind: Update, Old: "A\n", New: "B\n"}, {Path: "b", Kind: Update, Old: "B\n", New: "A\n"}},
			map[string]string{"a": "B\n", "b": "A\n"}},
		{"delete a binary file", map[string]string{"a": "\xff\xfe"}, "*** Delete File: a",
			[]Change{{Path: "a", Kind: Delete, Old: "\xff\xfe"}}, map[string]string{}},
		{"path that climbs", map[string]string{"s/a": abc}, "*** Update File: s/../s/a\n@@\n-one\n+1",
			[]Change{{Path: "s/a", Kind: Update, Old: abc, New: "1\ntwo\nthree\n"}}, map[string]string{"s/a": "1\ntwo\nthree\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := tree(t, tt.before)
			p, err := plan(t, dir, wrap(tt.patch))
			must(t, err)
			if d := cmp.Diff(tt.before, files(t, dir), cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("planning wrote: %s", d)
			}
			got := make([]Change, len(p.Changes))
			for i, c := range p.Changes {
				c.Path = relative(dir, c.Path)
				c.MovePath = relative(dir, c.MovePath)
				got[i] = c
			}
			if d := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(Change{}), cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
			must(t, p.Apply(t.Context()))
			if d := cmp.Diff(tt.after, files(t, dir)); d != "" {
				t.Error(d)
			}
		})
	}
}

func relative(dir, p string) string {
	if p == "" {
		return ""
	}
	rel, _ := filepath.Rel(dir, p)
	return filepath.ToSlash(rel)
}

func TestPlanErrors(t *testing.T) {
	base := map[string]string{"a": "one\ntwo\nthree\n", "bin": "\xff\xfeone\n", "d/x": "x\n"}
	tests := []struct {
		name, patch string
		line        int
		says        string
	}{
		{"update of a missing file", "*** Update File: zz\n@@\n-1", 2, "no such file"},
		{"update of a folder", "*** Update File: d\n@@\n-1", 2, "folder"},
		{"update of a binary file", "*** Update File: bin\n@@\n-one", 2, "UTF-8"},
		{"update below a file", "*** Update File: a/b\n@@\n-one", 2, "not a folder"},
		{"add over a folder", "*** Add File: d\n+1", 2, "folder"},
		{"add of a folder", "*** Add File: n/\n+1", 2, "slash"},
		{"add below a file", "*** Add File: a/b\n+1", 2, "not a folder"},
		{"add of a file and below it", "*** Add File: n/m\n+1\n*** Add File: n\n+1", 2, "file of this same patch"},
		{"zero byte in a path", "*** Add File: n\x00m\n+1", 2, "zero byte"},
		{"delete of a missing file", "*** Delete File: zz", 2, "no such file"},
		{"delete of a folder", "*** Delete File: d", 2, "folder"},
		{"delete twice", "*** Delete File: a\n*** Delete File: a", 3, "no such file"},
		{"move to a folder", "*** Update File: a\n*** Move to: d\n@@\n one", 2, "move target d: this is a folder"},
		{"second section", "*** Add File: q\n+1\n*** Update File: zz\n@@\n-1", 4, "no such file"},
		{"no match", "*** Update File: a\n@@\n one\n-nope", 3, "not in the file:\n  one\n  nope"},
		{"no header", "*** Update File: a\n@@ nope\n-two", 3, "not in the file:\n  nope"},
		{"hunks in the wrong order", "*** Update File: a\n@@\n-three\n+3\n@@\n-one\n+1", 6, "Found at line 1 instead"},
		{"overlap", "*** Update File: a\n@@\n-one\n+1\n two\n@@\n two\n-three", 7, "Found at line 2 instead"},
		{"not at the end", "*** Update File: a\n@@\n-one\n+1\n*** End of File", 3, "not at the end of the file"},
		{"substring of a header", "*** Update File: a\n@@ on\n-two", 3, "not in the file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := tree(t, base)
			_, err := plan(t, dir, wrap(tt.patch))
			var pe *PlanError
			if !errors.As(err, &pe) {
				t.Fatalf("got %v, want a *PlanError", err)
			}
			if pe.Line != tt.line || !strings.Contains(pe.Reason, tt.says) {
				t.Errorf("got %v, want line %d and %q", err, tt.line, tt.says)
			}
			if strings.Contains(err.Error(), dir) {
				t.Errorf("%v names a path that the patch does not", err)
			}
		})
	}
}

func TestPlanFileTooLarge(t *testing.T) {
	dir := tree(t, map[string]string{"big": ""})
	must(t, os.Truncate(filepath.Join(dir, "big"), maxFile+1))
	for _, text := range []string{"*** Update File: big\n@@\n-1", "*** Add File: big\n+1"} {
		if _, err := plan(t, dir, wrap(text)); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%s: got %v", text, err)
		}
	}
	p, err := plan(t, dir, wrap("*** Delete File: big"))
	must(t, err)
	if d := p.Changes[0].Diff(); !strings.Contains(d, "33554433 bytes") {
		t.Errorf("diff %q", d)
	}
	must(t, p.Apply(t.Context()))
	if d := cmp.Diff(map[string]string{}, files(t, dir)); d != "" {
		t.Error(d)
	}
}

func TestPlanStops(t *testing.T) {
	dir := tree(t, map[string]string{"a": strings.Repeat("x\n", 1<<18)})
	p, err := Parse(wrap("*** Update File: a\n@@\n" + strings.Repeat("-x\n", 1000) + "-y"))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Plan(ctx, OS(), dir); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTouchedResolvesSymlinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symlinks need a privilege there")
	}
	dir := tree(t, map[string]string{"in/": "", "out/f": "x\n", "out/g": "g\n"})
	in := filepath.Join(dir, "in")
	for name, to := range map[string]string{"dir": "../out", "file": filepath.Join(dir, "out", "f"), "new": "../out/fresh", "gone": "../out/g", "loop": "loop"} {
		must(t, os.Symlink(to, filepath.Join(in, name)))
	}
	p, err := plan(t, in, wrap("*** Add File: dir/deep/n\n+1\n*** Update File: file\n@@\n-x\n+y\n*** Add File: new\n+2\n*** Delete File: gone"))
	must(t, err)
	var got []string
	for _, p := range p.Touched() {
		got = append(got, relative(dir, p))
	}
	if d := cmp.Diff([]string{"in/gone", "out/deep/n", "out/f", "out/fresh"}, got); d != "" {
		t.Error(d)
	}
	must(t, p.Apply(t.Context()))
	want := map[string]string{"in/dir@": "../out", "in/file@": filepath.Join(dir, "out", "f"), "in/new@": "../out/fresh", "in/loop@": "loop",
		"out/f": "y\n", "out/g": "g\n", "out/deep/n": "1\n", "out/fresh": "2\n"}
	if d := cmp.Diff(want, files(t, dir)); d != "" {
		t.Error(d)
	}
	if _, err := plan(t, in, wrap("*** Add File: loop\n+1")); err == nil {
		t.Error("a loop of symlinks was planned")
	}
	// A link that the patch removes leads nowhere any more.
	must(t, os.Symlink("../out/g", filepath.Join(in, "gone")))
	for _, text := range []string{
		"*** Delete File: gone\n*** Add File: gone\n+1", "*** Delete File: dir\n*** Add File: dir/x\n+1",
		"*** Update File: file\n*** Move to: plain\n@@\n y\n*** Update File: file\n@@\n-y\n+z",
	} {
		if _, err := plan(t, in, wrap(text)); err == nil || !strings.Contains(err.Error(), errLinkGone.Error()) {
			t.Errorf("%s: got %v", text, err)
		}
	}
	// A moved symlink: what it led to is copied, the link goes. The copied file is
	// only read.
	p, err = plan(t, in, wrap("*** Update File: file\n*** Move to: plain\n@@\n-y\n+z"))
	must(t, err)
	if got := p.Touched(); len(got) != 2 || relative(dir, got[0]) != "in/file" || relative(dir, got[1]) != "in/plain" {
		t.Errorf("touched %q", got)
	}
	if len(p.Changes) != 2 || p.Changes[0].Kind != Add || p.Changes[1].Kind != Delete {
		t.Errorf("changes %+v", p.Changes)
	}
	must(t, p.Apply(t.Context()))
	now := files(t, dir)
	if now["in/plain"] != "z\n" || now["out/f"] != "y\n" || now["in/file@"] != "" {
		t.Errorf("after moving a link: %v", now)
	}
}

func TestSummary(t *testing.T) {
	dir := tree(t, map[string]string{"a": "1\n", "b": "1\n", "c": "1\n"})
	p, err := plan(t, dir, wrap("*** Delete File: c\n*** Update File: a\n@@\n-1\n+2\n*** Update File: b\n*** Move to: x/b\n@@\n 1\n*** Add File: n\n*** Update File: a\n@@\n-2\n+3"))
	must(t, err)
	want := "Patch applied. Files changed:\nA n\nM a\nM x/b\nD c\n"
	if got := p.Summary(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A plan reads through the View and not past it.
func TestPlanOnAnyView(t *testing.T) {
	dir := tree(t, map[string]string{"a": "1\n"})
	p, err := Parse(wrap("*** Update File: a\n@@\n-1\n+2"))
	must(t, err)
	seen := map[string]bool{}
	pl, err := p.Plan(t.Context(), spy{OS(), seen}, dir)
	must(t, err)
	if !seen[filepath.Join(dir, "a")] || len(pl.Changes) != 1 {
		t.Errorf("seen %v", seen)
	}
}

type spy struct {
	View
	seen map[string]bool
}

func (s spy) ReadFile(name string) ([]byte, error) {
	s.seen[name] = true
	return s.View.ReadFile(name)
}
