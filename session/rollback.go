package session

import (
	"context"

	"app-server/internal/plainfile"
	"app-server/internal/rollout"
	"app-server/protocol"
)

// RollbackThread handles thread/rollback: the last turns are taken away, and what
// the model was told since the first of them began. Files of the user's project
// stay as they are. The func returned tells the size of what is left.
//
// It fails with a *protocol.Error for an unknown thread, one that lives in memory
// only, and while a turn runs.
func (m *Manager) RollbackThread(ctx context.Context, p *protocol.ThreadRollbackParams) (r protocol.ThreadRollbackResponse, then func(), err error) {
	if p.NumTurns < 1 {
		return r, nil, protocol.Invalid(protocol.ReasonInvalidParams, "numTurns must be 1 or more")
	}
	t, err := m.thread(p.ThreadID)
	if err != nil {
		return r, nil, err
	}
	var record turnRecord
	var tokens *protocol.ThreadTokenUsage
	var warnings []string
	doErr := t.doReleased(ctx, func() {
		if err = t.rollback(ctx, int(min(p.NumTurns, 1<<30))); err == nil {
			r.Thread, record, tokens = t.view(), t.record(), t.tokens
			if tokens != nil {
				warnings = t.write(rollout.TokenUsage(tokens, storedLimits(t.conv.limits.last)))
			}
		}
	})
	if doErr != nil {
		err = doErr
	}
	m.warnAll(t.id, warnings)
	if err == nil {
		r.Thread.Turns, err = record.all(ctx)
	}
	if err != nil {
		return protocol.ThreadRollbackResponse{}, nil, err
	}
	return r, func() { m.usageNote(t.id, r.Thread.Turns, tokens) }, nil
}

// rollback runs on the thread's goroutine. No turn runs, so the conversation is
// its to change. What is left is read back from the file: only there a history
// from before a compaction is kept.
func (t *thread) rollback(ctx context.Context, turns int) error {
	switch {
	case t.file == nil:
		return protocol.Invalid(protocol.ReasonThreadEphemeral, "The thread %s lives in memory only; nothing of it can be taken back", t.id)
	case t.current != nil || t.next != nil:
		return protocol.Invalid(protocol.ReasonTurnRunning, "A turn is running; nothing can be taken back before it has ended")
	case t.closing:
		return t.over()
	}
	if t.past == nil && len(t.turns) == 0 {
		return nil
	}
	if err := t.file.AppendNow(rollout.RolledBack(turns)); err != nil {
		return protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "The thread cannot be written: %v", plainfile.Cause(err))
	}
	log, err := t.outline(ctx, t.past)
	if err != nil {
		return storageError(err, t.id)
	}
	items, err := log.History(ctx)
	if err != nil {
		return storageError(err, t.id)
	}
	t.past, t.turns, t.late = log, nil, nil
	before := t.conv
	c := storedConversation(log, items, t.docs)
	c.counted, c.added = 0, 0
	for _, raw := range c.items {
		c.added += itemTokens(raw)
	}
	c.window, c.limits, c.warned = before.window+1, before.limits, before.warned
	c.usage.total = before.usage.total
	c.usage.last = protocol.TokenUsage{TotalTokens: c.size(t.instructions)}
	t.conv, t.settled = c, c.fork()
	tokens := protocol.ThreadTokenUsage{Total: c.usage.total, Last: c.usage.last}
	if t.tokens != nil {
		tokens.ModelContextWindow = t.tokens.ModelContextWindow
	}
	t.tokens, t.updated = &tokens, log.Updated
	return nil
}
