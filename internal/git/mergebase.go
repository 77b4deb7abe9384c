package git

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// maxWait bounds one question. A repository of any size answers in far less; a
// folder on a network that is gone does not.
const maxWait = 15 * time.Second

// MergeBase returns the full id of the commit at which HEAD of the repository
// around dir left branch, which is the name of a branch or another commit. A
// branch's upstream counts as part of it, so that a local branch that lags
// behind makes no changes of others look like those of HEAD. It fails where
// there is no git, no repository or no such branch. It waits for git until ctx
// ends, and some seconds at most.
func MergeBase(ctx context.Context, dir, branch string, getenv func(string) string) (string, error) {
	if strings.HasPrefix(branch, "-") {
		return "", fmt.Errorf("git: merge base: %q is no name of a branch", branch)
	}
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	// Of several commits git takes the base with a merge of them all.
	base, err := commitOf(ctx, dir, getenv, "merge-base", "HEAD", branch, branch+"@{upstream}")
	if err != nil { // mostly since there is no upstream
		base, err = commitOf(ctx, dir, getenv, "merge-base", "HEAD", branch)
	}
	if err != nil {
		return "", fmt.Errorf("git: merge base: %w", err)
	}
	return base, nil
}

var commitID = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// commitOf runs git and returns the one commit id that it prints.
func commitOf(ctx context.Context, dir string, getenv func(string) string, args ...string) (string, error) {
	out, err := newRunner(dir, getenv).run(ctx, args...)
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(out)
	if !commitID.MatchString(id) {
		return "", fmt.Errorf("git printed no commit")
	}
	return id, nil
}
