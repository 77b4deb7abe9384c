package session

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"app-server/protocol"
)

// defaultPage is how many entries a page has where the parent does not say, and
// maxPage how many it has at most.
const (
	defaultPage = 25
	maxPage     = 1000
)

// pageSize is the number of entries of a page. The reference takes 0 as 1.
func pageSize(limit *uint32, otherwise int) int {
	if limit == nil {
		return otherwise
	}
	return int(min(max(*limit, 1), maxPage))
}

// LoadedThreads handles thread/loaded/list: the ids of live threads, oldest
// first. The cursor is the id of the last one given, so that a page is right
// whatever has been added meanwhile. Without a limit all are given.
func (m *Manager) LoadedThreads(_ context.Context, p *protocol.ThreadLoadedListParams) (protocol.ThreadLoadedListResponse, error) {
	after, err := readCursor(p.Cursor)
	if err != nil {
		return protocol.ThreadLoadedListResponse{}, err
	}
	threads := m.all()
	r := protocol.ThreadLoadedListResponse{Data: []string{}}
	size := pageSize(p.Limit, len(threads))
	for _, t := range threads {
		if after != "" && t.id <= after {
			continue
		}
		if len(r.Data) == size {
			r.NextCursor = &r.Data[size-1]
			break
		}
		r.Data = append(r.Data, t.id)
	}
	return r, nil
}

// readCursor checks a cursor of this package: the id of a thread.
func readCursor(cursor *string) (string, error) {
	if cursor == nil {
		return "", nil
	}
	id, err := uuid.Parse(*cursor)
	if err != nil {
		return "", protocol.Invalid(protocol.ReasonInvalidParams, "This is no cursor of this list")
	}
	return id.String(), nil
}

// ListThreads handles thread/list: the live threads in which the user has said
// something, newest first. Ids are by time of creation, so the id of the last
// thread given is a cursor that stays right while threads are added.
func (m *Manager) ListThreads(ctx context.Context, p *protocol.ThreadListParams) (protocol.ThreadListResponse, error) {
	r := protocol.ThreadListResponse{Data: []protocol.Thread{}}
	cursor, err := readCursor(p.Cursor)
	if err != nil || p.Archived != nil && *p.Archived {
		return r, err // none is archived: threads live in memory only
	}
	entries, err := m.spoken(ctx, p)
	if err != nil {
		return r, err
	}
	order := func(a, b protocol.Thread) int {
		if p.SortKey != nil && *p.SortKey == protocol.SortUpdatedAt && a.UpdatedAt != b.UpdatedAt {
			return int(b.UpdatedAt - a.UpdatedAt)
		}
		return strings.Compare(b.ID, a.ID)
	}
	slices.SortFunc(entries, order)
	if p.SortDirection != nil && *p.SortDirection == protocol.SortAscending {
		slices.Reverse(entries)
	}
	if cursor != "" {
		at := slices.IndexFunc(entries, func(t protocol.Thread) bool { return t.ID == cursor })
		if at < 0 {
			return r, protocol.Invalid(protocol.ReasonInvalidParams, "The thread that this cursor names is not in the list any more")
		}
		entries = entries[at+1:]
	}
	if len(entries) > 0 {
		r.BackwardsCursor = &entries[0].ID
	}
	if size := pageSize(p.Limit, defaultPage); len(entries) > size {
		entries = entries[:size]
		r.NextCursor = &entries[size-1].ID
	}
	r.Data = append(r.Data, entries...)
	return r, nil
}

// spoken are the threads of a list that the filters let through.
func (m *Manager) spoken(ctx context.Context, p *protocol.ThreadListParams) ([]protocol.Thread, error) {
	var out []protocol.Thread
	for _, t := range m.all() {
		var v protocol.Thread
		show := false
		if err := t.do(ctx, func() { v, show = t.view(), t.spoken && !t.ephemeral }); err != nil {
			return nil, err
		}
		term := ""
		if p.SearchTerm != nil {
			term = strings.ToLower(*p.SearchTerm)
		}
		switch {
		case !show,
			len(p.ModelProviders) > 0 && !slices.Contains(p.ModelProviders, v.ModelProvider),
			len(p.SourceKinds) > 0 && !slices.Contains(p.SourceKinds, v.Source),
			len(p.Cwd) > 0 && !slices.Contains(p.Cwd, v.Cwd),
			!strings.Contains(strings.ToLower(v.Preview), term):
			continue
		}
		out = append(out, v)
	}
	return out, nil
}
