// Package project finds out which folders belong to the project that a thread
// works in. It reads the file system; it knows neither threads nor settings, and
// keeps no state. Its functions are safe for concurrent use.
package project

import (
	"os"
	"path/filepath"
	"slices"
)

// GitMarkers are the markers of a root where nobody has named others. In a worktree
// .git is a file.
func GitMarkers() []string { return []string{".git"} }

// Folders lists the folders from the project's root down to cwd, which is an
// absolute path. The root is the nearest folder upwards that holds one of the
// markers; without one only cwd itself counts. An empty cwd has none.
func Folders(cwd string, markers []string) []string {
	if cwd == "" {
		return nil
	}
	cwd = filepath.Clean(cwd)
	var up []string
	for dir := cwd; ; {
		up = append(up, dir)
		if slices.ContainsFunc(markers, func(name string) bool { return holds(dir, name) }) {
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

// holds reports whether a folder has an entry of that name. What is no plain name
// marks nothing.
func holds(dir, name string) bool {
	if name == "" || name == "." || name == ".." || name != filepath.Base(name) {
		return false
	}
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}
