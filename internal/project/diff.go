package project

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// gitTimeout bounds all of a diff; a parent waits for it.
	gitTimeout = 30 * time.Second
	// maxDiffBytes bounds a diff: it goes out as one line, and parents read lines
	// into memory.
	maxDiffBytes = 32 << 20
	// maxBases is how many candidates for a base are weighed against each other.
	maxBases = 50
)

// Diff is what a working tree has that no remote has.
type Diff struct {
	// SHA is the newest commit below HEAD that a remote has.
	SHA string
	// Text is a git patch from there to the files as they are now, with files
	// that git does not know yet and does not ignore.
	Text string
}

// DiffToRemote compares the repository around cwd with what its remotes are
// known to have; nothing is fetched. It fails where there is no repository, no
// commit, no remote that has one, or no git.
//
// The programs that a repository's settings name for showing diffs and for
// watching files are not run; its filters are, since without them files look
// changed that are not. Git gets only what it needs of the environment that
// getenv tells.
func DiffToRemote(ctx context.Context, cwd string, getenv func(string) string) (Diff, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	g := git{dir: cwd, env: gitEnv(getenv)}
	top, err := g.run(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return Diff{}, told(err, errNoRepository)
	}
	// From the top, or files that git does not know would be missing.
	g.dir = filepath.FromSlash(strings.TrimRight(top, "\r\n"))
	base, err := g.base(ctx)
	if err != nil {
		return Diff{}, err
	}
	index, remove, err := g.copyIndex(ctx)
	if err != nil {
		return Diff{}, err
	}
	defer remove()
	// In a copy of the index new files are announced, so that they take part in
	// the diff while the user's own index stays as it is.
	g.env = append(g.env, "GIT_INDEX_FILE="+index)
	if _, err := g.run(ctx, "add", "--intent-to-add", "--all"); err != nil {
		return Diff{}, err
	}
	text, err := g.run(ctx, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "--binary", base)
	if err != nil {
		return Diff{}, err
	}
	return Diff{SHA: base, Text: text}, nil
}

// git runs git in one folder.
type git struct {
	dir string
	env []string
}

// gitEnv is the environment that git needs to find its programs and settings.
func gitEnv(getenv func(string) string) []string {
	env := []string{"GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C"}
	for _, name := range []string{"PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "USERPROFILE", "SystemRoot", "TEMP", "TMP"} {
		if v := getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// Reasons why there is no diff.
var (
	errNoRepository = errors.New("this is no folder of a git repository")
	errNoCommit     = errors.New("the repository has no commit yet")
	errNoRemote     = errors.New("no remote has a commit of this branch")
	errTooLarge     = fmt.Errorf("the diff is larger than %d bytes", maxDiffBytes)
)

// told is the reason why git refused: one that git did not come to tell by its
// exit code stays as it is.
func told(err, reason error) error {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) || errors.Is(err, fs.ErrNotExist) && !errors.Is(err, exec.ErrNotFound) {
		return reason
	}
	return err
}

// run returns what git says on its standard output.
func (g git) run(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "core.quotePath=true"}, args...)
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = g.dir, g.env
	// A child of git that outlives it must not be waited for.
	cmd.WaitDelay = time.Second
	var out, errs limited
	out.left, errs.left = maxDiffBytes, 4<<10
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	switch {
	case out.full:
		return "", errTooLarge
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", fmt.Errorf("git: %w", err)
	}
	return out.buf.String(), nil
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

// base is the newest commit below HEAD that a remote has. Where branches were
// joined there are several; the one that leaves the least to tell counts.
func (g git) base(ctx context.Context) (string, error) {
	out, err := g.run(ctx, "rev-list", "--boundary", "HEAD", "--not", "--remotes")
	if err != nil {
		return "", told(err, errNoCommit)
	}
	if strings.TrimSpace(out) == "" {
		head, err := g.run(ctx, "rev-parse", "HEAD")
		return strings.TrimSpace(head), err
	}
	best, least := "", ""
	weighed := 0
	for line := range strings.Lines(out) {
		sha, ok := strings.CutPrefix(strings.TrimSpace(line), "-")
		if !ok {
			continue
		}
		if weighed++; weighed > maxBases {
			break
		}
		count, err := g.run(ctx, "rev-list", "--count", sha+"..HEAD")
		if err != nil {
			return "", err
		}
		// Numbers compare by length, then as texts.
		count = strings.TrimSpace(count)
		if best == "" || len(count) < len(least) || len(count) == len(least) && count < least {
			best, least = sha, count
		}
	}
	if best == "" {
		return "", errNoRemote
	}
	return best, nil
}

// copyIndex copies the index into a temporary file. remove takes the file away;
// it is nil where err is not.
func (g git) copyIndex(ctx context.Context) (path string, remove func(), err error) {
	out, err := g.run(ctx, "rev-parse", "--git-path", "index")
	if err != nil {
		return "", nil, err
	}
	index := filepath.FromSlash(strings.TrimRight(out, "\r\n"))
	if !filepath.IsAbs(index) {
		index = filepath.Join(g.dir, index)
	}
	tmp, err := os.CreateTemp("", "app-server-index-*")
	if err != nil {
		return "", nil, err
	}
	remove = func() {
		_ = os.Remove(tmp.Name())
		_ = os.Remove(tmp.Name() + ".lock")
	}
	in, err := os.Open(index)
	if err == nil {
		_, err = io.Copy(tmp, in)
		_ = in.Close()
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		remove()
		return "", nil, fmt.Errorf("index: %w", err)
	}
	if st, statErr := os.Stat(tmp.Name()); statErr == nil && st.Size() == 0 {
		// Git takes a missing index for an empty one, but not an empty file.
		_ = os.Remove(tmp.Name())
	}
	return tmp.Name(), remove, nil
}
