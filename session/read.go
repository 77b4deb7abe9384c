package session

import (
	"context"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"app-server/internal/rollout"
	"app-server/protocol"
)

// ReadThread handles thread/read, of live threads and of stored ones, which are
// not loaded for it. Turns are as they were streamed where they are asked for.
func (m *Manager) ReadThread(ctx context.Context, p *protocol.ThreadReadParams) (protocol.ThreadReadResponse, error) {
	v, record, err := m.look(ctx, p.ThreadID)
	if err == nil && p.IncludeTurns {
		v.Turns, err = record.all(ctx)
	}
	return protocol.ThreadReadResponse{Thread: v}, err
}

// look finds a thread, live or stored, as it is now.
func (m *Manager) look(ctx context.Context, id string) (v protocol.Thread, r turnRecord, err error) {
	t, err := m.thread(id)
	if t != nil {
		err = t.do(ctx, func() { v, r = t.view(), t.record() })
		if !t.missed(err) {
			return v, r, err
		}
	}
	if m.store == nil || uuid.Validate(id) != nil {
		return v, r, err
	}
	log, err := m.store.Read(ctx, id)
	if err != nil {
		return v, r, storageError(err, id)
	}
	return m.storedView(log), turnRecord{past: log}, nil
}

// storedView is a stored thread as the wire shows it, without its turns.
func (m *Manager) storedView(log *rollout.Log) protocol.Thread {
	v := log.Thread()
	if v.ModelProvider == "" {
		v.ModelProvider = m.config().ModelProvider
	}
	v.Name, v.GitInfo = m.store.Name(log.Meta.ID), m.store.Git(&log.Meta)
	return v
}

// defaultTurns is how many turns a page has where the parent does not say, and
// maxTurns how many it has at most, as in the reference.
const (
	defaultTurns = 25
	maxTurns     = 100
)

// turnCursor names a turn and whether the page begins with it. It is the
// reference's own, which stays right while turns are added.
type turnCursor struct {
	TurnID string `json:"turnId"`
	Anchor bool   `json:"includeAnchor"`
}

func (c turnCursor) text() *string {
	s := string(encode(c))
	return &s
}

// ListTurns handles thread/turns/list: pages of a thread's turns with their
// items, newest first where nothing else is asked for. No more is read than the
// page shows. It fails for a cursor whose turn is not there any more.
func (m *Manager) ListTurns(ctx context.Context, p *protocol.ThreadTurnsListParams) (protocol.ThreadTurnsListResponse, error) {
	r := protocol.ThreadTurnsListResponse{Data: []protocol.Turn{}}
	_, record, err := m.look(ctx, p.ThreadID)
	if err != nil {
		return r, err
	}
	ids := record.ids()
	up, step := p.SortDirection != nil && *p.SortDirection == protocol.SortAscending, -1
	if up {
		step = 1
	}
	at, err := findTurn(ids, p.Cursor, step)
	if err != nil {
		return r, err
	}
	size := pageSize(p.Limit, defaultTurns, maxTurns)
	// The page is ids[from:to].
	from, to := at, min(at+size, len(ids))
	if !up {
		from, to = max(at+1-size, 0), at+1
	}
	if from >= to {
		return r, nil
	}
	if r.Data, err = record.turns(ctx, from, to); err != nil {
		return r, err
	}
	first, last, more := ids[from], ids[to-1], to < len(ids)
	if !up {
		slices.Reverse(r.Data)
		first, last, more = last, first, from > 0
	}
	r.BackwardsCursor = turnCursor{first, true}.text()
	if more {
		r.NextCursor = turnCursor{last, false}.text()
	}
	return r, nil
}

// findTurn is the index of a page's first turn. step is the way that the page goes:
// 1 or -1.
func findTurn(ids []string, cursor *string, step int) (int, error) {
	switch {
	case cursor != nil:
	case step > 0:
		return 0, nil
	default:
		return len(ids) - 1, nil
	}
	var c turnCursor
	if json.Unmarshal([]byte(*cursor), &c) != nil || c.TurnID == "" {
		return 0, errCursor
	}
	for i, id := range ids {
		if id == c.TurnID {
			if !c.Anchor {
				i += step
			}
			return i, nil
		}
	}
	return 0, protocol.Invalid(protocol.ReasonInvalidParams, "The turn that this cursor names is not in the thread any more")
}
