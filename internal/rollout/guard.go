package rollout

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// guard is the lock that the reference 0.169.0 looks at: a file per thread in
// CODEX_HOME/thread-writer-locks, there while the thread is loaded. It is taken
// beside the lock of the thread's own file, so that the two programs keep out of
// each other's threads.
type guard struct {
	dir  string
	file *os.File
}

const (
	guardDir     = "thread-writer-locks"
	coordination = ".coordination.lock"
)

// coordinationWait bounds the wait for another server that makes or removes a
// lock file, which takes it a moment, or some seconds on a busy machine.
const coordinationWait = 5 * time.Second

// takeGuard takes the lock of a thread, or fails with [ErrInUse]. Where the lock
// cannot be made there is none: the lock of the thread's file holds all the
// same. The guard may be nil.
func takeGuard(home, id string) (*guard, error) {
	g := &guard{dir: filepath.Join(home, guardDir)}
	if os.MkdirAll(g.dir, 0o700) != nil {
		return nil, nil
	}
	defer g.coordinate()()
	f, err := os.OpenFile(filepath.Join(g.dir, id+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil
	}
	if err := lock(f); err != nil {
		f.Close()
		if errors.Is(err, ErrInUse) {
			return nil, err
		}
		return nil, nil
	}
	g.file = f
	return g, nil
}

// release removes the lock file and gives up the lock. On nil it does nothing.
func (g *guard) release() {
	if g == nil {
		return
	}
	defer g.coordinate()()
	if runtime.GOOS == "windows" { // removes no open file
		g.file.Close()
	}
	_ = os.Remove(g.file.Name()) // while it is held: nobody else can have it
	g.file.Close()
}

// coordinate keeps others from making or removing lock files until the func that
// it returns is called.
func (g *guard) coordinate() func() {
	return waitForLock(filepath.Join(g.dir, coordination))
}

// waitForLock takes the lock of a file that is there for that only, until the
// func that it returns is called. It goes on without where another program takes
// too long, or where there can be no such file.
func waitForLock(path string) func() {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return func() {}
	}
	for end := time.Now().Add(coordinationWait); lock(f) != nil && time.Now().Before(end); {
		time.Sleep(2 * time.Millisecond) // a lock tells nobody that it is free
	}
	return func() { f.Close() }
}
