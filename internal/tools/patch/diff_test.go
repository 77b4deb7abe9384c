package patch

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestChangeDiff(t *testing.T) {
	lines := func(from, to int) string {
		var b strings.Builder
		for i := from; i <= to; i++ {
			fmt.Fprintf(&b, "%d\n", i)
		}
		return b.String()
	}
	long := lines(1, 30)
	tests := []struct {
		name string
		c    Change
		want string
	}{
		{"add", Change{Kind: Add, New: "a\nb\n", Old: "x", opaque: -1}, "a\nb\n"},
		{"delete", Change{Kind: Delete, Old: "a\nb", opaque: -1}, "a\nb"},
		{"delete of bytes", Change{Kind: Delete, Old: "\xff", opaque: 1}, "(1 bytes that are not shown as text)\n"},
		{"update", Change{Kind: Update, Old: "one\ntwo\nthree\n", New: "one\n2\nthree\n"}, "@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"},
		{"no change", Change{Kind: Update, Old: "one\n", New: "one\n"}, ""},
		{"from nothing", Change{Kind: Update, Old: "", New: "1\n"}, "@@ -0,0 +1 @@\n+1\n"},
		{"to nothing", Change{Kind: Update, Old: "1\n", New: ""}, "@@ -1 +0,0 @@\n-1\n"},
		{"final newline", Change{Kind: Update, Old: "one\ntwo", New: "one\n2\n"}, "@@ -1,2 +1,2 @@\n one\n-two\n\\ No newline at end of file\n+2\n"},
		{"CRLF", Change{Kind: Update, Old: "a\r\nb\r\n", New: "a\r\nc\r\n"}, "@@ -1,2 +1,2 @@\n a\r\n-b\r\n+c\r\n"},
		{"a block like the one before", Change{Kind: Update, Old: "f {\n}\n", New: "f {\n}\n\ng {\n}\n"}, "@@ -2 +2,4 @@\n }\n+\n+g {\n+}\n"},
		{"a block like the one behind", Change{Kind: Update, Old: "f {\n}\n\ng {\n}\nh\n", New: "f {\n}\nh\n"}, "@@ -2,5 +2,2 @@\n }\n-\n-g {\n-}\n h\n"},
		{"far apart", Change{Kind: Update, Old: long, New: "0\n" + strings.Replace(strings.Replace(long, "\n10\n", "\nx\ny\n", 1), "\n20\n", "\n", 1)},
			"@@ -1 +1,2 @@\n+0\n 1\n@@ -9,3 +10,4 @@\n 9\n-10\n+x\n+y\n 11\n@@ -19,3 +21,2 @@\n 19\n-20\n 21\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, tt.c.Diff()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestChangeDiffIsBounded(t *testing.T) {
	big := strings.Repeat("é line\n", 1<<18)
	for _, c := range []Change{
		{Kind: Add, New: big, opaque: -1},
		{Kind: Delete, Old: strings.Repeat("é", 1<<20), opaque: -1},
		{Kind: Update, Old: big, New: strings.Repeat("other\n", 1<<18)},
		{Kind: Update, Old: strings.Repeat(big, 4), New: "x\n"},
	} {
		d := c.Diff()
		if len(d) > maxShown+100 || !utf8.ValidString(d) || !strings.HasSuffix(d, ")\n") {
			t.Errorf("%s: %d bytes, ends with %q", c.Kind, len(d), d[max(0, len(d)-40):])
		}
	}
}

// git runs git in dir, or skips the test where there is none.
func git(t *testing.T, dir, stdin string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s\n%s", args, err, out, stdin)
	}
	return string(out)
}

// TestUnifiedAppliesInGit checks random diffs with an implementation that is
// not ours.
func TestUnifiedAppliesInGit(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var patch strings.Builder
	old, want := map[string]string{}, map[string]string{}
	for i := range 200 {
		name := fmt.Sprintf("f%03d", i)
		before, after := randomText(r, 40), randomText(r, 40)
		if i%2 == 0 { // near each other
			lines := splitLines(before)
			for range min(len(lines), 3) {
				lines[r.IntN(len(lines))] = []string{"n\n", "", "m\nm\n"}[r.IntN(3)]
			}
			after = strings.Join(lines, "")
		}
		if i%5 == 0 {
			before = strings.TrimSuffix(before, "\n")
		}
		if i%7 == 0 {
			after = strings.TrimSuffix(after, "\n")
		}
		old[name], want[name] = before, after
		if h := unified(before, after, i%4); h != "" {
			fmt.Fprintf(&patch, "--- a/%s\n+++ b/%s\n%s", name, name, h)
		}
	}
	dir := tree(t, old)
	git(t, dir, patch.String(), "apply", "--unidiff-zero", "--whitespace=nowarn", "-")
	if d := cmp.Diff(want, files(t, dir)); d != "" {
		t.Error(d)
	}
}

func TestTrackerDiff(t *testing.T) {
	dir := tree(t, map[string]string{"u": "one\ntwo\n", "d": "bye\n", "m": "1\n2\n3\n", "pure": "p\n", "bin": "\xff\x00", "same": "s\n", "x": "1\n"})
	tr := NewTracker(OS(), dir)
	do := func(text string) {
		t.Helper()
		p, err := plan(t, dir, wrap(text))
		must(t, err)
		must(t, p.Apply(t.Context()))
		tr.Record(p)
	}
	if d := tr.Diff(); d != "" {
		t.Errorf("an empty tracker shows %q", d)
	}
	do("*** Add File: n/new file\n+hello\n*** Update File: u\n@@\n-two\n+2\n*** Delete File: bin\n*** Add File: empty\n*** Update File: same\n@@\n-s\n+t")
	do("*** Update File: m\n*** Move to: b/m\n@@\n-2\n+two\n*** Delete File: d\n*** Update File: pure\n*** Move to: pure2\n@@\n p\n*** Update File: same\n@@\n-t\n+s")
	do("*** Update File: u\n@@\n-one\n+1\n*** Add File: gone\n+x")
	do("*** Delete File: gone\n*** Update File: b/m\n*** Move to: c/m\n@@\n 1")
	want := `diff --git a/bin b/bin
deleted file mode 100644
index 5d983463ed9b1bcb008a040949025e83abf576d1..0000000000000000000000000000000000000000
Binary files a/bin and /dev/null differ
diff --git a/m b/c/m
rename from m
rename to c/m
index 01e79c32a8c99c557f0757da7cb6d65b3414466d..d8eb09865eea17463394416e1be16d5bc553da88
--- a/m
+++ b/c/m
@@ -1,3 +1,3 @@
 1
-2
+two
 3
diff --git a/d b/d
deleted file mode 100644
index b023018cabc396e7692c70bbf5784a93d3f738ab..0000000000000000000000000000000000000000
--- a/d
+++ /dev/null
@@ -1 +0,0 @@
-bye
diff --git a/empty b/empty
new file mode 100644
index 0000000000000000000000000000000000000000..e69de29bb2d1d6434b8b29ae775ad8c2e48c5391
diff --git a/n/new file b/n/new file
new file mode 100644
index 0000000000000000000000000000000000000000..ce013625030ba8dba906f756967f9e9ca394464a
--- /dev/null
+++ b/n/new file	
@@ -0,0 +1 @@
+hello
diff --git a/pure b/pure2
similarity index 100%
rename from pure
rename to pure2
diff --git a/u b/u
index 814f4a422927b82f5f8a43f8fab6d3839e3983f2..1191247b6d9a206f6ba3d8ac79e26d041dd86941
--- a/u
+++ b/u
@@ -1,2 +1,2 @@
-one
-two
+1
+2
`
	if d := cmp.Diff(want, tr.Diff()); d != "" {
		t.Error(d)
	}
	// What a command did to a file of the turn afterwards shows too.
	must(t, os.WriteFile(filepath.Join(dir, "pure2"), []byte("q\n"), 0o644))
	must(t, os.Remove(filepath.Join(dir, "empty")))
	if d := tr.Diff(); !strings.Contains(d, "+q\n") || strings.Contains(d, "empty") {
		t.Error(d)
	}
}

// TestTrackerDiffAppliesInGit applies the diff of a turn to the files as they
// were, and must get the files as they are.
func TestTrackerDiffAppliesInGit(t *testing.T) {
	start := map[string]string{"u": "one\ntwo", "d": "bye\n", "m": "1\n2\n3\n", "pure": "p\n", "crlf": "a\r\nb\r\n", `qu"ote`: "1\n", "é x": "1\n", "over": "o\n", "src": "s\n"}
	dir, mirror := tree(t, start), tree(t, start)
	tr := NewTracker(OS(), dir)
	for _, text := range []string{
		"*** Update File: u\n@@\n-two\n+2\n*** Delete File: d\n*** Update File: m\n*** Move to: x/m\n@@\n-2\n+two\n*** Update File: pure\n*** Move to: pure2\n@@\n p",
		"*** Update File: crlf\n@@\n-b\n+c\n*** Update File: qu\"ote\n@@\n-1\n+2\n*** Update File: é x\n@@\n-1\n+2\n*** Update File: src\n*** Move to: over\n@@\n-s\n+t\n*** Add File: e\n*** Add File: tab\tname\n+1",
	} {
		p, err := plan(t, dir, wrap(text))
		must(t, err)
		must(t, p.Apply(t.Context()))
		tr.Record(p)
	}
	must(t, os.Chmod(filepath.Join(dir, "u"), 0o755))
	must(t, os.Remove(filepath.Join(dir, "e")))
	if runtime.GOOS != "windows" {
		must(t, os.Remove(filepath.Join(dir, "crlf")))
		must(t, os.Symlink("u", filepath.Join(dir, "crlf")))
		must(t, os.Remove(filepath.Join(dir, "pure2")))
		must(t, os.Symlink("u", filepath.Join(dir, "pure2")))
	}
	d := tr.Diff()
	git(t, mirror, d, "apply", "--whitespace=nowarn", "-")
	if x := cmp.Diff(files(t, dir), files(t, mirror)); x != "" {
		t.Errorf("%s\n%s", x, d)
	}
}

func TestTrackerNames(t *testing.T) {
	dir := tree(t, map[string]string{"repo/s/a": "1\n", "out/b": "1\n"})
	tr := NewTracker(OS(), filepath.Join(dir, "repo"))
	p, err := plan(t, filepath.Join(dir, "repo", "s"), wrap("*** Update File: a\n@@\n-1\n+2\n*** Update File: ../../out/b\n@@\n-1\n+2"))
	must(t, err)
	must(t, p.Apply(t.Context()))
	tr.Record(p)
	d := tr.Diff()
	out := filepath.ToSlash(filepath.Join(dir, "out", "b"))
	for _, want := range []string{"diff --git a/s/a b/s/a\n", "diff --git a/" + out + " b/" + out + "\n"} {
		if !strings.Contains(d, want) {
			t.Errorf("no %q in %s", want, d)
		}
	}
}

func TestTrackerIsBounded(t *testing.T) {
	dir := tree(t, nil)
	tr := NewTracker(OS(), dir)
	for i := range 4 {
		p, err := plan(t, dir, wrap(fmt.Sprintf("*** Add File: f%d\n%s", i, strings.Repeat("+a line of it\n", 1<<18))))
		must(t, err)
		must(t, p.Apply(t.Context()))
		tr.Record(p)
	}
	d := tr.Diff()
	if len(d) > maxTurnDiff+4096 || !strings.Contains(d, "Binary files /dev/null and b/f3 differ\n") {
		t.Errorf("%d bytes, ends with %q", len(d), d[max(0, len(d)-200):])
	}
}

func TestQuoteName(t *testing.T) {
	for in, want := range map[string]string{"a b": "a b", "é": "é", "a\tb\n": `"a\tb\n"`, `q"\`: `"q\"\\"`, "\xff\x01é": `"\377\001é"`} {
		if got := quoteName(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}
