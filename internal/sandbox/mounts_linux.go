package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// devices are the device files that stay usable. All others become dead, since
// a read-only mount does not keep anybody from writing to a device.
var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}

// Places of the two file systems that a command gets for itself: pseudo
// terminals, so that it cannot reach those of the user, and shared memory.
const (
	ptsDir  = "/dev/pts"
	ptmx    = "/dev/ptmx"
	shmDir  = "/dev/shm"
	shmSize = "size=512m,mode=1777" // half of what a small machine has
)

// arrangeMounts makes all mounts of this namespace read-only but for the
// writable folders. Paths are opened without following links: they were
// resolved by the parent, and a link that is there now was planted since.
func arrangeMounts(f Folders) error {
	cwd, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	// Mounts that the host makes from now on must not show up here: they would
	// come writable.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private: %w", err)
	}
	layers := f.layers()
	// The trees are copied while they still are as the user has them: what is
	// read-only inside of a writable folder stays so.
	trees := map[string]int{}
	for _, l := range layers {
		if !l.writable || l.path == "/" {
			continue
		}
		tree, err := copyTree(l.path)
		if errors.Is(err, unix.ENOENT) {
			continue // removed since the parent looked
		}
		if err != nil {
			return err
		}
		if err := setTree(tree, l.path, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID); err != nil {
			return err
		}
		trees[l.path] = tree
	}
	for _, dev := range devices {
		if tree, err := copyTree(dev); err == nil {
			trees[dev] = tree
		}
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NODEV}
	if within("/", f.Writable) {
		attr.Attr_set = unix.MOUNT_ATTR_NODEV
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("read-only root: %w", err)
	}
	for _, dev := range devices {
		if tree, ok := trees[dev]; ok {
			if err := attach(tree, dev); err != nil {
				return err
			}
		}
	}
	mountOwnDevices(append(slices.Clone(f.Writable), cwd))
	for _, l := range layers {
		if l.writable {
			if tree, ok := trees[l.path]; ok {
				if err := attach(tree, l.path); err != nil {
					return err
				}
			}
			continue
		}
		if err := keepReadOnly(f, l.path); err != nil {
			return err
		}
	}
	// The working directory still is the one below the new mounts.
	if err := unix.Chdir(cwd); err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	return nil
}

// keepReadOnly mounts path over itself read-only, and the folders on the way to
// it over themselves: a mount point cannot be renamed or removed.
func keepReadOnly(f Folders, path string) error {
	for _, dir := range f.between(path) {
		if err := mountOver(dir, 0); err != nil {
			return err
		}
	}
	return mountOver(path, unix.MOUNT_ATTR_RDONLY)
}

// mountOver mounts path over itself with more attributes. A link is mounted over
// as such, since it could be replaced, too.
func mountOver(path string, attrs uint64) error {
	at, err := open(path, unix.O_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(at)
	tree, err := copyOpen(at, path)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	if err := setTree(tree, path, attrs); err != nil {
		return err
	}
	return attachOpen(tree, at, path)
}

// mountOwnDevices gives the command terminals and shared memory of its own. A
// host that refuses leaves it without, which harms nothing. Nothing is mounted
// over folders that are in use.
func mountOwnDevices(used []string) {
	inUse := func(dir string) bool {
		return slices.ContainsFunc(used, func(u string) bool { return under(u, dir) })
	}
	if !inUse(shmDir) {
		_ = unix.Mount("tmpfs", shmDir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, shmSize)
	}
	if inUse(ptsDir) {
		return
	}
	if err := unix.Mount("devpts", ptsDir, "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620"); err != nil {
		return
	}
	if info, err := os.Lstat(ptmx); err != nil || info.Mode()&os.ModeDevice == 0 {
		return // a link into the new instance
	}
	if tree, err := copyTree(filepath.Join(ptsDir, "ptmx")); err == nil {
		_ = attach(tree, ptmx)
	}
}

// openPath opens a path that holds no links, for reference only.
func openPath(path string) (int, error) { return open(path, 0) }

// open is openPath with further flags. With O_NOFOLLOW the path itself may be a
// link, which is opened then.
func open(path string, flags uint64) (int, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{
		Flags: flags | unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return fd, nil
}

// copyTree copies the mounts at path without attaching them anywhere.
func copyTree(path string) (int, error) {
	fd, err := openPath(path)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	return copyOpen(fd, path)
}

// copyOpen is copyTree for a path that is open.
func copyOpen(at int, path string) (int, error) {
	tree, err := unix.OpenTree(at, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
	if err != nil {
		return -1, fmt.Errorf("copy %s: %w", path, err)
	}
	return tree, nil
}

// setTree sets attributes on all mounts of a copied tree.
func setTree(tree int, path string, attrs uint64) error {
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attrs}); err != nil {
		return fmt.Errorf("attributes of %s: %w", path, err)
	}
	return nil
}

// attach mounts a copied tree at path and closes it.
func attach(tree int, path string) error {
	defer unix.Close(tree)
	at, err := openPath(path)
	if errors.Is(err, unix.ENOENT) {
		return nil // nothing there, nothing to write to
	}
	if err != nil {
		return err
	}
	defer unix.Close(at)
	return attachOpen(tree, at, path)
}

// attachOpen mounts a copied tree at a path that is open.
func attachOpen(tree, at int, path string) error {
	if err := unix.MoveMount(tree, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach %s: %w", path, err)
	}
	return nil
}

// ownTerminal is the terminal that the process was started with, as a path.
func ownTerminal() string {
	for _, fd := range []string{"0", "1", "2"} {
		if path, err := os.Readlink("/proc/self/fd/" + fd); err == nil && strings.HasPrefix(path, ptsDir+"/") {
			return path
		}
	}
	return ""
}
