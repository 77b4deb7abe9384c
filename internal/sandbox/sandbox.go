package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"app-server/protocol"
)

// ErrUnsupported is wrapped by the error of [Sandbox.Command] where this host
// cannot confine commands at all.
var ErrUnsupported = errors.New("commands cannot be sandboxed on this system")

// Policy is what a command may touch. The zero Mode counts as read-only.
type Policy struct {
	Mode protocol.SandboxMode
	// Cwd is the working directory of the turn, absolute. With workspace-write
	// it is the first writable root. It is not the directory that a single
	// command asked for.
	Cwd string
	// WritableRoots are further writable folders, absolute or relative to Cwd.
	WritableRoots []string
	// Network allows the network, loopback included.
	Network bool
	// NoTmpdir and NoSlashTmp take $TMPDIR and /tmp out of the writable folders.
	NoTmpdir, NoSlashTmp bool
}

// Options are the surroundings of a [Sandbox].
type Options struct {
	// Protected are folders that are never writable, whatever a policy says:
	// the home of the server's own configuration and credentials.
	Protected []string
	// Tmpdir is the server's $TMPDIR, may be empty.
	Tmpdir string
	// Known is what the host can enforce where that is known beforehand; nil tries
	// the host.
	Known *Support
}

// Sandbox builds confined commands. It is safe for concurrent use.
type Sandbox struct {
	opts Options
	// probe finds out, once, what the host allows.
	probe func() Support
	holds holds
}

// New returns a sandbox. It touches nothing: the host is tried at the first
// call of Probe or Command.
func New(o Options) *Sandbox {
	s := &Sandbox{opts: o}
	s.probe = sync.OnceValue(func() Support { return probe() })
	if o.Known != nil {
		s.probe = func() Support { return *o.Known }
	}
	return s
}

// Support says what this host can enforce.
type Support struct {
	// Namespaces, Landlock and Seccomp are the walls that hold on Linux.
	Namespaces, Landlock, Seccomp bool
	// Seatbelt is the wall that holds on macOS.
	Seatbelt bool
	// Missing says in plain words what is not enforced, in sentences for the
	// user; empty where everything is.
	Missing []string
	// Err is why commands cannot be confined at all; nil where they can.
	Err error

	// identity is how user ids are mapped into the user namespace.
	identity identity
}

// Warning is one text for the user, empty where all is enforced.
func (s Support) Warning() string {
	if s.Err != nil {
		return fmt.Sprintf("Commands cannot be sandboxed here: %v. They are refused, or run after approval only.", s.Err)
	}
	if len(s.Missing) == 0 {
		return ""
	}
	return "The sandbox is weaker than usual on this host. " + strings.Join(s.Missing, " ")
}

// Probe tells what the host can enforce. The first call starts a few short
// processes, some 10 ms in all; later calls answer from memory.
func (s *Sandbox) Probe() Support { return s.probe() }

// Command is a confined command, ready to be started.
type Command struct {
	// Argv is what to execute; Argv[0] is the path of the program. It must be
	// started in the directory that the command is to have, with the command's
	// environment plus Env.
	Argv []string
	Env  []string
	// Attr must be used for the start, or nothing is confined by namespaces and
	// the child then refuses to go on. The caller owns it and may add a session,
	// a process group, a terminal or a death signal. Never nil.
	Attr *syscall.SysProcAttr
	// Release must be called once the command has ended, or was not started. Never
	// nil.
	Release func()
}

// networkDisabled tells a command that it has no network. Test suites written
// for the reference look for this variable and skip what needs one.
const networkDisabled = "CODEX_SANDBOX_NETWORK_DISABLED=1"

// Command confines argv as the policy says. Full access gives argv back as it
// is. An error means that the command cannot be confined (then it wraps
// [ErrUnsupported]) or that argv or the policy is unusable; it never means that
// the command may be run as it is.
func (s *Sandbox) Command(p Policy, argv []string) (Command, error) {
	if len(argv) == 0 || argv[0] == "" {
		return Command{}, errors.New("sandbox: empty command")
	}
	if p.Mode == protocol.SandboxDangerFullAccess {
		return Command{Argv: argv, Attr: &syscall.SysProcAttr{}, Release: func() {}}, nil
	}
	support := s.Probe()
	if support.Err != nil {
		return Command{}, fmt.Errorf("sandbox: %w: %w", ErrUnsupported, support.Err)
	}
	folders, err := s.Folders(p)
	if err != nil {
		return Command{}, err
	}
	release := func() {}
	switch held := folders.held(p); {
	case support.Namespaces: // a mount needs something to lie on
		release = s.holds.hold(held, &folders)
	case support.Seatbelt: // a profile can name what is not there
		folders.keep(held)
	}
	c, err := launch(support, plan{Folders: folders, Network: p.Network}, argv)
	if err != nil {
		release()
		return Command{}, err
	}
	c.Release = release
	if !p.Network {
		c.Env = append(c.Env, networkDisabled)
	}
	return c, nil
}

// Exit codes of the child when the command itself never ran. The first two are
// those of a shell.
const (
	exitNotFound      = 127
	exitNotExecutable = 126
	exitSetup         = 125
)

// The one line that the child writes to stderr then: failurePrefix begins it where
// the sandbox is at fault, commandPrefix where the command is.
const (
	failurePrefix = "app-server: sandbox: "
	commandPrefix = "app-server: "
)

// SetupError tells whether a command ended because it could not be confined, and
// why, from its exit code and what it printed. A command can fake this, so the
// answer is good for an explanation and not for a decision to run without.
func SetupError(exitCode int, output string) (reason string, failed bool) {
	rest, ok := strings.CutPrefix(output, failurePrefix)
	if exitCode != exitSetup || !ok {
		return "", false
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line), true
}

// fail reports why the command could not be confined, and is the exit code.
func fail(err error) int {
	fmt.Fprintf(os.Stderr, "%s%v\n", failurePrefix, err)
	return exitSetup
}
