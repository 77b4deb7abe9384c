package rollout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Archive moves a thread's file to the archive and returns where it is now. It
// fails with [ErrNotFound] where there is no active one, and with [ErrInUse]
// while a writer has it.
func (s *Store) Archive(id string) (string, error) { return s.move(id, true) }

// Unarchive moves a thread's file back, and makes it the one that was updated
// last, as the reference does. It fails like [Store.Archive].
func (s *Store) Unarchive(id string) (string, error) {
	path, err := s.move(id, false)
	if err != nil {
		return "", err
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // only the order of a list hangs on it
	return path, nil
}

func (s *Store) move(id string, archive bool) (string, error) {
	p, err := s.Find(id)
	if err != nil {
		return "", err
	}
	if p.Archived == archive {
		return "", ErrNotFound
	}
	f, err := openLocked(p.Path)
	if err != nil {
		if errors.Is(err, ErrInUse) || errors.Is(err, ErrNotFound) {
			return "", err
		}
		return "", fmt.Errorf("rollout: move: %w", err)
	}
	defer f.Close()
	current, _ := parseName(filepath.Base(p.Path))
	g, err := takeGuard(s.home, current.thread)
	if err != nil {
		return "", err
	}
	defer g.release()
	// The file that is the thread goes last: until then the thread is where it
	// was, and what went before is found in both places.
	var paths []string
	err = s.files(context.Background(), !archive, func(path string, n fileName, _ fs.DirEntry) error {
		if n.thread == current.thread && path != p.Path {
			paths = append(paths, path)
		}
		return nil
	})
	if runtime.GOOS == "windows" {
		f.Close() // an open file cannot be moved there; the guard is still held
	}
	var to string
	for _, path := range append(paths, p.Path) {
		if err == nil {
			to, err = s.moveFile(path, archive)
		}
	}
	if err != nil {
		return "", fmt.Errorf("rollout: move: %w", err)
	}
	return to, nil
}

func (s *Store) moveFile(path string, archive bool) (string, error) {
	name := filepath.Base(path)
	dir := filepath.Join(s.home, archiveDir)
	if !archive {
		var err error
		if dir, err = s.dayDir(name); err != nil {
			return "", err
		}
	}
	to := filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if _, err := os.Lstat(to); err == nil {
		return "", fmt.Errorf("%s is there already", to)
	}
	if err := os.Rename(path, to); err != nil {
		return "", err
	}
	syncDir(dir)
	syncDir(filepath.Dir(path))
	return to, nil
}

// dayDir is the folder for a file by the day in its name.
func (s *Store) dayDir(name string) (string, error) {
	day := strings.TrimPrefix(name, filePrefix)
	if len(day) < len(time.DateOnly) {
		return "", fmt.Errorf("no day in the name of the file")
	}
	at, err := time.Parse(time.DateOnly, day[:len(time.DateOnly)])
	if err != nil {
		return "", fmt.Errorf("no day in the name of the file")
	}
	return s.dayFolder(at), nil
}

// Fork makes a new thread that begins with a copy of another: of its first
// turns, or of all with turns < 0. What was rolled back is not copied, nor is the
// name. The file is written at once. m tells of the new thread; its ForkedFrom is set here.
func (s *Store) Fork(ctx context.Context, from *Log, turns int, m Meta) (*Writer, error) {
	m.ForkedFrom = from.Meta.ID
	first := int64(-1)
	if from.nextOrdinal >= 0 {
		first = 0 // a copy of a file that counts its lines does so too
	}
	w, err := s.create(m, first)
	if err != nil {
		return nil, err
	}
	if err := w.copy(ctx, from, turns); err != nil {
		w.Discard()
		return nil, fmt.Errorf("rollout: fork: %w", err)
	}
	return w, nil
}

// copy appends the live lines of a thread, line by line, with bounded memory.
func (w *Writer) copy(ctx context.Context, from *Log, turns int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	const batch = 1 << 20
	err := walk(ctx, from.files, from.live(turns), func(sc *scanner, l *parsed) error {
		if l.kind == lineEvent && memberText(l.payload, "type") == "thread_name_updated" {
			return nil // the reference would take the name for the copy's
		}
		data := sc.data
		if w.ordinal >= 0 {
			if l.kind == lineMeta {
				return nil // what counts its lines has one first line
			}
			data = renumber(data, w.ordinal)
			w.ordinal++
		}
		w.backlog.Write(data)
		w.backlog.WriteByte('\n')
		if w.backlog.Len() < batch {
			return nil
		}
		return w.write()
	})
	if err != nil {
		return err
	}
	return w.write()
}

// renumber is a line under another number. Lines that count have theirs near
// their beginning, before all that could look alike.
func renumber(line []byte, ordinal int64) []byte {
	const name = `"ordinal":`
	at := bytes.Index(line, []byte(name))
	if at < 0 || at > 100 {
		return line
	}
	at += len(name)
	end := at
	for end < len(line) && line[end] >= '0' && line[end] <= '9' {
		end++
	}
	out := strconv.AppendInt(bytes.Clone(line[:at]), ordinal, 10)
	return append(out, line[end:]...)
}

// Discard closes the writer of a new thread that shall not be after all. Its file is
// removed.
func (w *Writer) Discard() {
	w.mu.Lock()
	made := w.file != nil
	w.backlog.Reset()
	w.mu.Unlock()
	_ = w.Close()
	if made {
		_ = os.Remove(w.path)
	}
}
