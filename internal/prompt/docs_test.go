package prompt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// tree makes files below a folder. A name that ends with a slash is a folder,
// content that starts with -> a symbolic link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		target, link := strings.CutPrefix(content, "->")
		switch {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o700)
		case link:
			if err = os.Symlink(target, path); err != nil {
				t.Skip("no symbolic links here")
			}
		default:
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestProjectDocs(t *testing.T) {
	tests := []struct {
		name     string
		files    map[string]string
		cwd      string
		max      int
		fallback []string
		sources  []string
		texts    []string
		lacks    string
		warnings int
		silent   bool // there is nothing to tell of the sources
	}{
		{name: "nothing", files: map[string]string{"p/": ""}, cwd: "p", max: 100},
		{name: "no such folder", files: map[string]string{}, cwd: "p/q", max: 100},
		{name: "home, root, folder", max: 100, cwd: "p/a/b",
			files:   map[string]string{"home/AGENTS.md": "H", "p/.git/": "", "p/AGENTS.md": "R", "p/a/b/AGENTS.md": "B", "AGENTS.md": "outside"},
			sources: []string{"home/AGENTS.md", "p/AGENTS.md", "p/a/b/AGENTS.md"}, texts: []string{"H\n", "R\n", "B\n"}, lacks: "outside"},
		{name: "without a repository only the folder", max: 100, cwd: "p/a",
			files: map[string]string{"p/AGENTS.md": "above", "p/a/AGENTS.md": "A"}, sources: []string{"p/a/AGENTS.md"}, lacks: "above"},
		{name: "worktree", max: 100, cwd: "p/a", files: map[string]string{"p/.git": "gitdir: x", "p/AGENTS.md": "R", "p/a/": ""}, sources: []string{"p/AGENTS.md"}},
		{name: "override wins in its folder", max: 100, cwd: "p",
			files:   map[string]string{"p/AGENTS.md": "plain", "p/AGENTS.override.md": "O", "home/AGENTS.override.md": "HO", "home/AGENTS.md": "plain"},
			sources: []string{"home/AGENTS.override.md", "p/AGENTS.override.md"}, lacks: "plain"},
		{name: "fallback names", max: 100, cwd: "p", fallback: []string{"", "../x", "a/b", "NOTES.md", "AGENTS.md"}, warnings: 3,
			files: map[string]string{"p/NOTES.md": "N", "home/NOTES.md": "not from here", "x": "x"}, sources: []string{"p/NOTES.md"}, lacks: "not from here"},
		{name: "AGENTS.md before fallbacks", max: 100, cwd: "p", fallback: []string{"NOTES.md"}, files: map[string]string{"p/NOTES.md": "N", "p/AGENTS.md": "A"}, sources: []string{"p/AGENTS.md"}},
		{name: "an empty one stands for its folder", max: 100, cwd: "p/a",
			files:   map[string]string{"p/.git/": "", "p/AGENTS.md": "R", "p/a/AGENTS.override.md": " \n", "p/a/AGENTS.md": "hidden"},
			sources: []string{"p/AGENTS.md", "p/a/AGENTS.override.md"}, texts: []string{"R\n"}, lacks: "hidden"},
		{name: "nothing but an empty one", max: 100, cwd: "p", fallback: []string{"N"}, files: map[string]string{"p/AGENTS.md": "", "p/N": "n"}, sources: []string{"p/AGENTS.md"}, silent: true},
		{name: "an empty one of the home does not count", max: 100, cwd: "p/", files: map[string]string{"p/": "", "home/AGENTS.override.md": "", "home/AGENTS.md": "H"}, sources: []string{"home/AGENTS.md"}},
		{name: "folders of that name", max: 100, cwd: "p", fallback: []string{"N"}, files: map[string]string{"p/AGENTS.md/": "", "p/N": "n"}, sources: []string{"p/N"}},
		{name: "symbolic links", max: 100, cwd: "p", files: map[string]string{"doc": "D", "p/AGENTS.md": "->../doc"}, sources: []string{"p/AGENTS.md"}, texts: []string{"D\n"}},
		{name: "dangling link", max: 100, cwd: "p", files: map[string]string{"p/AGENTS.md": "->nowhere"}},
		{name: "link in a circle", max: 100, cwd: "p", files: map[string]string{"p/AGENTS.md": "->AGENTS.md"}, warnings: 1},
		{name: "the same file once", max: 100, cwd: "home", files: map[string]string{"home/AGENTS.md": "H"}, sources: []string{"home/AGENTS.md"}},
		{name: "not UTF-8", max: 100, cwd: "p", files: map[string]string{"p/AGENTS.md": "a\xffb"}, sources: []string{"p/AGENTS.md"}, texts: []string{"a\uFFFDb"}, warnings: 1},
		{name: "bad bytes do not exceed the limit", max: 4, cwd: "p", files: map[string]string{"p/AGENTS.md": "a\xff\xfe\xfdb"}, sources: []string{"p/AGENTS.md"}, texts: []string{"a\uFFFD", "left out"}, lacks: "b\n", warnings: 2},
		{name: "byte order mark", max: 100, cwd: "p", files: map[string]string{"p/AGENTS.md": "\uFEFFa"}, sources: []string{"p/AGENTS.md"}, texts: []string{"\">\na\n"}},
		{name: "cut at a character", max: 4, cwd: "p/a", warnings: 2,
			files:   map[string]string{"p/.git/": "", "p/AGENTS.md": "aéézzz", "p/a/AGENTS.md": "next-file"},
			sources: []string{"p/AGENTS.md"}, texts: []string{"aé\n[The rest of this file was left out"}, lacks: "next-file"},
		{name: "exactly the limit", max: 5, cwd: "p/a", warnings: 1,
			files: map[string]string{"p/.git/": "", "p/AGENTS.md": "aéé", "p/a/AGENTS.md": "next-file"}, sources: []string{"p/AGENTS.md"}, texts: []string{"aéé\n</file>"}, lacks: "next-file"},
		{name: "switched off", max: 0, cwd: "p", files: map[string]string{"p/AGENTS.md": "A"}},
		{name: "switched off but for the home's", max: 0, cwd: "p", files: map[string]string{"p/AGENTS.md": "A", "home/AGENTS.md": "H"}, sources: []string{"home/AGENTS.md"}},
		{name: "the home's is not counted", max: 2, cwd: "p", files: map[string]string{"p/AGENTS.md": "AA", "home/AGENTS.md": "HHHH"}, sources: []string{"home/AGENTS.md", "p/AGENTS.md"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := tree(t, tt.files)
			got := ProjectDocs(DocsOptions{Cwd: filepath.Join(root, tt.cwd), Home: filepath.Join(root, "home"), RootMarkers: []string{".git"}, MaxBytes: tt.max, Fallback: tt.fallback})
			var sources []string
			for _, s := range got.Sources {
				rel, err := filepath.Rel(root, s)
				if err != nil || !filepath.IsAbs(s) {
					t.Errorf("source %q: %v", s, err)
				}
				sources = append(sources, filepath.ToSlash(rel))
			}
			if diff := cmp.Diff(tt.sources, sources); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
			if len(got.Warnings) != tt.warnings {
				t.Errorf("warnings: %q", got.Warnings)
			}
			if (got.Text == "") != (tt.silent || len(tt.sources) == 0) || !utf8.ValidString(got.Text) {
				t.Errorf("text: %q", got.Text)
			}
			at := 0
			for _, s := range tt.texts {
				i := strings.Index(got.Text[at:], s)
				if i < 0 {
					t.Fatalf("%q is missing or out of order in:\n%s", s, got.Text)
				}
				at += i
			}
			if tt.lacks != "" && strings.Contains(got.Text, tt.lacks) {
				t.Errorf("%q stands in:\n%s", tt.lacks, got.Text)
			}
		})
	}
}
