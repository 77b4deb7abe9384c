//go:build unix

package git

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A repository may have come from anywhere: a pipe in the place of its index has
// nobody who writes.
func TestDiffToRemoteOfStrangeIndex(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1\n")
	r.git("push", "-q", "origin", "main")
	r.write("a", "2\n")
	index := filepath.Join(r.dir, ".git", "index")
	for name, replace := range map[string]func() error{
		"a pipe":   func() error { return syscall.Mkfifo(index, 0o600) },
		"a folder": func() error { return os.Mkdir(index, 0o700) },
	} {
		if err := os.RemoveAll(index); err != nil {
			t.Fatal(err)
		}
		if err := replace(); err != nil {
			t.Fatal(err)
		}
		if got, err := DiffToRemote(t.Context(), r.dir, os.Getenv); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
