//go:build unix

package patch

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// TestPipe: a pipe that comes into the place of a file keeps nobody waiting.
func TestPipe(t *testing.T) {
	dir := tree(t, map[string]string{"f": "a\n"})
	path := filepath.Join(dir, "f")
	p, err := plan(t, dir, wrap("*** Update File: f\n@@\n-a\n+b\n"))
	must(t, err)
	must(t, syscall.Unlink(path))
	must(t, syscall.Mkfifo(path, 0o600))
	if _, err := OS().ReadFile(path); !errors.Is(err, errNotRegular) {
		t.Errorf("read: %v", err)
	}
	if _, ok := errors.AsType[*StaleError](p.Apply(t.Context())); !ok {
		t.Error("applied to a pipe")
	}
}
