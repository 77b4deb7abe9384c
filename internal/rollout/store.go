package rollout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Names in CODEX_HOME.
const (
	sessionsDir = "sessions"
	archiveDir  = "archived_sessions"
	filePrefix  = "rollout-"
	fileSuffix  = ".jsonl"
	fileTime    = "2006-01-02T15-04-05"
)

// Store is the threads of one CODEX_HOME. Its methods may be called by any
// goroutine. It holds no open files and has no goroutines.
type Store struct {
	home string

	names, metadata notes
	index           index
}

// New makes the store of a home, which need not exist yet. Nothing is read or
// written before it is asked for.
func New(home string) *Store {
	s := &Store{home: home}
	s.names.path = filepath.Join(home, "session_index.jsonl")
	s.metadata.path = filepath.Join(home, "app_server_metadata.jsonl")
	s.index.path = filepath.Join(home, "app_server_index.json")
	return s
}

// Place is where a thread is.
type Place struct {
	Path     string
	Archived bool
}

// Create makes the writer of a new thread. The file appears with the first
// Append, as in the reference, so a thread in which nothing was said leaves
// nothing. It fails where the id is no UUID.
func (s *Store) Create(m Meta) (*Writer, error) {
	id, err := uuid.Parse(m.ID)
	if err != nil {
		return nil, fmt.Errorf("rollout: thread id: %w", err)
	}
	m.ID = id.String()
	at := m.Created.Local()
	w := newWriter(s.home, m.ID, filepath.Join(s.home, sessionsDir, at.Format("2006"), at.Format("01"), at.Format("02"),
		filePrefix+at.Format(fileTime)+"-"+m.ID+fileSuffix))
	first := one(lineMeta, m.payload())
	if err := first.appendTo(&w.backlog, m.ID, time.Now()); err != nil {
		return nil, fmt.Errorf("rollout: create: %w", err)
	}
	return w, nil
}

// Find returns where a thread is. It looks at names only. It fails with
// [ErrNotFound].
func (s *Store) Find(id string) (Place, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return Place{}, ErrNotFound
	}
	ending := "-" + parsed.String() + fileSuffix
	for _, archived := range []bool{false, true} {
		found := ""
		err := s.files(context.Background(), archived, func(path string, _ fs.DirEntry) error {
			if strings.HasSuffix(path, ending) {
				found = path
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			return Place{}, err
		}
		if found != "" {
			return Place{found, archived}, nil
		}
	}
	return Place{}, ErrNotFound
}

// files calls each for all thread files, active or archived. Folders that cannot
// be read are passed over: they must not hide the others.
func (s *Store) files(ctx context.Context, archived bool, each func(path string, d fs.DirEntry) error) error {
	root := filepath.Join(s.home, sessionsDir)
	if archived {
		root = filepath.Join(s.home, archiveDir)
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if _, ok := idOf(d.Name()); !ok || !d.Type().IsRegular() {
			return nil
		}
		return each(path, d)
	})
}

// idOf reads the thread id from a file's name.
func idOf(name string) (string, bool) {
	const idLen = 36
	rest, ok := strings.CutPrefix(name, filePrefix)
	if !ok {
		return "", false
	}
	rest, ok = strings.CutSuffix(rest, fileSuffix)
	if !ok || len(rest) < idLen {
		return "", false
	}
	id := rest[len(rest)-idLen:]
	if uuid.Validate(id) != nil {
		return "", false
	}
	return id, true
}

// Read makes the outline of a stored thread, also of one that is being written.
// It takes no lock and changes nothing. It fails with [ErrNotFound].
func (s *Store) Read(ctx context.Context, id string) (*Log, error) {
	p, err := s.Find(id)
	if err != nil {
		return nil, err
	}
	return s.ReadFile(ctx, p.Path)
}

// ReadFile is [Store.Read] for a file of any place.
func (s *Store) ReadFile(ctx context.Context, path string) (*Log, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotFound
		}
		return nil, fmt.Errorf("rollout: read: %w", err)
	}
	defer f.Close()
	return s.outline(ctx, f, path)
}

// Continue opens a stored thread to append to it, and makes its outline. It
// fails with [ErrNotFound], and with [ErrInUse] where another writer has it. A
// last line that is not whole is cut off, all before it is kept; Log.Torn says
// so.
func (s *Store) Continue(ctx context.Context, id string) (*Writer, *Log, error) {
	p, err := s.Find(id)
	if err != nil {
		return nil, nil, err
	}
	return s.ContinueFile(ctx, p.Path)
}

// ContinueFile is [Store.Continue] for a file of any place.
func (s *Store) ContinueFile(ctx context.Context, path string) (*Writer, *Log, error) {
	f, err := openLocked(path)
	if err != nil {
		if errors.Is(err, ErrInUse) || errors.Is(err, ErrNotFound) {
			return nil, nil, err
		}
		return nil, nil, fmt.Errorf("rollout: continue: %w", err)
	}
	log, err := s.outline(ctx, f, path)
	var g *guard
	if err == nil {
		g, err = takeGuard(s.home, log.Meta.ID)
	}
	if err == nil {
		err = mend(f, log)
	}
	if err != nil {
		g.release()
		f.Close()
		return nil, nil, err
	}
	w := newWriter(s.home, log.Meta.ID, path)
	w.file, w.guard = f, g
	return w, log, nil
}

// mend makes the file end with a whole line.
func mend(f *os.File, log *Log) error {
	var err error
	switch {
	case log.Torn > 0:
		err = f.Truncate(log.size)
	case log.unended:
		_, err = f.Write([]byte{'\n'})
		log.size++
	}
	if err != nil {
		return fmt.Errorf("rollout: mend the end of %s: %w", f.Name(), err)
	}
	return nil
}
