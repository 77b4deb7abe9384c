package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// heldName is the kept name that commands may not make either. A folder of
// settings that is there all at once would be obeyed by the next program that
// looks for one. A new .git is allowed, since it is how a project begins.
const heldName = ".codex"

// holds are the folders that stand in for missing ones while commands run: only
// what is there can be kept by a mount. The zero value holds none.
type holds struct {
	mu    sync.Mutex
	users map[string]int // commands, by path
}

// take makes sure that there is a folder at path until release is called as
// often. Where something else is there, or no folder can be made, it does nothing
// and says no.
func (h *holds) take(path string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users[path] == 0 && os.Mkdir(path, 0o755) != nil {
		return false
	}
	if h.users == nil {
		h.users = map[string]int{}
	}
	h.users[path]++
	return true
}

// release removes the folder after its last command, unless somebody has put
// something into it.
func (h *holds) release(path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users[path]--; h.users[path] == 0 {
		delete(h.users, path)
		_ = os.Remove(path) // it is empty, or it is the user's by now
	}
}

// hold takes those of the folders that are missing, and keeps them read-only in f.
// What it returns gives them up again.
func (h *holds) hold(paths []string, f *Folders) (release func()) {
	taken := slices.DeleteFunc(paths, func(path string) bool { return !h.take(path) })
	f.keep(taken)
	return sync.OnceFunc(func() {
		for _, path := range taken {
			h.release(path)
		}
	})
}

// held lists where the roots that a policy names have, or could have, the folder
// that commands may not make.
func (f Folders) held(p Policy) (paths []string) {
	for _, root := range append([]string{p.Cwd}, p.WritableRoots...) {
		if !filepath.IsAbs(root) {
			root = filepath.Join(p.Cwd, root)
		}
		root, err := filepath.EvalSymlinks(root)
		if err != nil || !slices.Contains(f.Writable, root) {
			continue
		}
		if path := filepath.Join(root, heldName); !slices.Contains(f.Writable, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// keep adds to what is kept.
func (f *Folders) keep(paths []string) {
	f.Kept = append(f.Kept, paths...)
	slices.Sort(f.Kept)
	f.Kept = slices.Compact(f.Kept)
}
