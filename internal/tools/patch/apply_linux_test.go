package patch

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asNobody takes the right to write everywhere from the test, where root has it.
// It holds for this goroutine, whose thread ends with it.
func asNobody(t *testing.T) {
	runtime.LockOSThread()
	if os.Geteuid() == 0 {
		must(t, syscall.Setfsuid(65534))
	}
}

// A file may be the user's to write in a folder that is not.
func TestApplyWritesOver(t *testing.T) {
	dir := tree(t, map[string]string{"d/f": "one\n", "d/g": "one\n", "h": "one\n"})
	for _, name := range []string{"d/f", "d/g"} {
		must(t, os.Chmod(filepath.Join(dir, name), 0o666))
	}
	must(t, os.Chmod(filepath.Join(dir, "d"), 0o555))
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	p, err := plan(t, dir, wrap("*** Update File: d/f\n@@\n-one\n+two\n*** Update File: d/g\n@@\n-one\n+two"))
	must(t, err)
	before, err := os.Stat(filepath.Join(dir, "d/f"))
	must(t, err)
	run := func(f func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			asNobody(t)
			f()
		}()
		<-done
	}
	stop := errors.New("stop")
	run(func() {
		err = p.apply(t.Context(), func(real string) error {
			if filepath.Base(real) == "g" {
				return stop
			}
			return nil
		})
	})
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff(map[string]string{"d/f": "one\n", "d/g": "one\n", "h": "one\n"}, files(t, dir)); d != "" {
		t.Error(d)
	}
	run(func() { err = p.Apply(t.Context()) })
	must(t, err)
	if d := cmp.Diff(map[string]string{"d/f": "two\n", "d/g": "two\n", "h": "one\n"}, files(t, dir)); d != "" {
		t.Error(d)
	}
	if after, err := os.Stat(filepath.Join(dir, "d/f")); err != nil || !os.SameFile(before, after) {
		t.Error("the file was replaced")
	}
	// What is new has no place there.
	p, err = plan(t, dir, wrap("*** Update File: h\n@@\n-one\n+two\n*** Add File: d/n\n+1"))
	must(t, err)
	run(func() { err = p.Apply(t.Context()) })
	if !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v", err)
	}
}
