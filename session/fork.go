package session

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"app-server/protocol"
)

// fork makes a thread that goes on from the last turn of t that has ended, with
// the settings, the history and the turns of t. It is not taken in yet.
func (t *thread) fork(ctx context.Context) (*thread, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("session: thread id: %w", err)
	}
	now := time.Now()
	f := &thread{
		m: t.m, id: id.String(), forkedFrom: t.id, created: now, updated: now, cfg: t.cfg,
		ephemeral: t.ephemeral, rawEvents: t.rawEvents, instructions: t.instructions, docs: t.docs,
		status: protocol.ThreadStatus{Type: protocol.StatusIdle},
		tools:  t.m.tools.Open(toolOptions(id.String(), t.cfg, t.dynamic)), dynamic: t.dynamic,
		cmds: make(chan func()), gone: make(chan struct{}),
	}
	err = t.do(ctx, func() { f.inherit(t) })
	return f, err
}

// inherit copies what belongs to the goroutine of t. It runs there.
func (f *thread) inherit(t *thread) {
	f.settings, f.preview, f.spoken = t.settings, t.preview, t.spoken
	f.conv, f.settled = t.settled.fork(), t.settled.fork()
	for _, r := range t.turns {
		if r.Status != protocol.TurnInProgress {
			// A command that outlives its turn may still end in the original.
			c := *r
			c.Items = slices.Clone(r.Items)
			f.turns = append(f.turns, &c)
		}
	}
}
