package session

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"app-server/internal/rollout"
	"app-server/protocol"
)

// turnRecord is all turns of a thread: those that are read from its file, and those
// since then.
type turnRecord struct {
	past   *rollout.Log // nil where there are none
	recent []protocol.Turn
	late   []lateItem
}

// lateItem is an item that its turn got after the turn was put away, as a command
// that goes on in the background does. Past may have it or not.
type lateItem struct {
	turn string
	item protocol.ThreadItem
}

func (r *turnRecord) before() int {
	if r.past == nil {
		return 0
	}
	return r.past.Len()
}

// ids are those of all turns, oldest first.
func (r *turnRecord) ids() []string {
	var ids []string
	if r.past != nil {
		ids = r.past.TurnIDs()
	}
	for i := range r.recent {
		ids = append(ids, r.recent[i].ID)
	}
	return ids
}

// turns reads a range, oldest first.
func (r *turnRecord) turns(ctx context.Context, from, to int) ([]protocol.Turn, error) {
	out := []protocol.Turn{}
	n := r.before()
	if from < n {
		old, err := r.past.Turns(ctx, from, min(to, n))
		if err != nil {
			return nil, storageError(err, r.past.Meta.ID)
		}
		r.complete(old)
		out = append(out, old...)
	}
	if to > n {
		out = append(out, r.recent[max(from-n, 0):to-n]...)
	}
	return out, nil
}

// complete gives turns of the past the items that were late.
func (r *turnRecord) complete(turns []protocol.Turn) {
	for _, l := range r.late {
		for i := range turns {
			t := &turns[i]
			has := func(it protocol.ThreadItem) bool { return it.ItemID() == l.item.ItemID() }
			if t.ID == l.turn && !slices.ContainsFunc(t.Items, has) {
				t.Items = append(t.Items, l.item)
			}
		}
	}
}

// all reads all turns.
func (r *turnRecord) all(ctx context.Context) ([]protocol.Turn, error) {
	return r.turns(ctx, 0, r.before()+len(r.recent))
}

// record is the thread's turns as they are now. It runs on the thread's
// goroutine; what it returns may be read by any.
func (t *thread) record() turnRecord {
	r := turnRecord{past: t.past, recent: make([]protocol.Turn, len(t.turns)), late: slices.Clip(t.late)}
	for i, u := range t.turns {
		r.recent[i] = *u
		r.recent[i].Items = slices.Clip(u.Items) // items never change, but more may come
	}
	return r
}

// maxRecent is how many turns of a thread are in memory, with all their items. So
// many are put away together: the file is not read for each of them.
const maxRecent = 16

// putAway leaves turns that have ended to the file, once there are many: a thread
// may go on for thousands. It runs on the goroutine of a turn that has ended and has
// yet to give way, so no other turn runs and nothing can be taken back meanwhile.
// Where the file does not have them all, they stay.
func (t *thread) putAway() {
	var was turnRecord
	err := t.do(t.m.base, func() {
		if n := len(t.turns); t.file != nil && n > 0 && n%maxRecent == 0 && !t.closing {
			was = t.record()
		}
	})
	if err != nil || was.recent == nil {
		return
	}
	log, err := t.outline(t.m.base, was.past)
	if err != nil || !slices.Equal(log.TurnIDs(), was.ids()) || log.Unended() {
		t.m.log.Debug("turns stay in memory", zap.String("thread", t.id), zap.Error(err))
		return
	}
	_ = t.do(t.m.base, func() {
		late := t.late[len(was.late):]
		for i, r := range t.turns {
			for _, item := range r.Items[len(was.recent[i].Items):] {
				late = append(late, lateItem{r.ID, item})
			}
		}
		t.past, t.turns, t.late = log, nil, slices.Clone(late)
	})
}

// outline is the thread's file as it is now; past is as much as is known of it.
func (t *thread) outline(ctx context.Context, past *rollout.Log) (*rollout.Log, error) {
	if past == nil {
		return t.m.store.ReadFile(ctx, t.file.Path())
	}
	return past.Extend(ctx)
}
