package atomicfile

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, content := range []string{"one", "two, longer", ""} {
		if err := Replace(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Fatalf("%q, %v, want %q", got, err, content)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d entries are left, %v", len(entries), err)
	}
	if err := Replace(filepath.Join(dir, "none", "a"), nil); err == nil {
		t.Error("a folder that is not there was written to")
	}
}

func TestReplaceKeepsTheMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	for _, mode := range []os.FileMode{0o600, 0o640, 0o444} {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		if err := Replace(path, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(path); err != nil || st.Mode() != mode {
			t.Errorf("%v, %v, want %v", st.Mode(), err, mode)
		}
	}
	path := filepath.Join(t.TempDir(), "new")
	if err := Replace(path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode() != newMode {
		t.Errorf("%v, %v, want %v", st.Mode(), err, os.FileMode(newMode))
	}
}

// What a link leads to is replaced, whether it is there or not; the link stays.
func TestReplaceBehindLinks(t *testing.T) {
	for name, tt := range map[string]struct{ link, file string }{
		"relative":       {"volume/file", "volume/file"},
		"absolute":       {"{dir}/volume/file", "volume/file"},
		"through a link": {"second", "volume/file"},
		"up again":       {"outside/../file", "volume/file"}, // from volume/inner
	} {
		for _, there := range []bool{true, false} {
			dir := t.TempDir()
			path, file := filepath.Join(dir, "link"), filepath.Join(dir, tt.file)
			if err := os.MkdirAll(filepath.Join(dir, "volume", "inner"), 0o700); err != nil {
				t.Fatal(err)
			}
			for at, to := range map[string]string{path: strings.ReplaceAll(tt.link, "{dir}", dir), filepath.Join(dir, "second"): "volume/file", filepath.Join(dir, "outside"): "volume/inner"} {
				if err := os.Symlink(to, at); err != nil {
					t.Skip(err)
				}
			}
			if there {
				if err := os.WriteFile(file, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := Replace(path, []byte("x")); err != nil {
				t.Errorf("%s, there %v: %v", name, there, err)
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != "x" {
				t.Errorf("%s, there %v: %q, %v", name, there, got, err)
			}
			if st, err := os.Lstat(path); err != nil || st.Mode()&os.ModeSymlink == 0 {
				t.Errorf("%s, there %v: the link has gone, %v", name, there, err)
			}
		}
	}
}

// A link that leads nowhere stays, and nothing is written in its place.
func TestReplaceBehindBrokenLinks(t *testing.T) {
	for _, to := range []string{"none/file", "link"} {
		path := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(to, path); err != nil {
			t.Skip(err)
		}
		if err := Replace(path, []byte("x")); err == nil {
			t.Errorf("%s: written", to)
		}
		if got, err := os.Readlink(path); got != to {
			t.Errorf("%s: %q, %v", to, got, err)
		}
	}
}
