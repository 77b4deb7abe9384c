package patch

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wrap puts lines into the envelope of a patch.
func wrap(body string) string {
	return "*** Begin Patch\n" + strings.TrimSuffix(body, "\n") + "\n*** End Patch\n"
}

// tree makes a folder with these files; a name that ends with a slash is a
// folder. The folder's path has no symlinks.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(p, 0o777))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(p), 0o777))
		must(t, os.WriteFile(p, []byte(content), 0o644))
	}
	return dir
}

// files reads a folder back, empty folders included.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	must(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		name := filepath.ToSlash(rel)
		switch {
		case d.IsDir():
			if inner, err := os.ReadDir(p); err != nil || len(inner) == 0 {
				out[name+"/"] = ""
			}
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			out[name+"@"] = to
			return err
		default:
			data, err := os.ReadFile(p)
			out[name] = string(data)
			return err
		}
		return nil
	}))
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// plan parses and plans a patch.
func plan(t testing.TB, dir, text string) (*Plan, error) {
	t.Helper()
	p, err := Parse(text)
	if err != nil {
		return nil, err
	}
	return p.Plan(t.Context(), OS(), dir)
}
