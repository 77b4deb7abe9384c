//go:build unix

package process

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// terminate asks a group to end. A stopped member is woken, or it would not
// hear of it.
func terminate(pgid int) {
	signalGroup(pgid, syscall.SIGTERM)
	signalGroup(pgid, syscall.SIGCONT)
}

func killGroup(pgid int) { signalGroup(pgid, syscall.SIGKILL) }

func signalGroup(pgid int, sig syscall.Signal) {
	syscall.Kill(-pgid, sig) // an error means that nobody is left
}

// reap takes the exit status. It returns at once, the process has ended.
func reap(cmd *exec.Cmd) {
	cmd.Wait() // an exit code other than 0 comes as an error; the state tells it as well
}

// exitCode tells of a signal as a shell does.
func exitCode(s *os.ProcessState) int {
	if s == nil {
		return -1
	}
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}

// openTerminal returns a terminal's two sides. The pty package leaves the
// master in blocking mode, in which neither a deadline nor Close ends a Read
// that waits for a descendant's word; so it is opened anew without blocking.
func openTerminal(s Size) (master, tty *os.File, err error) {
	blocking, tty, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer blocking.Close()
	defer func() {
		if err != nil {
			tty.Close()
		}
	}()
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, nil, err
	}
	master = os.NewFile(uintptr(fd), blocking.Name())
	if err := resize(master, s); err != nil {
		master.Close()
		return nil, nil, err
	}
	return master, tty, nil
}

// resize does not use File.Fd, which would make the master blocking again.
func resize(master *os.File, s Size) error {
	if s.Rows == 0 || s.Cols == 0 { // some programs divide by them
		s = Size{Rows: 24, Cols: 80}
	}
	conn, err := master.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: s.Rows, Col: s.Cols})
	})
	return errors.Join(err, failed)
}
