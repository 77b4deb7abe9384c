package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// start starts the command, which serve is to be called for.
func (p *Process) start() error {
	if len(p.spec.Argv) == 0 || p.spec.Argv[0] == "" {
		return fmt.Errorf("%w: empty command", ErrNotFound)
	}
	if p.spec.Dir != "" {
		if info, err := os.Stat(p.spec.Dir); err != nil {
			return fmt.Errorf("%w: %w", ErrDir, err)
		} else if !info.IsDir() {
			return fmt.Errorf("%w: not a folder", ErrDir)
		}
	}
	program, err := lookup(p.spec.Argv[0], p.spec.Dir, p.spec.Env)
	if err != nil {
		return err
	}
	var attr syscall.SysProcAttr
	if p.spec.Attr != nil {
		attr = *p.spec.Attr
	}
	p.cmd = &exec.Cmd{
		Path: program, Args: p.spec.Argv, Dir: p.spec.Dir, SysProcAttr: attributes(attr, p.spec.Terminal != nil),
		// Never nil, which would mean our own environment.
		Env: append(append([]string{}, p.spec.Env...), p.m.markOf(p)),
	}
	end, err := p.connect()
	if err != nil {
		return fmt.Errorf("process: start: %w", err)
	}
	err = p.m.onThread(p.cmd.Start)
	end.Close() // the child has its own copies
	if err != nil {
		p.reader.file.Close()
		if errors.Is(err, fs.ErrNotExist) { // such as a script without its interpreter
			return fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return fmt.Errorf("process: start: %w", err)
	}
	p.born = time.Now()
	return nil
}

// serve starts the goroutines that serve the command. They end with it; the
// manager's WaitGroup counts the supervising one, which waits for the others.
func (p *Process) serve() {
	go p.reader.run()
	go p.supervise()
}

// connect makes the pipe or the terminal. It returns the child's end, to be
// closed after the start.
func (p *Process) connect() (child *os.File, err error) {
	var ours *os.File
	if p.spec.Terminal != nil {
		ours, child, err = openTerminal(*p.spec.Terminal)
		p.cmd.Stdin, p.terminal = child, ours
	} else { // os/exec gives the null device for input
		ours, child, err = os.Pipe()
	}
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = child, child
	p.reader = newReader(p, ours)
	return child, nil
}

// lookup finds a program as the command's own shell would: in the PATH of the
// command's environment, relative to its folder.
func lookup(name, dir string, env []string) (string, error) {
	if runtime.GOOS == "windows" {
		path, err := exec.LookPath(name)
		if err != nil && !errors.Is(err, exec.ErrDot) {
			return "", fmt.Errorf("%w: %s", ErrNotFound, name)
		}
		return path, nil
	}
	if strings.Contains(name, "/") {
		return name, nil // the system resolves it in the command's folder
	}
	list := "/usr/local/bin:/usr/bin:/bin" // where a shell without PATH looks
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, "PATH="); ok {
			list = value
		}
	}
	for _, folder := range filepath.SplitList(list) {
		path := filepath.Join(folder, name)
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			if !filepath.IsAbs(path) {
				path = "." + string(filepath.Separator) + path
			}
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: %s", ErrNotFound, name)
}
