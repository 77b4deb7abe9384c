// Package project finds out which folders belong to the project that a thread
// works in. It reads the file system; it knows neither threads nor settings, and
// keeps no state. Its functions are safe for concurrent use.
package project

import (
	"os"
	"path/filepath"
	"slices"
)

// Folders lists the folders from the project's root down to cwd, which is an
// absolute path. The root is the nearest folder upwards that holds .git; without
// one only cwd itself counts. An empty cwd has none.
func Folders(cwd string) []string {
	if cwd == "" {
		return nil
	}
	cwd = filepath.Clean(cwd)
	var up []string
	for dir := cwd; ; {
		up = append(up, dir)
		// In a worktree .git is a file.
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			slices.Reverse(up)
			return up
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return []string{cwd}
		}
		dir = parent
	}
}
