package tools

import (
	"context"
	"sync"

	"app-server/internal/project"
	"app-server/internal/tools/patch"
	"app-server/protocol"
)

// turnDiff is what the patches of a turn have changed. The zero value is ready.
type turnDiff struct {
	// mu is held while files are written, so that what a plan saw is recorded
	// in the order in which the plans were applied.
	mu      sync.Mutex
	tracker *patch.Tracker // nil before the first patch

	// telling is held while the diff is told, so that the last one told is the
	// newest.
	telling sync.Mutex
	told    string
}

// apply applies a plan and records it.
func (d *turnDiff) apply(ctx context.Context, cwd string, plan *patch.Plan) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := plan.Apply(ctx); err != nil {
		return err
	}
	if d.tracker == nil {
		d.tracker = patch.NewTracker(patch.OS(), project.Folders(cwd, project.GitMarkers())[0])
	}
	d.tracker.Record(plan)
	return nil
}

// TellDiff sends turn/diff/updated where what the patches of the turn have
// changed is not what was told last. It is called after each response, too, so
// that a command that changes a patched file shows.
func (t *Turn) TellDiff() {
	t.diff.mu.Lock()
	tracker := t.diff.tracker
	t.diff.mu.Unlock()
	if tracker == nil {
		return
	}
	t.diff.telling.Lock()
	defer t.diff.telling.Unlock()
	now := tracker.Diff()
	if now == t.diff.told {
		return
	}
	t.diff.told = now
	t.Host.Notify(protocol.MethodTurnDiffUpdated, &protocol.TurnDiffUpdatedNotification{ThreadID: t.th.o.ID, TurnID: t.ID, Diff: now})
}
