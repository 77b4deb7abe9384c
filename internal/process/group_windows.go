package process

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// attributes adds to those of a caller: a group of its own, out of reach of our
// console's Ctrl-C.
func attributes(a syscall.SysProcAttr, _ bool) *syscall.SysProcAttr {
	a.CreationFlags |= syscall.CREATE_NEW_PROCESS_GROUP
	return &a
}

// terminate kills: there is no polite way that console programs share.
func terminate(pid int) { killGroup(pid) }

func killGroup(pid int) {
	exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(pid)).Run() // fails when it has ended
}

func signalGroup(pid int, _ syscall.Signal) { killGroup(pid) }

func groupAlive(int) bool { return false }

func killMarked(string) {}

func awaitExit(cmd *exec.Cmd) { cmd.Wait() }

func reap(*exec.Cmd) {}

// exitCode is -1 where there is no state.
func exitCode(s *os.ProcessState) int { return s.ExitCode() }

func openTerminal(Size) (master, tty *os.File, err error) {
	return nil, nil, errors.ErrUnsupported
}

// readNow is for files with deadlines, which there are not here.
func readNow(f *os.File, buf []byte) (int, error) { return f.Read(buf) }

func writeNow(*os.File, []byte) (int, error) { return 0, syscall.EAGAIN }

// hasExited does not know: the wait alone tells it here.
func hasExited(*exec.Cmd) bool { return false }

// survive has nothing to take back: no child dies with us here.
func survive(*syscall.SysProcAttr) {}
