package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"app-server/internal/plainfile"
)

const (
	// maxDiffWait bounds all of a diff; a parent waits for it.
	maxDiffWait = 30 * time.Second
	// maxBases is how many candidates for a base are weighed against each other.
	maxBases = 50
	// maxIndex bounds the copy of an index, in bytes: that of the largest repositories
	// has a tenth of it. Git refuses one that is cut.
	maxIndex = 1 << 30
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
// Nothing that the repository's own settings name is run: neither programs that
// show differences nor filters. The user's own filters are, since without them
// files look changed that are not (those of git-lfs, for instance). Of a
// submodule it is told which commit it stands at; git is not started in it.
func DiffToRemote(ctx context.Context, cwd string, getenv func(string) string) (Diff, error) {
	ctx, cancel := context.WithTimeout(ctx, maxDiffWait)
	defer cancel()
	g := newRunner(cwd, getenv)
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
	if g.settings, err = g.ownFilters(ctx); err != nil {
		return Diff{}, err
	}
	g.env = append(g.env, "GIT_INDEX_FILE="+index)
	if err := g.announce(ctx); err != nil {
		return Diff{}, err
	}
	text, err := g.run(ctx, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short", "--ignore-submodules=dirty", "--binary", base)
	if err != nil {
		return Diff{}, err
	}
	return Diff{SHA: base, Text: text}, nil
}

// base is the newest commit below HEAD that a remote has. Where branches were
// joined there are several; the one that leaves the least to tell counts.
func (g runner) base(ctx context.Context) (string, error) {
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

// announce adds the names of new files to the copy of the index, so that they
// take part in the diff while the user's own index stays as it is. A repository
// within this one is left out.
func (g runner) announce(ctx context.Context) error {
	out, err := g.run(ctx, "ls-files", "--others", "--exclude-standard", "-z")
	if err != nil {
		return err
	}
	var names strings.Builder
	for name := range strings.SplitSeq(out, "\x00") {
		if name != "" && !strings.HasSuffix(name, "/") {
			names.WriteString(name + "\x00")
		}
	}
	if names.Len() == 0 {
		return nil
	}
	g.input = names.String()
	_, err = g.run(ctx, "--literal-pathspecs", "add", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul")
	return err
}

// copyIndex copies the index into a temporary file. remove takes the file away;
// it is nil where err is not.
func (g runner) copyIndex(ctx context.Context) (path string, remove func(), err error) {
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
	var written time.Time
	in, err := plainfile.Open(index)
	if err == nil {
		var info fs.FileInfo
		if info, err = in.Stat(); err == nil {
			written = info.ModTime()
			_, err = io.Copy(tmp, io.LimitReader(in, maxIndex))
		}
		_ = in.Close()
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil && !written.IsZero() {
		// Git knows a file as unchanged by its time and size, unless the index was
		// written in the same second: a copy that is newer would hide a change.
		err = os.Chtimes(tmp.Name(), written, written)
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
