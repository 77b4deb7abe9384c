package rollout

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"app-server/protocol"
)

// notes is an append-only file of facts about threads, one JSON object a line,
// of which the last one about a thread counts.
type notes struct {
	path string

	mu   sync.Mutex
	seen os.FileInfo
	last map[string]note
}

// load returns what each thread's last note says. The map is not changed later.
func (n *notes) load() map[string]note {
	n.mu.Lock()
	defer n.mu.Unlock()
	f, err := os.Open(n.path)
	if err != nil {
		n.seen, n.last = nil, nil
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return n.last
	}
	if n.seen != nil && os.SameFile(n.seen, info) && n.seen.Size() == info.Size() && n.seen.ModTime().Equal(info.ModTime()) {
		return n.last
	}
	last := map[string]note{}
	sc := newScanner(f, 0)
	for {
		err := sc.next()
		if err != nil {
			if err != io.EOF {
				return n.last
			}
			break
		}
		if v, ok := readNote(sc.data); ok {
			last[v.ID] = v
		}
	}
	n.seen, n.last = info, last
	return last
}

// note is a line of session_index.jsonl or app_server_metadata.jsonl.
type note struct {
	ID      string    `json:"id"`
	Name    *string   `json:"thread_name,omitzero"`
	Git     *noteGit  `json:"git,omitzero"`
	Updated time.Time `json:"updated_at"`
}

type noteGit struct {
	SHA       *string `json:"sha"`
	Branch    *string `json:"branch"`
	OriginURL *string `json:"originUrl"`
}

func readNote(data []byte) (note, bool) {
	var n note
	if len(data) == 0 || json.Unmarshal(data, &n, lenient) != nil || n.ID == "" {
		return note{}, false
	}
	return n, true
}

// add appends a note, in one write. Whole lines of several servers do not mix;
// what another one left torn ends before it.
func (n *notes) add(v note) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	v.Updated = time.Now().UTC()
	b := bytes.NewBuffer(nil)
	if err := json.MarshalWrite(b, v, lenient); err != nil {
		return err
	}
	b.WriteByte('\n')
	if err := os.MkdirAll(filepath.Dir(n.path), 0o700); err != nil {
		return err
	}
	// The reference 0.169.0 takes the same lock for session_index.jsonl.
	defer waitForLock(n.path + ".lock")()
	f, err := os.OpenFile(n.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	data := b.Bytes()
	if !endsLine(f) {
		data = append([]byte{'\n'}, data...)
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// SetName names a thread, where the reference looks for names. The name is
// taken as it is. Where no writer has the thread's file, that is told the name
// too: a reference 0.125.0 that knows the thread by another name believes only
// that. Who has the writer appends [Named].
func (s *Store) SetName(id, name string) error {
	if err := s.names.add(note{ID: id, Name: &name}); err != nil {
		return fmt.Errorf("rollout: name: %w", err)
	}
	s.nameInFile(id, name)
	return nil
}

// nameInFile appends a name to the file of a thread that nobody has. What stands
// in the way only leaves the reference with the old name.
func (s *Store) nameInFile(id, name string) {
	p, err := s.Find(id)
	if err != nil || strings.HasSuffix(p.Path, packedSuffix) {
		return
	}
	f, err := openLocked(p.Path)
	if err != nil {
		return
	}
	defer f.Close()
	g, err := takeGuard(s.home, id)
	if err != nil {
		return
	}
	defer g.release()
	sc := newScanner(io.NewSectionReader(f, 0, 1<<62), 0)
	if sc.next() != nil {
		return
	}
	if first, ok := sc.parse(); !ok || first.ordinal >= 0 {
		return // no file of ours, or one that counts its lines
	}
	var b bytes.Buffer
	if !endsLine(f) {
		b.WriteByte('\n')
	}
	r, uncounted := Named(name), int64(-1)
	if r.appendTo(&b, id, time.Now(), &uncounted) == nil {
		_, _ = f.Write(b.Bytes())
	}
}

// endsLine reports whether a file is empty or ends with a newline.
func endsLine(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err == nil
	}
	last := make([]byte, 1)
	_, err = f.ReadAt(last, info.Size()-1)
	return err == nil && last[0] == '\n'
}

// Name returns a thread's name, or nil.
func (s *Store) Name(id string) *string { return s.names.load()[id].Name }

// SetGit replaces what is known of the repository of a thread.
func (s *Store) SetGit(id string, git protocol.GitInfo) error {
	if err := s.metadata.add(note{ID: id, Git: &noteGit{git.SHA, git.Branch, git.OriginURL}}); err != nil {
		return fmt.Errorf("rollout: git facts: %w", err)
	}
	return nil
}

// Git returns what is known of the repository of a thread: what SetGit has set,
// else what its file begins with; nil for nothing.
func (s *Store) Git(m *Meta) *protocol.GitInfo {
	if n := s.metadata.load()[m.ID]; n.Git != nil {
		return n.git()
	}
	return m.Git
}

// git is nil where nothing is known, which may have been set so.
func (n note) git() *protocol.GitInfo {
	if n.Git == nil || *n.Git == (noteGit{}) {
		return nil
	}
	return &protocol.GitInfo{SHA: n.Git.SHA, Branch: n.Git.Branch, OriginURL: n.Git.OriginURL}
}
