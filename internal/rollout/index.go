package rollout

import (
	"bytes"
	"context"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/atomicfile"
	"app-server/internal/excerpt"
)

// Bounds of what is read of a file for a list. The first user message is among
// the first ten lines of all files seen; a line before it may hold images.
const (
	headLines = 64
	headBytes = 32 << 20
	// maxPreview bounds a preview, in bytes.
	maxPreview = 4 << 10
	// headReaders is how many files are read at a time.
	headReaders = 4
	// saveAfter is how many files must have been read before the index is saved
	// again: so many a new process can read without being slow.
	saveAfter = 32
)

// head is what a list needs of a file, from its first lines. These are never
// changed, so it holds as long as the file does not get shorter.
type head struct {
	Path    string `json:"path"` // relative to the home
	Size    int64  `json:"size"`
	ModTime int64  `json:"mtime"` // Unix nanoseconds

	ID       string         `json:"id,omitzero"`
	Created  time.Time      `json:"created,omitzero"`
	Spoken   bool           `json:"spoken,omitzero"`
	Preview  string         `json:"preview,omitzero"`
	Cwd      string         `json:"cwd,omitzero"`
	Provider string         `json:"provider,omitzero"`
	Version  string         `json:"version,omitzero"`
	From     string         `json:"forked_from,omitzero"`
	Origin   string         `json:"originator,omitzero"`
	Source   jsontext.Value `json:"source,omitzero"`
	Git      *gitMeta       `json:"git,omitzero"`
	Nickname *string        `json:"nickname,omitzero"`
	Role     *string        `json:"role,omitzero"`
}

func (h *head) entry(home string, archived bool) Entry {
	e := Entry{
		Meta: Meta{
			ID: h.ID, ForkedFrom: h.From, Created: h.Created, Cwd: h.Cwd, Originator: h.Origin, CLIVersion: h.Version,
			ModelProvider: h.Provider, Source: h.Source, AgentNickname: h.Nickname, AgentRole: h.Role,
		},
		Place: Place{filepath.Join(home, h.Path), archived}, Preview: h.Preview, Updated: time.Unix(0, h.ModTime),
	}
	e.Meta.Git = h.Git.info()
	e.Git = e.Meta.Git
	return e
}

// index remembers the heads of files, in memory and in a file. The files are the
// truth: what is missing, stale or damaged here is read from them again.
type index struct {
	path string

	// mu makes lists wait for each other, also while files are read: two of them
	// would read the same.
	mu      sync.Mutex
	loaded  bool
	heads   map[string]*head // by relative path; a head is not changed once it is here
	unsaved int              // heads read since the index was saved
}

// refresh returns the heads of all active or all archived files as they are now.
func (x *index) refresh(ctx context.Context, s *Store, archived bool) ([]*head, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.loaded {
		x.heads, x.loaded = x.load(), true
	}
	var out, stale []*head
	var which []int // index in out of each stale one
	seen := map[string]bool{}
	err := s.files(ctx, archived, func(path string, _ fileName, d fs.DirEntry) error {
		info, err := d.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		rel, err := filepath.Rel(s.home, path)
		if err != nil {
			return nil
		}
		seen[rel] = true
		h := x.heads[rel]
		switch size, at := info.Size(), info.ModTime().UnixNano(); {
		case h != nil && h.Size == size && h.ModTime == at:
		case h != nil && h.Spoken && h.Size <= size:
			grown := *h
			grown.Size, grown.ModTime = size, at
			h = &grown
			x.heads[rel] = h
		default:
			h = &head{Path: rel, Size: size, ModTime: at}
			stale, which = append(stale, h), append(which, len(out))
		}
		out = append(out, h)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := readHeads(ctx, s.home, stale); err != nil {
		return nil, err
	}
	for _, h := range stale {
		x.heads[h.Path] = h
	}
	x.forget(seen, archived)
	if x.unsaved += len(stale); x.unsaved >= saveAfter {
		x.unsaved = 0
		_ = x.save() // without it the next process reads more
	}
	return merge(out), nil
}

// merge makes one head of all files of a thread: the last one is the thread, the
// first one tells how it began.
func merge(heads []*head) []*head {
	at := make(map[string]int, len(heads))
	out := heads[:0]
	for _, h := range heads {
		i, twice := at[h.ID]
		if !twice || h.ID == "" {
			at[h.ID] = len(out)
			out = append(out, h)
			continue
		}
		first, last := out[i], h
		if better(first.Path, last.Path) {
			first, last = last, first
		}
		both := *last
		both.Created = first.Created
		if first.Spoken {
			both.Spoken, both.Preview = true, first.Preview
		}
		out[i] = &both
	}
	return out
}

// forget drops heads of files that are gone.
func (x *index) forget(seen map[string]bool, archived bool) {
	root := sessionsDir
	if archived {
		root = archiveDir
	}
	for rel := range x.heads {
		if !seen[rel] && strings.HasPrefix(rel, root+string(filepath.Separator)) {
			delete(x.heads, rel)
		}
	}
}

// readHeads reads the heads of files, some at a time. A file that cannot be read
// is not listed.
func readHeads(ctx context.Context, home string, heads []*head) error {
	next := make(chan *head)
	var wg sync.WaitGroup
	for range min(headReaders, len(heads)) {
		wg.Go(func() { // ends once next is closed
			for h := range next {
				h.read(filepath.Join(home, h.Path))
			}
		})
	}
	var err error
	for _, h := range heads {
		if err = ctx.Err(); err != nil {
			break
		}
		next <- h
	}
	close(next)
	wg.Wait()
	return err
}

// read fills the head in from its file.
func (h *head) read(path string) {
	src, err := openSource(path)
	if err != nil {
		return
	}
	defer src.close()
	r, err := src.from(0)
	if err != nil {
		return
	}
	sc := newScanner(io.LimitReader(r, headBytes), 0)
	for range headLines {
		if sc.next() != nil {
			return
		}
		l, ok := sc.parse()
		if !ok {
			continue
		}
		switch l.kind {
		case lineMeta:
			if h.ID == "" {
				h.meta(l.payload)
			}
		case lineEvent:
			said, ok := firstWords(l.payload)
			if ok {
				h.Spoken, h.Preview = true, excerpt.Head(said, maxPreview)
				return
			}
		}
	}
}

func (h *head) meta(payload jsontext.Value) {
	m, p, err := readMeta(payload)
	if err != nil {
		return
	}
	h.ID, h.Created, h.Cwd, h.Provider, h.Version = m.ID, m.Created, m.Cwd, m.ModelProvider, m.CLIVersion
	h.From, h.Origin, h.Source, h.Nickname, h.Role, h.Git = m.ForkedFrom, m.Originator, m.Source, m.AgentNickname, m.AgentRole, p.Git
}

// firstWords reads what the user said from an event, if it tells that.
func firstWords(payload jsontext.Value) (string, bool) {
	switch memberText(payload, "type") {
	case "user_message":
		return memberText(payload, "message"), true
	case "item_completed":
		item := member(payload, "item")
		if memberText(item, "type") == "UserMessage" {
			return userText(member(item, "content")), true
		}
	}
	return "", false
}

// indexVersion changes with what a head holds.
const indexVersion = 2

// indexHeader is the first line of the index file. CRC is of all that follows.
type indexHeader struct {
	Version int    `json:"version"`
	CRC     uint32 `json:"crc32"`
}

// load reads the index file. One that is missing, of another version or damaged
// is as good as empty.
func (x *index) load() map[string]*head {
	heads := map[string]*head{}
	data, err := os.ReadFile(x.path)
	if err != nil {
		return heads
	}
	first, rest, _ := bytes.Cut(data, []byte{'\n'})
	var h indexHeader
	if json.Unmarshal(first, &h) != nil || h.Version != indexVersion || h.CRC != crc32.ChecksumIEEE(rest) {
		return heads
	}
	d := jsontext.NewDecoder(bytes.NewReader(rest), lenient)
	for {
		var v head
		if json.UnmarshalDecode(d, &v) != nil {
			return heads
		}
		heads[v.Path] = &v
	}
}

// save writes the index file, whole or not at all.
func (x *index) save() error {
	var b bytes.Buffer
	for _, h := range x.heads {
		if err := json.MarshalWrite(&b, h, lenient); err != nil {
			return err
		}
		b.WriteByte('\n')
	}
	first, err := json.Marshal(indexHeader{indexVersion, crc32.ChecksumIEEE(b.Bytes())})
	if err != nil {
		return err
	}
	return atomicfile.ReplacePrivate(x.path, append(append(first, '\n'), b.Bytes()...))
}
