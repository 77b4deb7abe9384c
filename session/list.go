package session

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"app-server/internal/config"
	"app-server/internal/plainfile"
	"app-server/internal/rollout"
	"app-server/protocol"
)

// defaultPage is how many threads a page has where the parent does not say, and
// maxPage how many it has at most, as in the reference.
const (
	defaultPage = 25
	maxPage     = 100
)

// pageSize is the number of entries of a page. The reference takes 0 as 1.
func pageSize(limit *uint32, otherwise, most int) int {
	if limit == nil {
		return otherwise
	}
	return int(min(max(int64(*limit), 1), int64(most)))
}

// LoadedThreads handles thread/loaded/list: the ids of live threads, oldest
// first. The cursor is the id of the last one given, so that a page is right
// whatever has been added meanwhile. Without a limit all are given.
func (m *Manager) LoadedThreads(_ context.Context, p *protocol.ThreadLoadedListParams) (protocol.ThreadLoadedListResponse, error) {
	after, err := readCursor(p.Cursor)
	if err != nil {
		return protocol.ThreadLoadedListResponse{}, err
	}
	threads := slices.DeleteFunc(m.all(), (*thread).leaving)
	r := protocol.ThreadLoadedListResponse{Data: []string{}}
	size := pageSize(p.Limit, len(threads), len(threads))
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

// readCursor checks a cursor of loaded threads: the id of one.
func readCursor(cursor *string) (string, error) {
	if cursor == nil {
		return "", nil
	}
	id, err := uuid.Parse(*cursor)
	if err != nil {
		return "", errCursor
	}
	return id.String(), nil
}

var errCursor = protocol.Invalid(protocol.ReasonInvalidParams, "This is no cursor of this list")

// ListThreads handles thread/list: the stored threads in which the user has said
// something, live or not, and the live ones that the disk has not taken. A cursor
// names a place in the order, so that pages stay right while threads are added.
func (m *Manager) ListThreads(ctx context.Context, p *protocol.ThreadListParams) (protocol.ThreadListResponse, error) {
	r := protocol.ThreadListResponse{Data: []protocol.Thread{}}
	q, ok := m.query(p)
	if !ok {
		return r, errCursor
	}
	if p.Cwd != nil && len(p.Cwd) == 0 {
		return r, nil
	}
	var err error
	if !q.Archived {
		if q.Live, err = m.liveEntries(ctx); err != nil {
			return r, err
		}
	}
	var page rollout.Page
	if m.store != nil {
		page, err = m.store.List(ctx, q)
	} else {
		page, err = rollout.ListLive(q)
	}
	switch {
	case errors.Is(err, rollout.ErrCursor):
		return r, errCursor
	case errors.Is(err, context.Canceled):
		return r, err
	case err != nil:
		m.log.Warn("threads not listed", zap.Error(err))
		return r, protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "The threads cannot be listed: %v", plainfile.Cause(err))
	}
	r.NextCursor, r.BackwardsCursor = optional(page.Next), optional(page.Back)
	for i := range page.Entries {
		v := page.Entries[i].Thread()
		if t := m.live(v.ID); t != nil && !q.Archived {
			// One that has just been unloaded stays notLoaded.
			_ = t.do(ctx, func() { v.Status = t.status })
		}
		r.Data = append(r.Data, v)
	}
	return r, nil
}

// query reads the parameters of a list. It fails for an empty cursor, as the
// reference does.
func (m *Manager) query(p *protocol.ThreadListParams) (q rollout.Query, ok bool) {
	if p.Cursor != nil {
		if q.Cursor = *p.Cursor; q.Cursor == "" {
			return q, false
		}
	}
	override(&q.SortKey, p.SortKey)
	override(&q.Direction, p.SortDirection)
	override(&q.Archived, p.Archived)
	override(&q.Search, p.SearchTerm)
	q.Limit = pageSize(p.Limit, defaultPage, maxPage)
	q.Provider = m.config().ModelProvider
	if q.ModelProviders = p.ModelProviders; q.ModelProviders == nil {
		q.ModelProviders = []string{q.Provider}
	}
	for _, k := range p.SourceKinds {
		q.SourceKinds = append(q.SourceKinds, string(k))
	}
	for _, cwd := range p.Cwd {
		q.Cwds = append(q.Cwds, config.Absolute(cwd, m.cwd))
	}
	return q, true
}

// liveEntries are the live threads as entries of a list.
func (m *Manager) liveEntries(ctx context.Context) ([]rollout.Entry, error) {
	var out []rollout.Entry
	for _, t := range m.all() {
		err := t.do(ctx, func() {
			if !t.spoken || t.ephemeral {
				return
			}
			e := rollout.Entry{Meta: t.meta, Preview: t.preview, Updated: t.updated, Name: t.name, Git: t.git}
			if t.file != nil {
				e.Path = t.file.Path()
			}
			out = append(out, e)
		})
		if err != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return out, nil
}
