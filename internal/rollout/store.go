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
func (s *Store) Create(m Meta) (*Writer, error) { return s.create(m, -1) }

// create is Create, for a file whose first line has that number, or none.
func (s *Store) create(m Meta, ordinal int64) (*Writer, error) {
	id, err := uuid.Parse(m.ID)
	if err != nil {
		return nil, fmt.Errorf("rollout: thread id: %w", err)
	}
	m.ID = id.String()
	at := m.Created.Local()
	w := newWriter(s.home, m.ID, filepath.Join(s.dayFolder(at), filePrefix+at.Format(fileTime)+"-"+m.ID+fileSuffix))
	p := m.payload()
	if w.ordinal = ordinal; ordinal >= 0 {
		p.Mode = "paginated"
	}
	first := one(lineMeta, p)
	if err := first.appendTo(&w.backlog, m.ID, time.Now(), &w.ordinal); err != nil {
		return nil, fmt.Errorf("rollout: create: %w", err)
	}
	return w, nil
}

// fileName is what the name of a thread's file tells.
type fileName struct {
	// thread is the thread's id. segment is that of the file: the same for the
	// first one of a thread. The reference 0.169.0 begins another one when a
	// thread is taken back to an earlier turn; the last one is the thread.
	thread, segment string
	packed          bool
}

func parseName(name string) (n fileName, ok bool) {
	const idLen = 36
	if name, n.packed = strings.CutSuffix(name, packedSuffix); !strings.HasSuffix(name, fileSuffix) {
		return n, false
	}
	name = strings.TrimSuffix(name, fileSuffix)
	if !strings.HasPrefix(name, filePrefix) || len(name) < len(filePrefix)+idLen {
		return n, false
	}
	n.segment = name[len(name)-idLen:]
	n.thread = n.segment
	if rest := name[:len(name)-idLen]; strings.HasSuffix(rest, "_") && len(rest) > idLen {
		n.thread = rest[len(rest)-1-idLen : len(rest)-1]
	}
	return n, uuid.Validate(n.thread) == nil && uuid.Validate(n.segment) == nil
}

// better reports whether a file is to be taken before another one of the same
// thread: a later one, and of two of the same name the one that is not
// compressed. Their names begin with their times.
func better(path, than string) bool {
	a, b := filepath.Base(path), filepath.Base(than)
	if x, y := strings.TrimSuffix(a, packedSuffix), strings.TrimSuffix(b, packedSuffix); x != y {
		return x > y
	}
	return len(a) < len(b)
}

// Find returns where a thread is. It looks at names only. It fails with
// [ErrNotFound].
func (s *Store) Find(id string) (Place, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return Place{}, ErrNotFound
	}
	id = parsed.String()
	if path := s.findByTime(parsed); path != "" {
		return Place{path, false}, nil
	}
	for _, archived := range []bool{false, true} {
		found := ""
		err := s.files(context.Background(), archived, func(path string, n fileName, _ fs.DirEntry) error {
			if n.thread == id && (found == "" || better(path, found)) {
				found = path
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

// findByTime looks for an active thread by the time that its id tells: ids are
// made when threads are. It looks at that day and those beside it, which time
// zones may make it, and finds nothing where there is more than one file of the
// thread.
func (s *Store) findByTime(id uuid.UUID) string {
	if id.Version() != 7 {
		return ""
	}
	sec, nsec := id.Time().UnixTime()
	at := time.Unix(sec, nsec).UTC()
	found, text := "", id.String()
	for _, days := range []int{-1, 0, 1} {
		dir := s.dayFolder(at.AddDate(0, 0, days))
		d, err := os.Open(dir)
		if err != nil {
			continue
		}
		names, _ := d.Readdirnames(-1) // what is not read is looked for again by Find
		d.Close()
		for _, name := range names {
			if !strings.Contains(name, text) {
				continue
			}
			if n, ok := parseName(name); !ok || n.thread != text {
				continue
			}
			if found != "" {
				return ""
			}
			found = filepath.Join(dir, name)
		}
	}
	return found
}

// dayFolder is the folder of the threads of a day.
func (s *Store) dayFolder(at time.Time) string {
	return filepath.Join(s.home, sessionsDir, at.Format("2006"), at.Format("01"), at.Format("02"))
}

// segment returns the file of a segment.
func (s *Store) segment(id string) (string, error) {
	found := ""
	for _, archived := range []bool{false, true} {
		err := s.files(context.Background(), archived, func(path string, n fileName, _ fs.DirEntry) error {
			if n.segment == id && (found == "" || better(path, found)) {
				found = path
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	if found == "" {
		return "", ErrNotFound
	}
	return found, nil
}

// files calls each for all thread files, active or archived. Folders that cannot
// be read are passed over: they must not hide the others.
func (s *Store) files(ctx context.Context, archived bool, each func(path string, n fileName, d fs.DirEntry) error) error {
	root := filepath.Join(s.home, sessionsDir)
	if archived {
		root = filepath.Join(s.home, archiveDir)
	}
	// Not filepath.WalkDir, which does not follow a root that is a link.
	return fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		n, ok := parseName(d.Name())
		if !ok || !d.Type().IsRegular() {
			return nil
		}
		return each(filepath.Join(root, path), n, d)
	})
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
	src, err := openSource(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotFound
		}
		return nil, fmt.Errorf("rollout: read: %w", err)
	}
	defer src.close()
	return s.outline(ctx, src)
}

// Continue opens a stored thread to append to it, and makes its outline. It
// fails with [ErrNotFound], and with [ErrInUse] where another writer has it. A
// last line that is not whole is cut off, all before it is kept; Log.Torn says
// so. A compressed file is replaced by its text.
func (s *Store) Continue(ctx context.Context, id string) (*Writer, *Log, error) {
	p, err := s.Find(id)
	if err != nil {
		return nil, nil, err
	}
	return s.ContinueFile(ctx, p.Path)
}

// ContinueFile is [Store.Continue] for a file of any place.
func (s *Store) ContinueFile(ctx context.Context, path string) (*Writer, *Log, error) {
	w, log, err := s.continueFile(ctx, path)
	if err != nil && !errors.Is(err, ErrInUse) && !errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("rollout: continue: %w", err)
	}
	return w, log, err
}

func (s *Store) continueFile(ctx context.Context, path string) (*Writer, *Log, error) {
	var err error
	if strings.HasSuffix(path, packedSuffix) {
		if path, err = unpack(path); err != nil {
			return nil, nil, err
		}
	}
	f, err := openLocked(path)
	if err != nil {
		return nil, nil, err
	}
	log, err := s.outline(ctx, &source{f: f})
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
	w.file, w.guard, w.ordinal = f, g, log.nextOrdinal
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
