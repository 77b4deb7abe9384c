package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"app-server/protocol"
)

// keptNames are the folders (or, for a worktree, the .git file) of a writable
// root that stay read-only: what is in them is executed or obeyed later, outside
// of any sandbox.
var keptNames = []string{".git", ".codex"}

// Folders are the folders of a policy after symbolic links. Of two that contain
// each other, the deeper one decides.
type Folders struct {
	// Writable are the writable folders.
	Writable []string `json:"writable,omitzero"`
	// Kept are read-only paths inside of them.
	Kept []string `json:"kept,omitzero"`
	// Never are folders in which nothing is writable, not even where Writable
	// names something deeper.
	Never []string `json:"never,omitzero"`
}

// Folders resolves a policy. Roots that do not exist are left out, so are roots
// reached through a symbolic link that lies in another writable folder: a
// command could have planted it there. For full access it is the root folder.
func (s *Sandbox) Folders(p Policy) (Folders, error) {
	var f Folders
	for _, dir := range s.opts.Protected {
		if real, err := filepath.EvalSymlinks(dir); err == nil && filepath.IsAbs(real) {
			f.Never = append(f.Never, real)
		}
	}
	switch p.Mode {
	case protocol.SandboxDangerFullAccess:
		return Folders{Writable: []string{string(filepath.Separator)}}, nil
	case protocol.SandboxReadOnly, "":
		return f, nil
	case protocol.SandboxWorkspaceWrite:
	default:
		return f, fmt.Errorf("sandbox: unknown mode %q", p.Mode)
	}
	if !filepath.IsAbs(p.Cwd) {
		return f, errors.New("sandbox: working directory is not absolute")
	}
	var named []string
	for _, dir := range append([]string{p.Cwd}, p.WritableRoots...) {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(p.Cwd, dir)
		}
		named = append(named, dir)
	}
	if !p.NoSlashTmp && runtime.GOOS != "windows" {
		named = append(named, "/tmp")
	}
	if !p.NoTmpdir && filepath.IsAbs(s.opts.Tmpdir) {
		named = append(named, s.opts.Tmpdir)
	}
	f.Writable = trusted(named)
	f.Writable = slices.DeleteFunc(f.Writable, func(root string) bool { return within(root, f.Never) })
	for _, root := range f.Writable {
		for _, kept := range keptIn(root) {
			// A root that the user named is writable, whatever its name is.
			if !slices.Contains(f.Writable, kept) && within(kept, f.Writable) {
				f.Kept = append(f.Kept, kept)
			}
		}
	}
	slices.Sort(f.Writable)
	slices.Sort(f.Kept)
	f.Writable, f.Kept = slices.Compact(f.Writable), slices.Compact(f.Kept)
	return f, nil
}

// Allows tells whether a file may be written, created or removed. The path is
// one whose links have been followed, and is taken as it is: where its last part
// is a link, the link itself is meant, not what it leads to. It is for writes
// that the server does itself, such as patches, and so stricter than what holds
// for commands: a kept name counts at any depth, in any case of letters, and
// before there is such a folder. With full access it does not count.
func (f Folders) Allows(real string) bool {
	if !filepath.IsAbs(real) || within(real, f.Never) {
		return false
	}
	n := deepest(real, f.Writable)
	if n <= deepest(real, f.Kept) {
		return false
	}
	return n == len(string(filepath.Separator)) || !hasKeptName(real[n:])
}

// hasKeptName tells whether a part of a path is a kept name.
func hasKeptName(path string) bool {
	return slices.ContainsFunc(strings.Split(path, string(filepath.Separator)), func(part string) bool {
		return slices.ContainsFunc(keptNames, func(kept string) bool { return strings.EqualFold(part, kept) })
	})
}

// deepest is the length of the longest of dirs that holds path; 0 if none does.
func deepest(path string, dirs []string) int {
	n := 0
	for _, dir := range dirs {
		if under(path, dir) {
			n = max(n, len(dir))
		}
	}
	return n
}

// within tells whether path is one of dirs or lies in one.
func within(path string, dirs []string) bool { return deepest(path, dirs) > 0 }

// under tells whether path is dir or lies in it. Both are clean.
func under(path, dir string) bool {
	if path == dir {
		return true
	}
	return strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}

// candidate is a root as named and as resolved.
type candidate struct {
	real string
	// links are the folders in which links were met on the way.
	links []string
}

// trusted resolves roots, and leaves out those that are missing or were reached
// through a link inside another one.
func trusted(named []string) []string {
	var all []candidate
	for _, dir := range named {
		c, err := follow(filepath.Clean(dir))
		if err != nil {
			continue
		}
		if info, err := os.Stat(c.real); err != nil || !info.IsDir() {
			continue
		}
		all = append(all, c)
	}
	var out []string
	for i, c := range all {
		planted := slices.ContainsFunc(c.links, func(at string) bool {
			return slices.ContainsFunc(all, func(o candidate) bool { return o.real != all[i].real && under(at, o.real) })
		})
		if !planted && !slices.Contains(out, c.real) {
			out = append(out, c.real)
		}
	}
	return out
}

// maxLinks is where the kernel, too, gives up on a chain of links.
const maxLinks = 40

// follow resolves path and notes where its links lie.
func follow(path string) (candidate, error) {
	volume := filepath.VolumeName(path)
	c := candidate{real: volume + string(filepath.Separator)}
	rest := strings.Split(strings.Trim(path[len(volume):], string(filepath.Separator)), string(filepath.Separator))
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			c.real = filepath.Dir(c.real)
			continue
		}
		next := filepath.Join(c.real, part)
		info, err := os.Lstat(next)
		if err != nil {
			return c, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			c.real = next
			continue
		}
		if links++; links > maxLinks {
			return c, errors.New("too many symbolic links")
		}
		target, err := os.Readlink(next)
		if err != nil {
			return c, err
		}
		c.links = append(c.links, c.real)
		if filepath.IsAbs(target) {
			c.real = filepath.VolumeName(target) + string(filepath.Separator)
			target = target[len(filepath.VolumeName(target)):]
		}
		rest = append(strings.Split(target, string(filepath.Separator)), rest...)
	}
	return c, nil
}

// keptIn lists what must stay read-only because of the kept names in root: the
// path itself, its target where it is a link, and for a .git file the folders of
// the repository that it names.
func keptIn(root string) []string {
	var out []string
	for _, name := range keptNames {
		path := filepath.Join(root, name)
		if _, err := os.Lstat(path); err != nil {
			continue
		}
		out = append(out, path)
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			continue
		}
		out = append(out, real)
		if info, err := os.Stat(real); name == ".git" && err == nil && info.Mode().IsRegular() {
			out = append(out, gitFolders(real)...)
		}
	}
	return out
}

// maxGitFile bounds what is read of a .git or commondir file, in bytes; such
// files hold one path.
const maxGitFile = 8 << 10

// gitFolders follows a .git file to the folder of its worktree or submodule, and
// from there to the common folder of the repository.
func gitFolders(file string) []string {
	line, ok := firstLine(file)
	if !ok {
		return nil
	}
	dir, ok := strings.CutPrefix(line, "gitdir:")
	if !ok {
		return nil
	}
	dir, ok = resolveFrom(filepath.Dir(file), strings.TrimSpace(dir))
	if !ok {
		return nil
	}
	out := []string{dir}
	if line, ok := firstLine(filepath.Join(dir, "commondir")); ok {
		if common, ok := resolveFrom(dir, line); ok {
			out = append(out, common)
		}
	}
	return out
}

// resolveFrom resolves a path that may be relative to base.
func resolveFrom(base, path string) (string, bool) {
	if path == "" {
		return "", false
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(base, path)
	}
	real, err := filepath.EvalSymlinks(path)
	return real, err == nil
}

// firstLine is the first line of a small regular file. A command may have put
// anything in its place.
func firstLine(path string) (string, bool) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return "", false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", false
	}
	b, err := io.ReadAll(io.LimitReader(f, maxGitFile+1))
	if err != nil || len(b) > maxGitFile {
		return "", false
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line), true
}
