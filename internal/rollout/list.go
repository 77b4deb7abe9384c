package rollout

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"app-server/protocol"
)

// Query says which threads to list, and in which order. Empty filters let all
// through.
type Query struct {
	SortKey   protocol.ThreadSortKey // created_at where empty
	Direction protocol.SortDirection // descending where empty
	// Cursor is one that an earlier page gave, or empty.
	Cursor string
	// Limit is how many entries a page has at most; 0 for no limit.
	Limit          int
	ModelProviders []string
	// Provider counts as the provider of threads whose files name none.
	Provider string
	// SourceKinds are kinds as [Meta.SourceKind] gives them. Empty means those
	// that a user talks to: cli and vscode.
	SourceKinds []string
	Cwds        []string
	Archived    bool
	// Search is looked for in names and previews, whatever the case.
	Search string
	// Live are threads that may have no file, to be listed among the stored ones.
	// One that is stored as well is listed as it is stored.
	Live []Entry
}

// Entry is a thread of a list.
type Entry struct {
	Meta Meta // without Instructions and DynamicTools
	Place
	// Preview is the beginning of what the user said first, up to 4 KiB.
	Preview string
	Updated time.Time
	Name    *string
	Git     *protocol.GitInfo
}

// Page is a part of a list.
type Page struct {
	Entries []Entry
	// Next continues the list, and is empty at its end. Back begins with this
	// page's first entry in the other direction, and is empty for an empty page.
	// Both name a place in the order, not a thread: threads that come or go
	// meanwhile neither hide nor repeat others.
	Next, Back string
}

// List lists the stored threads in which the user has said something. It
// remembers what it has read, see the package comment: of a file it knows, only
// the size and time are looked at. It fails with [ErrCursor] for a bad cursor.
func (s *Store) List(ctx context.Context, q Query) (Page, error) {
	at, err := q.start()
	if err != nil {
		return Page{}, err
	}
	heads, err := s.index.refresh(ctx, s, q.Archived)
	if err != nil {
		return Page{}, fmt.Errorf("rollout: list: %w", err)
	}
	return q.page(append(s.filter(heads, &q), q.unstored(heads)...), at), nil
}

// ListLive is [Store.List] where nothing is stored: of q.Live alone.
func ListLive(q Query) (Page, error) {
	at, err := q.start()
	if err != nil {
		return Page{}, err
	}
	return q.page(q.unstored(nil), at), nil
}

// start reads the cursor, and says what is meant where nothing is said. Without a
// cursor there is no position.
func (q *Query) start() (*position, error) {
	if q.SortKey == "" {
		q.SortKey = protocol.SortCreatedAt
	}
	if q.Cursor == "" {
		return nil, nil
	}
	at, err := readCursor(q.Cursor)
	if err != nil || at.key != q.SortKey {
		return nil, ErrCursor
	}
	return &at, nil
}

// page sorts what was found and cuts a page, which begins at a position or, for
// nil, at the start.
func (q *Query) page(found []Entry, at *position) Page {
	order := position.compare
	if q.Direction != protocol.SortAscending {
		order = func(a, b position) int { return b.compare(a) }
	}
	slices.SortFunc(found, func(a, b Entry) int { return order(a.position(q.SortKey), b.position(q.SortKey)) })
	if at != nil {
		n, exact := slices.BinarySearchFunc(found, *at, func(e Entry, p position) int { return order(e.position(q.SortKey), p) })
		if exact && !at.inclusive {
			n++
		}
		found = found[n:]
	}
	var page Page
	if len(found) > 0 {
		first := found[0].position(q.SortKey)
		first.inclusive = true
		page.Back = first.cursor()
	}
	if q.Limit > 0 && len(found) > q.Limit {
		found = found[:q.Limit]
		page.Next = found[q.Limit-1].position(q.SortKey).cursor()
	}
	page.Entries = found
	return page
}

// filter makes the entries that the query lets through.
func (s *Store) filter(heads []*head, q *Query) []Entry {
	names, metadata := s.names.load(), s.metadata.load()
	var out []Entry
	for _, h := range heads {
		if h.ID == "" || !h.Spoken {
			continue
		}
		e := h.entry(s.home, q.Archived)
		e.Meta.ModelProvider = cmp.Or(e.Meta.ModelProvider, q.Provider)
		e.Name = names[h.ID].Name
		if n := metadata[h.ID]; n.Git != nil {
			e.Git = n.git()
		}
		if q.admits(&e) {
			out = append(out, e)
		}
	}
	return out
}

// unstored are the live threads that the query lets through and that no file
// shows.
func (q *Query) unstored(heads []*head) []Entry {
	if len(q.Live) == 0 {
		return nil
	}
	shown := make(map[string]bool, len(heads))
	for _, h := range heads {
		shown[h.ID] = shown[h.ID] || h.Spoken
	}
	var out []Entry
	for i := range q.Live {
		if e := &q.Live[i]; !shown[e.Meta.ID] && q.admits(e) {
			out = append(out, *e)
		}
	}
	return out
}

// admits reports whether the filters let an entry through.
func (q *Query) admits(e *Entry) bool {
	has := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	return has(q.ModelProviders, e.Meta.ModelProvider) && has(q.Cwds, e.Meta.Cwd) && q.admitsKind(e.Meta.SourceKind()) &&
		(q.Search == "" || contains(e.Preview, q.Search) || e.Name != nil && contains(*e.Name, q.Search))
}

func (q *Query) admitsKind(kind string) bool {
	if len(q.SourceKinds) == 0 {
		return kind == "cli" || kind == "vscode"
	}
	return slices.ContainsFunc(q.SourceKinds, func(k string) bool {
		return k == kind || k == "subAgent" && strings.HasPrefix(kind, k)
	})
}

// contains looks for a term, whatever the case.
func contains(text, term string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(term))
}

// Thread is the thread as the wire shows it, not loaded and without turns.
func (e *Entry) Thread() protocol.Thread {
	t := threadOf(&e.Meta)
	t.Preview, t.UpdatedAt, t.GitInfo, t.Name = e.Preview, e.Updated.Unix(), e.Git, e.Name
	if e.Path != "" {
		t.Path = &e.Path
	}
	return t
}

// Thread is the thread as the wire shows it, not loaded and without turns, name
// and git facts that were set later: see [Store.Name] and [Store.Git].
func (l *Log) Thread() protocol.Thread {
	t := threadOf(&l.Meta)
	t.Preview, t.UpdatedAt, t.Path = l.Preview, l.Updated.Unix(), &l.files[0]
	return t
}

func threadOf(m *Meta) protocol.Thread {
	t := protocol.Thread{
		ID: m.ID, SessionID: m.ID, ModelProvider: m.ModelProvider, CreatedAt: m.Created.Unix(),
		Status: protocol.ThreadStatus{Type: protocol.StatusNotLoaded}, Cwd: m.Cwd, CLIVersion: m.CLIVersion,
		Source: m.WireSource(), AgentNickname: m.AgentNickname, AgentRole: m.AgentRole, GitInfo: m.Git,
		Turns: []protocol.Turn{},
	}
	if m.ForkedFrom != "" {
		t.ForkedFromID = &m.ForkedFrom
	}
	return t
}

// position is a place in the order of a list. Two threads never have the same.
type position struct {
	key       protocol.ThreadSortKey
	at        int64 // Unix milliseconds of creation, or nanoseconds of the last write
	id        string
	inclusive bool // a cursor that begins with the thread it names
}

func (e *Entry) position(key protocol.ThreadSortKey) position {
	if key == protocol.SortUpdatedAt {
		return position{key: key, at: e.Updated.UnixNano(), id: e.Meta.ID}
	}
	return position{key: key, at: e.Meta.Created.UnixMilli(), id: e.Meta.ID}
}

// compare orders positions, the earliest first.
func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.at, q.at), strings.Compare(p.id, q.id))
}

func (p position) cursor() string {
	from := "after"
	if p.inclusive {
		from = "at"
	}
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join([]string{string(p.key), from, strconv.FormatInt(p.at, 10), p.id}, "|")))
}

func readCursor(cursor string) (position, error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return position{}, ErrCursor
	}
	f := strings.Split(string(raw), "|")
	if len(f) != 4 || f[1] != "at" && f[1] != "after" {
		return position{}, ErrCursor
	}
	at, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil || uuid.Validate(f[3]) != nil {
		return position{}, ErrCursor
	}
	return position{protocol.ThreadSortKey(f[0]), at, f[3], f[1] == "at"}, nil
}
