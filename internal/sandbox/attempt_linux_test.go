package sandbox

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// attemptArg makes the test binary try one thing that a sandbox must refuse. It
// prints how that went: escaped or refused.
const attemptArg = "__attempt"

const (
	escaped = "escaped"
	refused = "refused"
)

// attempts are by name; each returns nil when the thing was done.
var attempts = map[string]func(args []string) error{
	// write PATH
	"write": func(args []string) error { return write(args[0]) },
	"append": func(args []string) error {
		f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString("x")
		return err
	},
	"truncate": func(args []string) error { return os.Truncate(args[0], 0) },
	"mkdir":    func(args []string) error { return os.Mkdir(args[0], 0o755) },
	"remove":   func(args []string) error { return os.Remove(args[0]) },
	"chmod":    func(args []string) error { return os.Chmod(args[0], 0o700) },
	"rename":   func(args []string) error { return os.Rename(args[0], args[1]) },
	// symlink TARGET LINK: write through a link made inside.
	"symlink": func(args []string) error {
		if err := os.Symlink(args[0], args[1]); err != nil {
			return err
		}
		return write(args[1])
	},
	// hardlink FILE LINK: write through a second name.
	"hardlink": func(args []string) error {
		if err := os.Link(args[0], args[1]); err != nil {
			return err
		}
		return write(args[1])
	},
	// swap DIR FILE: move a folder aside and put another in its place.
	"swap": func(args []string) error {
		if err := os.Rename(args[0], args[0]+".old"); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(args[1]), 0o755); err != nil {
			return err
		}
		return write(args[1])
	},
	"dial": func(args []string) error {
		c, err := net.Dial(args[0], args[1])
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("x"))
		return err
	},
	// sendto PATH: a datagram from a socket that was not connected.
	"sendto": func(args []string) error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			pair, perr := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
			if perr != nil {
				return errors.Join(err, perr)
			}
			fd = pair[0]
		}
		return unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrUnix{Name: args[0]})
	},
	"ptrace": func(args []string) error {
		pid, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		return unix.PtraceSeize(pid)
	},
	"readmem": func(args []string) error {
		f, err := os.OpenFile("/proc/"+args[0]+"/mem", os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return f.Close()
	},
	"readenv": func(args []string) error {
		b, err := os.ReadFile("/proc/" + args[0] + "/environ")
		if err == nil && len(b) == 0 {
			err = errors.New("empty")
		}
		return err
	},
	"signal": func(args []string) error {
		pid, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		return unix.Kill(pid, unix.SIGCONT)
	},
	// limits PID: only asks for them, as the call that sets them does too.
	"limits": func(args []string) error {
		pid, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		return unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &unix.Rlimit{})
	},
	"userns": func([]string) error {
		return namespaced(unix.CLONE_NEWUSER)
	},
	"mount": func(args []string) error {
		if err := unix.Mount(args[0], args[0], "", unix.MS_BIND, ""); err != nil {
			return err
		}
		return unix.Unmount(args[0], unix.MNT_DETACH) // or the test cannot clean up
	},
	// remount is what comes before making the root writable again; it changes
	// nothing, since it also runs without a sandbox.
	"remount": func([]string) error {
		return unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &unix.MountAttr{Attr_clr: 0})
	},
	"unshare": func([]string) error { return unix.Unshare(unix.CLONE_NEWNS) },
	"setuid": func(args []string) error {
		return unix.Chmod(args[0], 0o4755)
	},
	"setuidcreate": func(args []string) error {
		fd, err := unix.Open(args[0], unix.O_CREAT|unix.O_WRONLY, 0o4755)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	},
	// setuidlink DIR: a file without a name, which gets one later.
	"setuidlink": func(args []string) error {
		fd, err := unix.Open(args[0], unix.O_TMPFILE|unix.O_WRONLY, 0o4755)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	},
	"mknod": func(args []string) error {
		return unix.Mknod(args[0], unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))
	},
	// tiocsti: with a bit that the kernel does not look at. There is no terminal,
	// so anything but EPERM means that the call was made.
	"tiocsti": func([]string) error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, 0, unix.TIOCSTI|1<<40, 0)
		if errno == unix.EPERM {
			return errno
		}
		return nil
	},
	"iouring": func([]string) error {
		var params [120]byte
		_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(ptr(&params[0])), 0)
		if errno != 0 {
			return errno
		}
		return nil
	},
	"keyctl": func([]string) error {
		_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_SESSION_KEYRING, false)
		return err
	},
	// background PATH: a child in a session of its own writes once this process
	// has gone. It shares stdout, so that whoever reads it waits for the child.
	"background": func(args []string) error {
		cmd := exec.Command("/proc/self/exe", attemptArg, "late", args[0])
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if _, err := cmd.StdinPipe(); err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		os.Exit(0)
		return nil
	},
	"late": func(args []string) error {
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			return err
		}
		return write(args[0])
	},
}

func write(path string) error { return os.WriteFile(path, []byte("escaped"), 0o644) }

// namespaced starts a child in a new namespace.
func namespaced(flag uintptr) error {
	cmd := exec.Command("/proc/self/exe", attemptArg, "nothing")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flag}
	return cmd.Run()
}

func runAttempt(name string, args []string) int {
	if name == "nothing" {
		return 0
	}
	f, ok := attempts[name]
	if !ok {
		fmt.Println("no such attempt")
		return 2
	}
	if err := f(args); err != nil {
		fmt.Printf("%s: %v\n", refused, err)
		return 1
	}
	fmt.Println(escaped)
	return 0
}
