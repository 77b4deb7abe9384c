package project

import (
	"os"
	"path/filepath"
	"strings"

	"app-server/internal/plainfile"
)

// maxPointer bounds the files of git that hold one path.
const maxPointer = 16 << 10

// Repository is the main folder of the repository of which root is a worktree;
// empty where it is none. Both have to point at each other: a folder that only
// says so, or has a link to the file of one, is none.
func Repository(root string) string {
	to, ok := strings.CutPrefix(pointer(filepath.Join(root, ".git")), "gitdir: ")
	if !ok {
		return ""
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(root, to)
	}
	back := pointer(filepath.Join(to, "gitdir"))
	if !filepath.IsAbs(back) {
		back = filepath.Join(to, back)
	}
	here, err := os.Stat(root)
	there, err2 := os.Stat(filepath.Dir(back))
	worktrees := filepath.Dir(to)
	git := filepath.Dir(worktrees)
	if err != nil || err2 != nil || !os.SameFile(here, there) || filepath.Base(back) != ".git" || filepath.Base(worktrees) != "worktrees" || filepath.Base(git) != ".git" {
		return ""
	}
	return filepath.Dir(git)
}

// pointer reads a file that holds one line; empty where there is none.
func pointer(path string) string {
	b, more, err := plainfile.Read(path, maxPointer)
	if err != nil || more {
		return ""
	}
	return strings.TrimSpace(string(b))
}
