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

// start starts the command and the goroutines that serve it. They end with
// the command; the manager's WaitGroup counts the supervising one, which waits
// for the others.
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
	ends, err := p.connect()
	if err != nil {
		return fmt.Errorf("process: start: %w", err)
	}
	err = p.m.onThread(p.cmd.Start)
	for _, f := range ends { // the child has its own copies
		f.Close()
	}
	if err != nil {
		p.disconnect()
		if errors.Is(err, fs.ErrNotExist) { // such as a script without its interpreter
			return fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return fmt.Errorf("process: start: %w", err)
	}
	p.born = time.Now()
	for _, r := range p.readers {
		go r.run()
	}
	go p.supervise()
	return nil
}

// connect makes the pipes or the terminal. It returns the child's ends, to be
// closed after the start. On an error nothing is left open.
func (p *Process) connect() (child []*os.File, err error) {
	defer func() {
		if err != nil {
			for _, f := range child {
				f.Close()
			}
			p.disconnect()
		}
	}()
	if p.spec.Terminal != nil {
		master, tty, err := openTerminal(*p.spec.Terminal)
		if err != nil {
			return nil, err
		}
		p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = tty, tty, tty
		p.input = master
		p.readers = []*reader{newReader(p, Stdout, master)}
		return []*os.File{tty}, nil
	}
	if p.spec.Input == OpenInput {
		r, w, err := os.Pipe()
		if err != nil {
			return child, err
		}
		p.cmd.Stdin, p.input, child = r, w, append(child, r)
	} // else os/exec gives the null device
	streams := []Stream{Stdout}
	if p.spec.Streams == Apart {
		streams = append(streams, Stderr)
	}
	for _, s := range streams {
		r, w, err := os.Pipe()
		if err != nil {
			return child, err
		}
		child = append(child, w)
		p.readers = append(p.readers, newReader(p, s, r))
		if s == Stdout {
			p.cmd.Stdout = w
		}
		p.cmd.Stderr = w
	}
	return child, nil
}

// disconnect closes our ends.
func (p *Process) disconnect() {
	if p.input != nil {
		p.input.Close() // closed before is fine
	}
	for _, r := range p.readers {
		r.file.Close()
	}
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
