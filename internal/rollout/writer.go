package rollout

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// syncDelay is how long after a write the file is synced to the disk. Writes of
// that time share one sync.
const syncDelay = 500 * time.Millisecond

// maxBacklog bounds what waits in memory, in bytes, while the disk takes
// nothing: some turns of a busy thread.
const maxBacklog = 16 << 20

// Writer appends to the file of one thread, and has the file's lock. Its methods
// may be called by any goroutine.
type Writer struct {
	id, path, home string

	mu   sync.Mutex
	file *os.File // nil before the first Append of a new thread
	// guard is the lock that other programs look at; it may be nil.
	guard *guard
	// backlog are whole lines that the file does not have yet: the first line of
	// a new thread, and what could not be written.
	backlog bytes.Buffer
	// torn says that the file may end within a line.
	torn bool
	// ordinal is the number of the next line in a file that counts its lines, -1
	// in others. The reference 0.169.0 does not go on with its own files where a
	// line has none.
	ordinal int64
	failing bool
	gaveUp  bool
	closed  bool
	// syncing says that the goroutine of background runs; dirty that something
	// was written since the last sync; syncErr that the last one failed.
	syncing, dirty bool
	syncErr        error
	fresh          bool // the file's name is not on the disk yet

	quit chan struct{} // closed by Close; ends the background goroutine
	wg   sync.WaitGroup
}

func newWriter(home, id, path string) *Writer {
	return &Writer{home: home, id: id, path: path, ordinal: -1, quit: make(chan struct{})}
}

// Path is the thread's file, which may not be there before the first Append.
func (w *Writer) Path() string { return w.path }

// Append writes records at the end of the file, in one write. Once it has
// returned nil they are with the operating system.
//
// A *[WriteError] says that the disk did not take them. They are kept in memory
// and written before the next ones, by Append, Sync or Close, so that a disk
// that comes back misses nothing; past 16 MiB the writer gives up. Any other
// error is of a record that cannot be written as JSON; then none of the call's
// records is kept.
func (w *Writer) Append(records ...Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return fmt.Errorf("rollout: append: %w", os.ErrClosed)
	}
	before, ordinal, now := w.backlog.Len(), w.ordinal, time.Now()
	for i := range records {
		if err := records[i].appendTo(&w.backlog, w.id, now, &ordinal); err != nil {
			w.backlog.Truncate(before)
			return fmt.Errorf("rollout: append: %w", err)
		}
	}
	w.ordinal = ordinal
	return w.flush()
}

// AppendNow is Append for records that count only if the disk takes them: after
// an error none of them is kept, while what waited before still waits.
func (w *Writer) AppendNow(records ...Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return fmt.Errorf("rollout: append: %w", os.ErrClosed)
	}
	if err := w.flush(); err != nil {
		return err
	}
	before, now := w.ordinal, time.Now()
	for i := range records {
		if err := records[i].appendTo(&w.backlog, w.id, now, &w.ordinal); err != nil {
			w.backlog.Reset()
			w.ordinal = before
			return fmt.Errorf("rollout: append: %w", err)
		}
	}
	if err := w.write(); err != nil {
		w.backlog.Reset()
		w.ordinal = before
		return &WriteError{Path: w.path, Err: err}
	}
	return nil
}

// flush writes the backlog. w.mu is held.
func (w *Writer) flush() error {
	err := w.write()
	if err == nil && w.syncErr != nil {
		err, w.syncErr = w.syncErr, nil
	}
	if err == nil {
		w.failing = false
		return nil
	}
	if w.backlog.Len() > maxBacklog {
		w.gaveUp = true
		w.backlog = bytes.Buffer{}
		w.failing = false // told once more, since it is another message
	}
	e := &WriteError{Path: w.path, Err: err, Repeated: w.failing, GaveUp: w.gaveUp}
	w.failing = true
	return e
}

var errGaveUp = errors.New("too much waited to be written")

func (w *Writer) write() error {
	if w.gaveUp {
		w.backlog = bytes.Buffer{}
		return errGaveUp
	}
	if w.backlog.Len() == 0 {
		return nil
	}
	if w.file == nil {
		if err := w.create(); err != nil {
			return err
		}
	}
	if w.torn {
		// What could not be cut off ends here, so that nothing is glued to it.
		if _, err := w.file.Write([]byte{'\n'}); err != nil {
			return err
		}
		w.torn = false
	}
	n, err := w.file.Write(w.backlog.Bytes())
	if err != nil {
		whole := bytes.LastIndexByte(w.backlog.Bytes()[:n], '\n') + 1
		w.backlog.Next(whole)
		w.torn = n > whole && !w.cut(int64(n-whole))
		return err
	}
	w.backlog.Reset()
	w.dirty = true
	if !w.syncing {
		w.syncing = true
		w.wg.Go(w.background)
	}
	return nil
}

// cut takes back the last n bytes of the file.
func (w *Writer) cut(n int64) bool {
	info, err := w.file.Stat()
	return err == nil && w.file.Truncate(info.Size()-n) == nil
}

// create makes the file of a new thread, with all that is above it.
func (w *Writer) create() error {
	dir := filepath.Dir(w.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(w.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = lock(f)
	if err == nil {
		w.guard, err = takeGuard(w.home, w.id)
	}
	if err != nil {
		f.Close()
		os.Remove(w.path)
		return err
	}
	w.file, w.fresh = f, true
	return nil
}

// background syncs the file a while after each write, until nothing is left to
// sync or the writer is closed. It runs only while there is something to sync,
// so a thread at rest costs nothing.
func (w *Writer) background() {
	t := time.NewTimer(syncDelay)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-w.quit:
			return // Close syncs
		}
		w.mu.Lock()
		if !w.dirty {
			w.syncing = false
			w.mu.Unlock()
			return
		}
		f, fresh := w.file, w.fresh
		w.dirty, w.fresh = false, false
		w.mu.Unlock()
		// Not under the lock: a slow disk must not hold up a turn.
		if fresh {
			w.syncName()
		}
		if err := f.Sync(); err != nil {
			w.mu.Lock()
			w.syncErr = err
			w.mu.Unlock()
		}
		t.Reset(syncDelay)
	}
}

// Sync writes what waits and returns once all is on the disk.
func (w *Writer) Sync() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	return w.sync()
}

func (w *Writer) sync() error {
	err := w.flush()
	if err != nil || w.file == nil || !w.dirty {
		return err
	}
	if w.fresh {
		w.syncName()
	}
	w.dirty, w.fresh = false, false
	if err := w.file.Sync(); err != nil {
		return &WriteError{Path: w.path, Err: err}
	}
	return nil
}

// syncName makes the name of a new file lasting, and those of the folders that
// were made for it.
func (w *Writer) syncName() {
	for dir := filepath.Dir(w.path); len(dir) >= len(w.home); dir = filepath.Dir(dir) {
		syncDir(dir)
		if dir == filepath.Dir(dir) {
			return
		}
	}
}

// syncDir makes a new file's name lasting. Not all systems can; the file itself
// is synced.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}

// Close writes what waits, syncs, and gives up the lock. A thread that never had
// a record leaves no file. Closing twice is harmless. The error says what was
// not written.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	close(w.quit)
	w.mu.Unlock()
	w.wg.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil && !w.failing {
		return nil
	}
	err := w.sync()
	if w.file != nil {
		err = errors.Join(err, w.file.Close())
		w.guard.release()
	}
	return err
}

// openLocked opens a file to continue it. The lock is taken on the file that the
// path still names: archiving may have moved it meanwhile.
func openLocked(path string) (*os.File, error) {
	err := regular(path)
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	}
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotFound
		}
		return nil, err
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, err
	}
	opened, err := f.Stat()
	if err == nil {
		var named os.FileInfo
		if named, err = os.Stat(path); err == nil && !os.SameFile(opened, named) {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		f.Close()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotFound
		}
		return nil, err
	}
	return f, nil
}
