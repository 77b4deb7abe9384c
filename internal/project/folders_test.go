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
	if diff := cmp.Diff([]string{deep}, Folders(deep+"/", GitMarkers())); diff != "" {
		t.Error("without a repository", diff)
	}
	if err := os.WriteFile(filepath.Join(dir, ".git"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{dir, filepath.Join(dir, "a"), deep}, Folders(deep, GitMarkers())); diff != "" {
		t.Error("in a worktree", diff)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "go.mod"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		markers []string
		folders int
	}{{nil, 1}, {[]string{"go.mod"}, 2}, {[]string{"none", ".git"}, 3}, {[]string{"", ".", "..", "../.git", "none"}, 1}} {
		if got := Folders(deep, tt.markers); len(got) != tt.folders {
			t.Error(tt.markers, got)
		}
	}
	if got := Folders("", GitMarkers()); got != nil {
		t.Error(got)
	}
}
