package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"
)

// maxOutput bounds what git may print: a diff goes out as one line, and parents
// read lines into memory.
const maxOutput = 32 << 20

// Reasons why git has no answer.
var (
	errNoRepository = errors.New("this is no folder of a git repository")
	errNoCommit     = errors.New("the repository has no commit yet")
	errNoRemote     = errors.New("no remote has a commit of this branch")
	errTooLarge     = fmt.Errorf("the output is larger than %d bytes", maxOutput)
)

// told is the reason why git refused: an error that git did not come to tell by
// its exit code stays as it is.
func told(err, reason error) error {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) || errors.Is(err, fs.ErrNotExist) && !errors.Is(err, exec.ErrNotFound) {
		return reason
	}
	return err
}

// runner runs git in one folder, with an environment of its own.
type runner struct {
	dir string
	env []string
	// settings go before those of the repository, each "key=value".
	settings []string
	// input is what git reads on its standard input.
	input string
}

// newRunner gives git what it needs of the environment that getenv tells to find
// its programs and the user's settings, and nothing else: no variable of the
// server's reaches what git may start, and a parent that was itself started by
// git has told in GIT_DIR where another repository is.
func newRunner(dir string, getenv func(string) string) runner {
	// No command that a remote names may be started to fetch what is missing. Only
	// newer versions of git know GIT_NO_LAZY_FETCH.
	env := []string{"GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none", "LC_ALL=C"}
	for _, name := range []string{
		"PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "USERPROFILE", "SystemRoot", "TEMP", "TMP",
		"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM",
	} {
		if v := getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return runner{dir: dir, env: env}
}

// run returns what git says on its standard output.
func (g runner) run(ctx context.Context, args ...string) (string, error) {
	// Hooks and the file system monitor are commands of the repository.
	all := []string{"-c", "core.hooksPath=" + os.DevNull, "-c", "core.fsmonitor=false", "-c", "core.quotePath=true"}
	for _, setting := range g.settings {
		all = append(all, "-c", setting)
	}
	cmd := exec.CommandContext(ctx, "git", append(all, args...)...)
	cmd.Dir, cmd.Env = g.dir, g.env
	if g.input != "" {
		cmd.Stdin = strings.NewReader(g.input)
	}
	// A child of git that outlives it must not be waited for, but what git printed
	// must be read.
	cmd.WaitDelay = 5 * time.Second
	out := limited{left: maxOutput}
	cmd.Stdout = &out
	err := cmd.Run()
	switch {
	case out.full:
		return "", errTooLarge
	case err == nil: // even where the time is over by now
		return out.buf.String(), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	}
	return "", err
}

// limited keeps the first bytes of what is written to it.
type limited struct {
	buf  bytes.Buffer
	left int
	full bool
}

func (l *limited) Write(p []byte) (int, error) {
	n := len(p)
	if n > l.left {
		p, l.full = p[:l.left], true
	}
	l.left -= len(p)
	l.buf.Write(p)
	return n, nil
}
