package process

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes adds to those of a caller: a session of its own, with the terminal
// as its controlling one, and that the kernel kills the command when our thread
// ends.
func attributes(a syscall.SysProcAttr, terminal bool) *syscall.SysProcAttr {
	a.Setsid, a.Setctty, a.Ctty, a.Pdeathsig = true, terminal, 0, syscall.SIGKILL
	return &a
}

// awaitExit waits for the end without reaping, so that the number of the
// process and of its group stay taken until the group is killed.
func awaitExit(cmd *exec.Cmd) {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// hasExited tells whether awaitExit is about to return.
func hasExited(cmd *exec.Cmd) bool {
	var info unix.Siginfo
	return unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil) == nil && info.Signo != 0
}

// groupAlive tells whether a member of a group runs. One that has ended counts
// for the kernel until its parent has reaped it, which in a container may be a
// process that never does.
func groupAlive(pgid int) bool {
	if syscall.Kill(-pgid, 0) != nil {
		return false
	}
	for _, pid := range processes() {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue
		}
		// The name in parentheses may hold anything; state, parent and group
		// follow it.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) > 2 && string(fields[2]) == strconv.Itoa(pgid) && fields[0][0] != 'Z' && fields[0][0] != 'X' {
			return true
		}
	}
	return false
}

// processes lists the numbers of all processes.
func processes() []int {
	folder, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer folder.Close()
	names, _ := folder.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killMarked kills every process whose environment holds a variable that
// begins with mark, whatever session it moved to. A mark of one process ends
// with its whole number, a manager's with a dot.
func killMarked(mark string) {
	for _, pid := range processes() {
		if marked(pid, mark) {
			killOne(pid, mark)
		}
	}
}

// killWait bounds the wait for a killed process to be gone, in milliseconds. Only
// one that hangs in the kernel takes so long.
const killWait = 50

// killOne kills a process that is still the one that was looked at, and waits for
// its end.
func killOne(pid int, mark string) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if marked(pid, mark) {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, killWait)
	}
}

func marked(pid int, mark string) bool {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	for len(env) > 0 {
		var kv []byte
		kv, env, _ = bytes.Cut(env, []byte{0})
		rest, ok := bytes.CutPrefix(kv, []byte(mark))
		if ok && (len(rest) == 0 || mark[len(mark)-1] == '.') {
			return true
		}
	}
	return false
}

// survive takes the death signal back, for the one child that must outlive us.
func survive(a *syscall.SysProcAttr) { a.Pdeathsig = 0 }
