package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
)

// Run is the child's half: args are the arguments of the process without the
// program's name, for which [Is] said yes. It confines the process and replaces
// it by the command, so it returns only if that failed, with the exit code; the
// reason is then on stderr. Call it first in main: nothing else may run before.
func Run(args []string) int {
	p, argv, err := parseArgs(args)
	if err != nil {
		return fail(err)
	}
	// Capabilities, Landlock and seccomp are properties of a thread. The thread
	// that executes the command is the one that stays, with its properties.
	runtime.LockOSThread()
	f, err := confine(p)
	if err != nil {
		return fail(err)
	}
	if err := sealDescriptors(); err != nil {
		return fail(fmt.Errorf("descriptors: %w", err))
	}
	var path string
	if !p.Probe {
		if path, err = lookPath(argv[0]); err != nil {
			return notRun(argv[0], err)
		}
	}
	if err := f.load(); err != nil {
		return fail(fmt.Errorf("seccomp: %w", err))
	}
	if p.Probe {
		return 0
	}
	err = syscall.Exec(path, argv, os.Environ())
	return notRun(argv[0], err)
}

// confine sets up all walls but seccomp, and says which filter belongs to them.
func confine(p plan) (filter, error) {
	f := filter{network: p.Network}
	mounted := len(p.Outside) > 0
	if mounted {
		if err := checkNamespaces(p); err != nil {
			return f, err
		}
		if err := arrangeMounts(p.Folders); err != nil {
			return f, fmt.Errorf("mounts: %w", err)
		}
	} else if !p.Landlock {
		return f, errors.New("neither namespaces nor landlock")
	}
	if err := dropCapabilities(p.KeepFileCaps, mounted); err != nil {
		return f, fmt.Errorf("capabilities: %w", err)
	}
	if !p.Landlock {
		return f, nil
	}
	version, err := landlockVersion()
	if err != nil {
		return f, fmt.Errorf("landlock: %w", err)
	}
	f.noTruncate = !mounted && version < landlockTruncate
	if err := restrictPaths(p, version, mounted); err != nil {
		return f, fmt.Errorf("landlock: %w", err)
	}
	return f, nil
}

// sealDescriptors keeps the command from what the server itself was started with
// beside its standard streams: a folder or a socket that is open already is behind
// all walls.
func sealDescriptors() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}

// checkNamespaces makes sure that the parent really started this process in
// other namespaces. Without them root would change the mounts of the host.
func checkNamespaces(p plan) error {
	names, err := namespaces(p)
	if err != nil {
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(names)) {
		if before := p.Outside[kind]; before == "" || before == names[kind] {
			return fmt.Errorf("namespaces: not in a new %s namespace", kind)
		}
	}
	return nil
}

// lookPath finds a program as a shell would.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrDot) {
		return path, nil // "." is in $PATH: a shell obeys
	}
	if wrapped, ok := errors.AsType[*exec.Error](err); ok {
		err = wrapped.Err
	}
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		err = wrapped.Err
	}
	return path, err
}

// notRun reports why a program could not be executed, as a shell would, and is the
// exit code.
func notRun(name string, err error) int {
	fmt.Fprintf(os.Stderr, "%s%s: %v\n", commandPrefix, name, err)
	return exitCode(err)
}

// exitCode is what a shell answers for such an error.
func exitCode(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return exitNotFound
	}
	return exitNotExecutable
}
