//go:build unix && !linux

package process

import (
	"os/exec"
	"syscall"
)

// attributes puts a command into a session of its own, with the terminal as
// its controlling one.
func attributes(terminal bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Setctty: terminal, Ctty: 0}
}

// awaitExit reaps at once; what is left of the group is killed right after.
func awaitExit(cmd *exec.Cmd) { cmd.Wait() }

// killMarked does nothing: environments of other processes cannot be read
// here. What left its session lives on.
func killMarked(string) {}

func groupAlive(pgid int) bool { return syscall.Kill(-pgid, 0) == nil }

// survive has nothing to take back: no child dies with us here.
func survive(*syscall.SysProcAttr) {}
