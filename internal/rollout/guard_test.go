package rollout

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestGuard holds the lock as the reference 0.169.0 does, then as another
// program sees ours.
func TestGuard(t *testing.T) {
	s := New(t.TempDir())
	m := newMeta(t)
	w := create(t, s, m)
	_, records := turnOf(1)
	name := filepath.Join(s.home, guardDir, m.ID+".lock")

	put(t, w, records...)
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock(f); !errors.Is(err, ErrInUse) {
		t.Errorf("the lock of a loaded thread: %v", err)
	}
	f.Close()
	w.Close()
	if _, err := os.Stat(name); !os.IsNotExist(err) {
		t.Errorf("the lock file is left: %v", err)
	}

	if f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := lock(f); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Continue(t.Context(), m.ID); !errors.Is(err, ErrInUse) {
		t.Errorf("continue: %v", err)
	}
	if _, err := s.Archive(m.ID); !errors.Is(err, ErrInUse) {
		t.Errorf("archive: %v", err)
	}
	f.Close() // a program that died: the file is left, the lock is not
	w, _, err = s.Continue(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
}

// TestOneWriterOnly lets many take the same thread; never two have it.
func TestOneWriterOnly(t *testing.T) {
	s := New(t.TempDir())
	m := stored(t, s, nil)
	var mu sync.Mutex
	holders, got := 0, 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				w, _, err := New(s.home).Continue(t.Context(), m.ID)
				if errors.Is(err, ErrInUse) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if holders++; holders > 1 {
					t.Error("two writers of one thread")
				}
				got++
				mu.Unlock()
				mu.Lock()
				holders--
				mu.Unlock()
				w.Close()
			}
		})
	}
	wg.Wait()
	if got == 0 {
		t.Error("nobody had it")
	}
}
