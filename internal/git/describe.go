package git

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// State is where a repository stands. Members are empty where nothing is known:
// there is no commit yet, HEAD is on no branch, there is no remote "origin".
type State struct {
	SHA, Branch string
	// Origin is the address of the remote, without a user's name or password.
	Origin string
}

// describeWait bounds Describe: a thread waits for it to begin. The programs take
// milliseconds, but a busy machine may be seconds late with them.
const describeWait = 5 * time.Second

// Describe tells the state of the repository around dir. It fails where there is
// no repository or no git. It waits for git until ctx ends, and some seconds at most;
// what is not known by then stays empty.
func Describe(ctx context.Context, dir string, getenv func(string) string) (State, error) {
	if !inRepository(dir) { // without starting a program
		return State{}, fmt.Errorf("git: describe: %s is in no repository", dir)
	}
	ctx, cancel := context.WithTimeout(ctx, describeWait)
	defer cancel()
	var s State
	r := newRunner(dir, getenv)
	var errs [3]error
	var wg sync.WaitGroup
	for i, q := range []struct {
		into *string
		args []string
	}{
		{&s.SHA, []string{"rev-parse", "--verify", "--quiet", "HEAD"}},
		{&s.Branch, []string{"symbolic-ref", "--short", "--quiet", "HEAD"}},
		{&s.Origin, []string{"config", "--get", "remote.origin.url"}},
	} {
		wg.Go(func() {
			var out string
			if out, errs[i] = r.run(ctx, q.args...); errs[i] == nil {
				*q.into = strings.TrimSpace(out)
			}
		})
	}
	wg.Wait()
	if !commitID.MatchString(s.SHA) {
		s.SHA = ""
	}
	s.Origin = withoutUser(s.Origin)
	if s == (State{}) {
		return s, fmt.Errorf("git: describe: %w", errs[0])
	}
	return s, nil
}

// inRepository reports whether dir or a folder above it holds .git.
func inRepository(dir string) bool {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return false
		}
		dir = up
	}
}

// withoutUser takes the credentials out of the address of a remote.
func withoutUser(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return afterAt(address)
	}
	if u.User == nil || u.Host == "" {
		return address
	}
	if _, secret := u.User.Password(); !secret && u.Scheme != "http" && u.Scheme != "https" {
		return address // ssh://git@host needs its user
	}
	u.User = nil
	return u.String()
}

// afterAt is withoutUser for what is no valid address, which may hold credentials
// all the same: a password that is not escaped, say.
func afterAt(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	at := strings.LastIndexByte(rest, '@')
	if !ok || at < 0 {
		return address
	}
	return scheme + "://" + rest[at+1:]
}
