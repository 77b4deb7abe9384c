package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls are used as they are. The library for them restricts all
// threads one by one; where signals are restricted, early kernels then lose the
// signals between threads of one process that this needs. Here one thread
// restricts itself and then executes the command.

// Versions of Landlock that brought a right or a scope.
const (
	landlockRefer    = 2
	landlockTruncate = 3
	landlockTCP      = 4
	landlockIoctl    = 5
	landlockScopes   = 6
	landlockUnix     = 9
	landlockUDP      = 10
)

// Sets of rights.
const (
	rightsRead = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	// rightsFile are those that a rule for a single file may have.
	rightsFile = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE
	rightsDevice = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	// rightsDir are those for a writable folder: all but to make devices.
	rightsDir = rightsRead | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER
	// rightsFirst are those that the first version restricts.
	rightsFirst = 1<<13 - 1
)

// landlockVersion is the version of the kernel, at least 1, or why there is none.
func landlockVersion() (int, error) {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch {
	case errno == unix.ENOSYS:
		return 0, errors.New("not in this kernel")
	case errno == unix.EOPNOTSUPP:
		return 0, errors.New("switched off at boot")
	case errno != 0:
		return 0, errno
	}
	return int(v), nil
}

// ruleset is all that a version can restrict.
func ruleset(version int, network bool) unix.LandlockRulesetAttr {
	a := unix.LandlockRulesetAttr{Handled_access_fs: rightsFirst}
	add := func(since int, right uint64) {
		if version >= since {
			a.Handled_access_fs |= right
		}
	}
	add(landlockRefer, unix.LANDLOCK_ACCESS_FS_REFER)
	add(landlockTruncate, unix.LANDLOCK_ACCESS_FS_TRUNCATE)
	add(landlockIoctl, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV)
	if version >= landlockScopes {
		a.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	if network {
		return a
	}
	add(landlockUnix, unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX)
	if version >= landlockTCP {
		a.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version >= landlockUDP {
		a.Handled_access_net |= unix.LANDLOCK_ACCESS_NET_BIND_UDP | unix.LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP
	}
	return a
}

// restrictPaths puts the plan into Landlock for this thread. With mounts in
// place, those keep what is read-only inside of a writable folder.
func restrictPaths(p plan, version int, mounted bool) error {
	attr := ruleset(version, p.Network)
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("ruleset: %w", errno)
	}
	rules := rules{fd: int(fd), handled: attr.Handled_access_fs}
	defer unix.Close(rules.fd)
	rules.allow("/", rightsRead)
	for _, dev := range devices {
		rules.allow(dev, rightsDevice)
	}
	if mounted {
		// Both belong to the command, if they could be mounted. If not, these are
		// the user's, but on dead or read-only mounts.
		rules.allow(ptsDir, rightsDir|unix.LANDLOCK_ACCESS_FS_IOCTL_DEV)
		rules.allow(ptmx, rightsDevice)
		rules.allow(shmDir, rightsDir)
	} else if tty := ownTerminal(); tty != "" {
		rules.allow(tty, rightsDevice)
	}
	for _, root := range p.Folders.Writable {
		if mounted {
			rules.allow(root, rightsDir)
		} else {
			rules.allowAround(root, p.Folders.Never)
		}
	}
	if rules.err != nil {
		return rules.err
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(rules.fd), 0, 0); errno != 0 {
		return fmt.Errorf("restrict: %w", errno)
	}
	return nil
}

// rules is a ruleset in the making; err is the first that went wrong.
type rules struct {
	fd      int
	handled uint64
	err     error
}

// allow grants rights below path, as far as the version restricts them. Paths
// that do not exist, or have become links, grant nothing.
func (r *rules) allow(path string, rights uint64) {
	fd, err := openPath(path)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= rightsFile | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if rights &= r.handled; rights == 0 {
		return
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(r.fd), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 && r.err == nil {
		r.err = fmt.Errorf("rule for %s: %w", path, errno)
	}
}

// allowAround makes dir writable but for the folders in never. Landlock cannot
// take rights back below a folder, so the folders on the way get none and each
// of their other entries gets its own.
func (r *rules) allowAround(dir string, never []string) {
	if within(dir, never) {
		return
	}
	if !slices.ContainsFunc(never, func(n string) bool { return under(n, dir) }) {
		r.allow(dir, rightsDir)
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // nothing granted
	}
	for _, e := range entries {
		r.allowAround(filepath.Join(dir, e.Name()), never)
	}
}
