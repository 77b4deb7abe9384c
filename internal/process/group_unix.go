//go:build unix

package process

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

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

// readNow reads what is there, and fails with EAGAIN where there is nothing. The
// deadline of the file is taken away: once it has passed, a Read does not even
// look. The file does not block.
func readNow(f *os.File, buf []byte) (n int, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	f.SetReadDeadline(time.Time{})
	n, err = tried(conn.Read, func(fd int) (int, error) { return unix.Read(fd, buf) })
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// writeNow writes what there is room for, and fails with EAGAIN where there is
// none. The file does not block and has no deadline.
func writeNow(f *os.File, data []byte) (n int, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	return tried(conn.Write, func(fd int) (int, error) { return unix.Write(fd, data) })
}

// tried makes one system call on a file that does not block, and does not wait.
func tried(with func(func(fd uintptr) bool) error, call func(fd int) (int, error)) (n int, err error) {
	closed := with(func(fd uintptr) bool {
		for {
			if n, err = call(int(fd)); err != unix.EINTR {
				return true
			}
		}
	})
	switch {
	case closed != nil:
		return 0, closed
	case err != nil:
		return 0, err
	}
	return n, nil
}
