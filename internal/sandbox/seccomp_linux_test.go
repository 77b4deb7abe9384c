package sandbox

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
)

// call is one system call as the filter sees it. The interpreter reads in
// network order, so words are written in it, halves in the machine's.
func call(arch, number uint32, args ...uint64) []byte {
	b := make([]byte, 64)
	binary.BigEndian.PutUint32(b[offNumber:], number)
	binary.BigEndian.PutUint32(b[offArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(b[16+8*i:], uint32(a))
		binary.BigEndian.PutUint32(b[16+8*i+4:], uint32(a>>32))
	}
	return b
}

func TestFilter(t *testing.T) {
	info, err := arch.GetInfo("")
	if err != nil {
		t.Skip(err)
	}
	own := uint32(info.ID)
	const (
		allow   = uint32(seccomp.ActionAllow)
		eperm   = uint32(seccomp.ActionErrno) | uint32(unix.EPERM)
		enosys  = uint32(seccomp.ActionErrno) | uint32(unix.ENOSYS)
		killed  = uint32(seccomp.ActionKillProcess)
		stream  = unix.SOCK_STREAM | unix.SOCK_CLOEXEC
		private = unix.CLONE_NEWUSER | unix.CLONE_NEWNS
	)
	closed, open := filter{}, filter{network: true}
	for _, tc := range []struct {
		name   string
		filter filter
		data   []byte
		want   uint32
	}{
		{"plain", closed, call(own, unix.SYS_WRITE, 1), allow},
		{"exec", closed, call(own, unix.SYS_EXECVE), allow},
		{"other architecture", open, call(uint32(arch.ARM.ID), unix.SYS_WRITE, 1), killed},
		{"ptrace", open, call(own, unix.SYS_PTRACE, 0), eperm},
		{"mount", open, call(own, unix.SYS_MOUNT), eperm},
		{"io_uring", open, call(own, unix.SYS_IO_URING_SETUP), eperm},
		{"clone3", open, call(own, unix.SYS_CLONE3), enosys},
		{"openat2", open, call(own, unix.SYS_OPENAT2), enosys},
		{"thread", closed, call(own, unix.SYS_CLONE, unix.CLONE_VM|unix.CLONE_THREAD|unix.CLONE_SIGHAND), allow},
		{"fork", closed, call(own, unix.SYS_CLONE, uint64(unix.SIGCHLD)), allow},
		{"clone in a namespace", open, call(own, unix.SYS_CLONE, private|uint64(unix.SIGCHLD)), eperm},
		{"unshare files", open, call(own, unix.SYS_UNSHARE, unix.CLONE_FILES), allow},
		{"unshare time", open, call(own, unix.SYS_UNSHARE, unix.CLONE_NEWTIME), eperm},
		{"terminal size", closed, call(own, unix.SYS_IOCTL, 0, unix.TIOCGWINSZ), allow},
		{"type", open, call(own, unix.SYS_IOCTL, 0, unix.TIOCSTI), eperm},
		{"type with high bits", open, call(own, unix.SYS_IOCTL, 0, unix.TIOCSTI|1<<33), eperm},
		{"paste", open, call(own, unix.SYS_IOCTL, 0, unix.TIOCLINUX), eperm},
		{"mode", closed, call(own, unix.SYS_FCHMODAT, 0, 0, 0o2755), allow},
		{"set-user-id", open, call(own, unix.SYS_FCHMODAT, 0, 0, 0o4755), eperm},
		{"set-user-id at open", open, call(own, unix.SYS_OPENAT, 0, 0, unix.O_CREAT|unix.O_WRONLY, 0o4755), eperm},
		{"set-user-id without a name", open, call(own, unix.SYS_OPENAT, 0, 0, unix.O_TMPFILE|unix.O_WRONLY, 0o4755), eperm},
		{"folder with rubbish for a mode", open, call(own, unix.SYS_OPENAT, 0, 0, unix.O_DIRECTORY, 0xffff), allow},
		{"rubbish for a mode", open, call(own, unix.SYS_OPENAT, 0, 0, unix.O_RDONLY, 0xffff), allow},
		{"local socket", closed, call(own, unix.SYS_SOCKET, unix.AF_UNIX, stream), allow},
		{"local pair", closed, call(own, unix.SYS_SOCKETPAIR, unix.AF_UNIX, stream), allow},
		{"local datagram", closed, call(own, unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), eperm},
		{"local pair of datagrams", closed, call(own, unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_DGRAM), eperm},
		{"internet", closed, call(own, unix.SYS_SOCKET, unix.AF_INET, stream), eperm},
		{"machine", closed, call(own, unix.SYS_SOCKET, unix.AF_VSOCK, stream), eperm},
		{"local with high bits", closed, call(own, unix.SYS_SOCKET, unix.AF_UNIX|1<<32, stream), eperm},
		{"connect", closed, call(own, unix.SYS_CONNECT), eperm},
		{"internet allowed", open, call(own, unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM), allow},
		{"connect allowed", open, call(own, unix.SYS_CONNECT), allow},
		{"own limits", closed, call(own, unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE), allow},
		{"limits of another", open, call(own, unix.SYS_PRLIMIT64, 7, unix.RLIMIT_NOFILE), eperm},
		{"truncate", closed, call(own, unix.SYS_TRUNCATE), allow},
		{"truncate unknown to landlock", filter{noTruncate: true}, call(own, unix.SYS_TRUNCATE), eperm},
	} {
		raw, err := tc.filter.assemble()
		if err != nil {
			t.Fatal(err)
		}
		code, ok := bpf.Disassemble(raw)
		if !ok {
			t.Fatal("not all instructions are known")
		}
		vm, err := bpf.NewVM(code)
		if err != nil {
			t.Fatal(err)
		}
		got, err := vm.Run(tc.data)
		if err != nil || uint32(got) != tc.want {
			t.Errorf("%s: %#x, %v, want %#x", tc.name, uint32(got), err, tc.want)
		}
	}
}

func TestRuleset(t *testing.T) {
	for version, want := range map[int]unix.LandlockRulesetAttr{
		1:  {Handled_access_fs: 0x1fff},
		2:  {Handled_access_fs: 0x3fff},
		3:  {Handled_access_fs: 0x7fff},
		4:  {Handled_access_fs: 0x7fff, Handled_access_net: 3},
		5:  {Handled_access_fs: 0xffff, Handled_access_net: 3},
		6:  {Handled_access_fs: 0xffff, Handled_access_net: 3, Scoped: 3},
		9:  {Handled_access_fs: 0x1ffff, Handled_access_net: 3, Scoped: 3},
		99: {Handled_access_fs: 0x1ffff, Handled_access_net: 15, Scoped: 3},
	} {
		if got := ruleset(version, false); got != want {
			t.Errorf("version %d: %+v", version, got)
		}
	}
	if got := ruleset(99, true); got.Handled_access_net != 0 || got.Handled_access_fs&unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX != 0 {
		t.Errorf("with network: %+v", got)
	}
}
