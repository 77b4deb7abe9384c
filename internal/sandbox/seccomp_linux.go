package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
)

// deniedCalls are refused with EPERM whatever their arguments.
var deniedCalls = []string{
	// Other processes: their memory, their files, their registers.
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd",
	// The kernel: keys, programs, counters, page faults, modules, logs, clocks.
	"keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd",
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "syslog",
	"settimeofday", "clock_settime", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "vhangup",
	"iopl", "ioperm", "nfsservctl", "lookup_dcookie", "sethostname", "setdomainname",
	// A ring makes calls that no filter sees.
	"io_uring_setup", "io_uring_enter", "io_uring_register",
	// Mounts and roots.
	"mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr",
	"fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "setns", "open_by_handle_at",
}

// absentCalls are answered as by a kernel that does not have them, since their
// arguments lie in memory where the filter cannot see them. C libraries and
// others then use the older call.
var absentCalls = []string{"clone3", "openat2"}

// newNamespaces are the flags of clone and unshare that make a namespace. A
// process in a user namespace of its own would have all capabilities there.
const newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID |
	unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// newTime is CLONE_NEWTIME, which for clone means a signal number.
const newTime = unix.CLONE_NEWTIME

// modeArgs are the calls that set a file's mode, with the place of the mode.
var modeArgs = map[string]uint32{"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "mknod": 1, "mknodat": 2, "creat": 1}

// filter says which filter a command gets.
type filter struct {
	// network leaves sockets alone.
	network bool
	// noTruncate denies to cut files by path, for a Landlock that does not know
	// of it; a file that may be written can still be cut once it is open.
	noTruncate bool
}

// policy is the filter but for what the library cannot say.
func (f filter) policy(names map[string]int) seccomp.Policy {
	known := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(name string) bool { _, ok := names[name]; return !ok })
	}
	denied := seccomp.SyscallGroup{Action: seccomp.ActionErrno, Names: known(deniedCalls)}
	when := func(name string, conditions ...seccomp.Condition) {
		if _, ok := names[name]; ok {
			denied.NamesWithCondtions = append(denied.NamesWithCondtions, seccomp.NameWithConditions{Name: name, Conditions: conditions})
		}
	}
	bits := func(arg uint32, value uint64) seccomp.Condition {
		return seccomp.Condition{Argument: arg, Operation: seccomp.BitsSet, Value: value}
	}
	when("clone", bits(0, newNamespaces))
	when("unshare", bits(0, newNamespaces|newTime))
	// A set-user-id file would outlast the sandbox and lend the user's power to
	// others. Set-group-id is left, because folders inherit it.
	for _, name := range slices.Sorted(maps.Keys(modeArgs)) {
		when(name, bits(modeArgs[name], unix.S_ISUID))
	}
	// A file without a name can be given one later.
	const creates = unix.O_CREAT | unix.O_TMPFILE&^unix.O_DIRECTORY
	when("open", bits(1, creates), bits(2, unix.S_ISUID))
	when("openat", bits(2, creates), bits(3, unix.S_ISUID))
	// The limits of another process, such as the server's, need no more than the
	// same user.
	when("prlimit64", seccomp.Condition{Argument: 0, Operation: seccomp.NotEqual, Value: 0})
	if f.noTruncate {
		denied.Names = append(denied.Names, known([]string{"truncate"})...)
	}
	if !f.network {
		// Sockets of programs outside are files, and neither mounts nor
		// namespaces hide them. So a local socket can be made and handed on, but not
		// connected to a name, and datagram sockets, which may name a receiver in
		// each message, cannot be made at all.
		denied.Names = append(denied.Names, known([]string{"connect"})...)
		const datagram = unix.SOCK_DGRAM // set in DGRAM and RAW, not in STREAM and SEQPACKET
		for _, name := range []string{"socket", "socketpair"} {
			when(name, seccomp.Condition{Argument: 0, Operation: seccomp.NotEqual, Value: unix.AF_UNIX})
			when(name, bits(1, datagram))
		}
	}
	return seccomp.Policy{
		DefaultAction: seccomp.ActionAllow,
		Syscalls: []seccomp.SyscallGroup{
			denied,
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: known(absentCalls)},
		},
	}
}

// Places in the data that a filter sees, in bytes: the number of the call, the
// architecture, and the lower half of the second argument.
const (
	offNumber = 0
	offArch   = 4
	offArg1   = 16 + 8
)

// assemble is the whole filter.
func (f filter) assemble() ([]bpf.RawInstruction, error) {
	info, err := arch.GetInfo("")
	if err != nil {
		return nil, err
	}
	p := f.policy(info.SyscallNames)
	rest, err := p.Assemble()
	if err != nil {
		return nil, err
	}
	deny := bpf.RetConstant{Val: uint32(seccomp.ActionErrno) | uint32(unix.EPERM)}
	// The library lets calls of other architectures pass, so a 64-bit process
	// could use the 32-bit door. They end the process. And it compares whole
	// arguments, while the kernel looks at the lower half of an ioctl's.
	head := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(info.ID), SkipTrue: 1},
		bpf.RetConstant{Val: uint32(seccomp.ActionKillProcess)},
		bpf.LoadAbsolute{Off: offNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_IOCTL, SkipTrue: 4},
		bpf.LoadAbsolute{Off: offArg1, Size: 4},
		// Keystrokes for the user's terminal, typed or pasted.
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.TIOCSTI, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.TIOCLINUX, SkipTrue: 1},
		deny,
	}
	return bpf.Assemble(append(head, rest...))
}

// load puts the filter on this thread. Nothing after it but the exec.
func (f filter) load() error {
	raw, err := f.assemble()
	if err != nil {
		return err
	}
	if len(raw) == 0 {
		return errors.New("empty filter")
	}
	code := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("load: %w", errno)
	}
	return nil
}
