package session

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/config"
	"app-server/internal/prompt"
	"app-server/internal/rollout"
	"app-server/protocol"
)

// ResumeThread handles thread/resume. A stored thread is loaded and goes on: with
// the settings of its last turn, where the parent gives no others, and with its
// history. A live thread is shown as it is, and its settings stay, as in the
// reference. Items of a history make a new thread. The func returned tells the
// status and the tokens.
//
// It fails with a *protocol.Error for an unknown thread, one that another server
// has, and settings that would not be enforced.
func (m *Manager) ResumeThread(ctx context.Context, p *protocol.ThreadResumeParams) (r protocol.ThreadStartResponse, then func(), err error) {
	var none protocol.ThreadStartResponse
	// shown is whether a live thread was the answer. One that is unloaded meanwhile
	// is not: it can be loaded then.
	shown := func(t *thread) bool {
		r, then, err = m.rejoin(ctx, t, p)
		return !t.missed(err)
	}
	if t := m.live(p.ThreadID); t != nil {
		switch {
		case p.History != nil:
			return none, nil, protocol.Invalid(protocol.ReasonInvalidParams, "The thread %s is loaded already; it takes no other history", t.id)
		case given(p.Path) && !t.keptIn(config.Absolute(*p.Path, m.cwd)):
			return none, nil, protocol.Invalid(protocol.ReasonInvalidParams, "The thread %s is loaded already, and not from this path", t.id)
		case shown(t):
			return r, then, err
		}
	}
	if m.store == nil {
		return none, nil, storageError(rollout.ErrNotFound, p.ThreadID)
	}
	if p.History != nil {
		return m.resumeHistory(ctx, p)
	}
	path, name, err := m.resumePath(p)
	if err != nil {
		return none, nil, err
	}
	release, err := m.loads.claim(ctx, path)
	if err != nil {
		return none, nil, err
	}
	defer release()
	if t := m.livePath(path); t != nil && shown(t) { // under another name, or since a moment ago
		return r, then, err
	}
	w, log, err := m.store.ContinueFile(ctx, path)
	if err != nil {
		return none, nil, storageError(err, name)
	}
	return m.resumeStored(ctx, w, log, p)
}

// resumePath is the file of a thread that is to be loaded, and the parent's word for
// it.
func (m *Manager) resumePath(p *protocol.ThreadResumeParams) (path, name string, err error) {
	if given(p.Path) {
		path = config.Absolute(*p.Path, m.cwd)
		return path, path, nil
	}
	at, id, err := m.place(p.ThreadID)
	if err == nil && at.Archived {
		err = protocol.Invalid(protocol.ReasonThreadArchived, "The thread %s is archived; it has to be brought back before it can go on", id)
	}
	return at.Path, id, err
}

// loads makes those who load one file wait for each other.
type loads struct {
	mu sync.Mutex
	// running are the loads that run, by the file's path without links; each is
	// closed at its end. Guarded by mu.
	running map[string]chan struct{}
}

// claim waits until nobody else loads the file, or until ctx ends, and returns what
// ends the claim.
func (l *loads) claim(ctx context.Context, path string) (release func(), err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	done := make(chan struct{})
	for {
		l.mu.Lock()
		other := l.running[path]
		if other == nil {
			break
		}
		l.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer l.mu.Unlock()
	if l.running == nil {
		l.running = map[string]chan struct{}{}
	}
	l.running[path] = done
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.running, path)
		close(done)
	}, nil
}

func given(s *string) bool { return s != nil && *s != "" }

// resumeStored goes on from a file that is open.
func (m *Manager) resumeStored(ctx context.Context, w *rollout.Writer, log *rollout.Log, p *protocol.ThreadResumeParams) (r protocol.ThreadStartResponse, then func(), err error) {
	taken := false
	defer func() {
		if !taken {
			_ = w.Close() // nothing was written
		}
	}()
	cfg, s, err := m.adopt(&p.ThreadSettings, settingsOf(log))
	if err != nil {
		return r, nil, err
	}
	meta := log.Meta
	base, err := instructionsOf(cfg, p.BaseInstructions, &meta)
	if err != nil {
		return r, nil, err
	}
	meta.Instructions = &base
	t, found, err := m.load(ctx, log, loadOptions{meta, cfg, s})
	if err != nil {
		return r, nil, err
	}
	t.file, t.name, t.git = w, m.store.Name(t.id), m.store.Git(&meta)
	r = startResponse(t.view(), s, found.Sources)
	if !p.ExcludeTurns {
		record := t.record()
		if r.Thread.Turns, err = record.all(ctx); err != nil {
			return r, nil, err
		}
	}
	if err = m.add(t); err != nil {
		return r, nil, err
	}
	taken = true
	return r, func() {
		m.tellResumed(&r.Thread, log, found.Warnings, s.overruled)
		if !p.ExcludeTurns {
			m.usageNote(r.Thread.ID, r.Thread.Turns, log.Usage)
		}
	}, nil
}

// tellResumed follows the response of a thread that was loaded.
func (m *Manager) tellResumed(v *protocol.Thread, log *rollout.Log, warnings ...[]string) {
	if log.Torn > 0 {
		m.warn(v.ID, fmt.Sprintf("The last line of %s was not whole and was cut off. All before it is kept.", *v.Path))
	}
	if log.Unreadable > 0 {
		m.warn(v.ID, fmt.Sprintf("%d lines of %s cannot be read and were passed over.", log.Unreadable, *v.Path))
	}
	m.warnAll(v.ID, warnings...)
	m.notify(m.base, protocol.MethodThreadStatusChanged, &protocol.ThreadStatusChangedNotification{ThreadID: v.ID, Status: v.Status})
}

// rejoin shows a live thread. What happens to it meanwhile is told after the response.
func (m *Manager) rejoin(ctx context.Context, t *thread, p *protocol.ThreadResumeParams) (r protocol.ThreadStartResponse, then func(), err error) {
	var v protocol.Thread
	var s settings
	var record turnRecord
	var tokens *protocol.ThreadTokenUsage
	shown, err := t.answering(ctx, func() (func(), error) {
		t.subscribe()
		v, s, record, tokens = t.view(), t.settings, t.record(), t.tokens
		return nil, nil
	})
	if err != nil {
		return r, nil, err
	}
	r = startResponse(v, s, prompt.ProjectDocs(docsOptions(t.cfg, s.cwd)).Sources)
	if p.ExcludeTurns {
		return r, shown, nil
	}
	if r.Thread.Turns, err = record.all(ctx); err != nil {
		shown()
		return r, nil, err
	}
	return r, func() {
		m.usageNote(t.id, r.Thread.Turns, tokens)
		shown()
	}, nil
}

// resumeHistory begins a new thread with the items that the parent gives. They
// are in its file from the start.
func (m *Manager) resumeHistory(ctx context.Context, p *protocol.ThreadResumeParams) (r protocol.ThreadStartResponse, then func(), err error) {
	if len(p.History) == 0 {
		return r, nil, protocol.Invalid(protocol.ReasonInvalidParams, "The history is empty")
	}
	if err := checkItems("history", p.History); err != nil {
		return r, nil, protocol.Invalid(protocol.ReasonInvalidParams, "%v", err)
	}
	cfg, s, err := m.adopt(&p.ThreadSettings, lastSettings{})
	if err != nil {
		return r, nil, err
	}
	base, err := baseInstructions(cfg, p.BaseInstructions)
	if err != nil {
		return r, nil, err
	}
	meta, err := m.newMeta(&s, base, nil)
	if err != nil {
		return r, nil, err
	}
	t := m.newThread(meta, cfg, s, nil)
	if err := t.create(ctx); err != nil {
		return r, nil, storageError(err, t.id)
	}
	found := prompt.ProjectDocs(docsOptions(cfg, s.cwd))
	t.docs = docs{s.cwd, found.Text}
	items := make([]jsontext.Value, 0, len(p.History))
	records := make([]rollout.Record, 0, len(p.History))
	for _, raw := range p.History {
		raw = forBackend(raw.Clone())
		items = append(items, raw)
		records = append(records, rollout.ResponseItem(raw))
	}
	t.conv = storedConversation(&rollout.Log{}, items, t.docs)
	t.settled, t.preview = t.conv.fork(), cutPreview(firstWords(items))
	r = startResponse(t.view(), s, found.Sources)
	if err := m.add(t); err != nil {
		t.discard()
		return r, nil, err
	}
	return r, func() {
		t.keep(records...)
		m.tellResumed(&r.Thread, &rollout.Log{}, found.Warnings, s.overruled)
	}, nil
}
