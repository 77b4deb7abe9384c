//go:build unix && !linux

package process

import (
	"os/exec"
	"syscall"
)

// attributes adds to those of a caller: a session of its own, with the terminal
// as its controlling one.
func attributes(a syscall.SysProcAttr, terminal bool) *syscall.SysProcAttr {
	a.Setsid, a.Setctty, a.Ctty = true, terminal, 0
	return &a
}

// awaitExit reaps at once; what is left of the group is killed right after.
func awaitExit(cmd *exec.Cmd) { cmd.Wait() }

// hasExited does not know: the wait alone tells it here.
func hasExited(*exec.Cmd) bool { return false }

// killMarked does nothing: environments of other processes cannot be read
// here. What left its session lives on.
func killMarked(string) {}

func groupAlive(pgid int) bool { return syscall.Kill(-pgid, 0) == nil }

// survive has nothing to take back: no child dies with us here.
func survive(*syscall.SysProcAttr) {}
