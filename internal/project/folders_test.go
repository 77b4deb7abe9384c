package project

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFolders(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{deep}, Folders(deep+"/")); diff != "" {
		t.Error("without a repository", diff)
	}
	if err := os.WriteFile(filepath.Join(dir, ".git"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{dir, filepath.Join(dir, "a"), deep}, Folders(deep)); diff != "" {
		t.Error("in a worktree", diff)
	}
	if got := Folders(""); got != nil {
		t.Error(got)
	}
}
