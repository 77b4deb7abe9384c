package sandbox

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Capabilities that root keeps: power over files of other users. With mounts
// they end at the read-only ones. With Landlock alone, which knows nothing of
// modes and owners, only the first is kept.
var (
	fileCapsMounted = []uint{unix.CAP_DAC_OVERRIDE, unix.CAP_CHOWN, unix.CAP_FOWNER, unix.CAP_FSETID}
	fileCapsAlone   = []uint{unix.CAP_DAC_OVERRIDE}
)

// dropCapabilities gives up all capabilities of this thread but those for files,
// and the way back to them: set-user-id programs and the power that root gets at
// an exec.
func dropCapabilities(keepFileCaps, mounted bool) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	var keep uint64
	if keepFileCaps {
		caps := fileCapsAlone
		if mounted {
			caps = fileCapsMounted
		}
		for _, c := range caps {
			keep |= 1 << c
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("ambient set: %w", err)
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if keep&(1<<c) != 0 {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		// A process that may not shrink the set has nothing to gain from it: with
		// no new privileges an exec adds nothing to the permitted set.
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
			break
		}
		if err != nil {
			return fmt.Errorf("bounding set: %w", err)
		}
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	for i := range data {
		mask := uint32(keep >> (32 * i))
		data[i].Permitted &= mask
		data[i].Effective = data[i].Permitted
		data[i].Inheritable = 0
	}
	if err := unix.Capset(&head, &data[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}
