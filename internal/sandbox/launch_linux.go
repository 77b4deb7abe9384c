package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// self is the binary of this process, even after the file was replaced or
// removed by an upgrade. In a new child the link still names the same file.
const self = "/proc/self/exe"

// identity is how user and group ids map into the user namespace: each id that
// is mapped keeps its number.
type identity struct {
	uids, gids []syscall.SysProcIDMap
	// whole says that every id known outside is mapped, which only root may do.
	whole bool
}

// attributes are those of a child in namespaces of its own.
func (id identity) attributes(p plan) *syscall.SysProcAttr {
	flags := uintptr(unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWIPC)
	if !p.Network {
		flags |= unix.CLONE_NEWNET
	}
	return &syscall.SysProcAttr{
		Cloneflags:                 flags,
		UidMappings:                id.uids,
		GidMappings:                id.gids,
		GidMappingsEnableSetgroups: id.whole,
		// What the child needs to mount and to give these up again. A user other
		// than root would lose them at the exec.
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP},
	}
}

// namespaces names those of this process, by the kinds in which the child gets
// one of its own.
func namespaces(p plan) (map[string]string, error) {
	kinds := []string{"user", "mnt", "ipc"}
	if !p.Network {
		kinds = append(kinds, "net")
	}
	names := map[string]string{}
	for _, kind := range kinds {
		name, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			return nil, fmt.Errorf("namespaces: %w", err)
		}
		names[kind] = name
	}
	return names, nil
}

// launch puts the child's plan before argv.
func launch(s Support, p plan, argv []string) (Command, error) {
	attr := &syscall.SysProcAttr{}
	if s.Namespaces {
		names, err := namespaces(p)
		if err != nil {
			return Command{}, fmt.Errorf("sandbox: %w", err)
		}
		p.Outside = names
		attr = s.identity.attributes(p)
	}
	p.Landlock = s.Landlock
	// Root keeps its way with files of other users: a workspace in a container
	// often belongs to somebody else. The mounts and Landlock still hold.
	p.KeepFileCaps = os.Geteuid() == 0 && (s.identity.whole || !s.Namespaces)
	args, err := p.args(argv)
	if err != nil {
		return Command{}, err
	}
	return Command{Argv: append([]string{self}, args...), Attr: attr}, nil
}

// identities are the mappings to try, the best first.
func identities() []identity {
	single := identity{
		uids: []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}},
		gids: []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}},
	}
	if os.Geteuid() != 0 {
		return []identity{single}
	}
	uids, uerr := ownMapping("/proc/self/uid_map")
	gids, gerr := ownMapping("/proc/self/gid_map")
	if uerr != nil || gerr != nil {
		return []identity{single}
	}
	return []identity{{uids: uids, gids: gids, whole: true}, single}
}

// ownMapping lists the ids that this process knows, each mapped to itself.
func ownMapping(file string) ([]syscall.SysProcIDMap, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []syscall.SysProcIDMap
	for line := range strings.Lines(string(b)) {
		var m syscall.SysProcIDMap
		var host int
		if _, err := fmt.Sscan(line, &m.ContainerID, &host, &m.Size); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		m.HostID = m.ContainerID
		out = append(out, m)
	}
	return out, nil
}

// probeTime bounds one try of the host. A try takes milliseconds, but what it
// finds holds for good: a busy machine must not pass for one without walls.
const probeTime = time.Minute

// walls are what probe may try; tests take some away.
type walls struct{ namespaces, landlock bool }

// probe tries what the host allows.
func probe() Support { return probeWalls(walls{namespaces: true, landlock: true}) }

// probeWalls runs the child to the end of its set-up, with all walls first, then
// with fewer.
func probeWalls(w walls) Support {
	version, lerr := landlockVersion()
	if !w.landlock {
		version, lerr = 0, errors.New("switched off")
	}
	found := Support{Landlock: version > 0}
	reason := errors.New("switched off")
	if w.namespaces {
		for _, id := range identities() {
			s := found
			s.Namespaces, s.identity = true, id
			if reason = try(s); reason == nil {
				s.Seccomp, s.Missing = true, missing(s, version)
				return s
			}
		}
	}
	reason = fmt.Errorf("namespaces: %w", reason)
	if !found.Landlock {
		return Support{Err: errors.Join(reason, fmt.Errorf("landlock: %w", lerr))}
	}
	if err := try(found); err != nil {
		return Support{Err: errors.Join(reason, err)}
	}
	found.Seccomp, found.Missing = true, missing(found, version)
	return found
}

// try runs one child that sets everything up and ends.
func try(s Support) error {
	p := plan{Probe: true}
	if real, ok := resolveFrom("/", "/tmp"); ok {
		p.Folders.Writable = []string{real}
	}
	c, err := launch(s, p, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.SysProcAttr, cmd.Dir = c.Attr, "/"
	var out bytes.Buffer
	cmd.Stderr = &out
	err = cmd.Run()
	if cmd.ProcessState != nil {
		if text, failed := SetupError(cmd.ProcessState.ExitCode(), out.String()); failed {
			return errors.New(text)
		}
	}
	return err
}

// missing says what does not hold with the walls found.
func missing(s Support, landlock int) []string {
	var out []string
	if !s.Namespaces {
		out = append(out,
			"Inside of writable folders, .git and .codex can be changed by commands.",
			"Mode, owner, times and attributes of files elsewhere can be changed by commands where the user may change them.")
	}
	if landlock < landlockScopes {
		out = append(out, "Commands can send signals to other processes of the same user.")
	}
	return out
}
