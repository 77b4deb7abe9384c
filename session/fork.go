package session

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"app-server/internal/config"
	"app-server/internal/prompt"
	"app-server/internal/rollout"
	"app-server/protocol"
)

// ForkThread handles thread/fork: a new thread that begins with what another one,
// live or stored, has so far. A turn that runs there goes on; in the new thread
// it counts as interrupted. The func returned tells the tokens and the new
// thread.
//
// It fails with a *protocol.Error for an unknown thread, for settings that would
// not be enforced, and where a thread that lives in memory only would be stored.
func (m *Manager) ForkThread(ctx context.Context, p *protocol.ThreadForkParams) (protocol.ThreadStartResponse, func(), error) {
	var none protocol.ThreadStartResponse
	from, err := m.forkSource(ctx, p)
	if err != nil {
		return none, nil, err
	}
	ephemeral := p.Ephemeral != nil && *p.Ephemeral
	if from.log == nil && from.live.ephemeral && !ephemeral {
		return none, nil, protocol.Invalid(protocol.ReasonThreadEphemeral, "The thread %s lives in memory only, so its fork must as well", from.live.id)
	}
	last, meta := lastSettings{}, rollout.Meta{}
	if from.log != nil {
		last, meta = settingsOf(from.log), from.log.Meta
	}
	if t := from.live; t != nil {
		meta.Instructions = &t.instructions
		err := t.do(ctx, func() { last = lastSettings{t.settings.provider, t.settings.cwd, t.settings.stored(t.cfg)} })
		if err != nil && (from.log == nil || !t.missed(err)) {
			return none, nil, err
		}
	}
	cfg, s, err := m.adopt(&p.ThreadSettings, last)
	if err != nil {
		return none, nil, err
	}
	base, err := instructionsOf(cfg, p.BaseInstructions, &meta)
	if err != nil {
		return none, nil, err
	}
	f, found, err := m.fork(ctx, from, forkOptions{cfg: cfg, settings: s, instructions: base, ephemeral: ephemeral})
	if err != nil {
		return none, nil, err
	}
	r := startResponse(f.view(), s, found.Sources)
	if !p.ExcludeTurns {
		record := f.record()
		if r.Thread.Turns, err = record.all(ctx); err != nil {
			f.discard()
			return none, nil, err
		}
	}
	tokens := f.tokens
	if err := m.add(f); err != nil {
		f.discard()
		return none, nil, err
	}
	return r, func() {
		if !p.ExcludeTurns {
			m.usageNote(r.Thread.ID, r.Thread.Turns, tokens)
		}
		m.notify(m.base, protocol.MethodThreadStarted, &protocol.ThreadStartedNotification{Thread: r.Thread})
		m.warnAll(r.Thread.ID, found.Warnings, s.overruled)
	}, nil
}

// forkSource is what a fork begins with: the file of a thread, or, where there is
// none, a live thread. live may be set beside log.
type forkSource struct {
	live *thread
	log  *rollout.Log
}

func (m *Manager) forkSource(ctx context.Context, p *protocol.ThreadForkParams) (from forkSource, err error) {
	if given(p.Path) {
		path := config.Absolute(*p.Path, m.cwd)
		if m.store == nil {
			return from, storageError(rollout.ErrNotFound, path)
		}
		from.live = m.livePath(path)
		from.log, err = m.store.ReadFile(ctx, path)
		return from, storageError(err, path)
	}
	t, err := m.thread(p.ThreadID)
	if t != nil {
		return m.sourceOf(ctx, t)
	}
	if m.store == nil || uuid.Validate(p.ThreadID) != nil {
		return from, err
	}
	from.log, err = m.store.Read(ctx, p.ThreadID)
	return from, storageError(err, p.ThreadID)
}

// sourceOf is a live thread as the source of a fork. One in which nothing has
// happened has no file yet.
func (m *Manager) sourceOf(ctx context.Context, t *thread) (forkSource, error) {
	from := forkSource{live: t}
	if t.file == nil {
		return from, nil
	}
	var err error
	from.log, err = m.store.ReadFile(ctx, t.file.Path())
	if errors.Is(err, rollout.ErrNotFound) {
		return from, nil
	}
	return from, storageError(err, t.id)
}

// forkOptions are what a fork goes on with.
type forkOptions struct {
	cfg          *config.Config
	settings     settings
	instructions string
	ephemeral    bool
	// before names a turn that runs, which is not copied, nor what follows it.
	before string
}

// fork makes a thread that begins as another one. It is not taken in yet.
func (m *Manager) fork(ctx context.Context, from forkSource, o forkOptions) (*thread, prompt.Docs, error) {
	if from.log == nil {
		return m.forkLive(ctx, from.live, o)
	}
	dynamic, err := dynamicTools(&from.log.Meta)
	if err != nil {
		return nil, prompt.Docs{}, err
	}
	meta, err := m.newMeta(&o.settings, o.instructions, dynamic)
	if err != nil {
		return nil, prompt.Docs{}, err
	}
	meta.ForkedFrom = from.log.Meta.ID
	log := from.log
	var w *rollout.Writer
	if !o.ephemeral {
		turns := -1
		if at := slices.Index(log.TurnIDs(), o.before); o.before != "" && at >= 0 {
			turns = at
		}
		meta.Git = m.repository(ctx, meta.Cwd)
		if w, err = m.store.Fork(ctx, log, turns, meta); err != nil {
			return nil, prompt.Docs{}, storageError(err, meta.ForkedFrom)
		}
		if log, err = m.store.ReadFile(ctx, w.Path()); err != nil {
			w.Discard()
			return nil, prompt.Docs{}, storageError(err, meta.ID)
		}
	}
	t, found, err := m.load(ctx, log, loadOptions{meta, o.cfg, o.settings})
	if err == nil && o.ephemeral {
		err = t.forget(ctx)
	}
	if err != nil {
		if w != nil {
			w.Discard()
		}
		return nil, found, err
	}
	t.file, t.ephemeral, t.updated = w, o.ephemeral, meta.Created
	if from.live != nil {
		t.rawEvents = from.live.rawEvents
	}
	return t, found, nil
}

// forget takes the turns of a stored thread into memory: the file belongs to
// another one, and may go.
func (t *thread) forget(ctx context.Context) error {
	turns, err := t.past.Turns(ctx, 0, t.past.Len())
	if err != nil {
		return storageError(err, t.past.Meta.ID)
	}
	for i := range turns {
		t.turns = append(t.turns, &turns[i])
	}
	t.past, t.git = nil, nil
	return nil
}

// forkLive forks a thread that has no file: from its last turn that has ended.
func (m *Manager) forkLive(ctx context.Context, t *thread, o forkOptions) (*thread, prompt.Docs, error) {
	meta, err := m.newMeta(&o.settings, o.instructions, t.dynamic)
	if err != nil {
		return nil, prompt.Docs{}, err
	}
	meta.ForkedFrom = t.id
	f := m.newThread(meta, o.cfg, o.settings, t.dynamic)
	f.ephemeral, f.rawEvents = o.ephemeral, t.rawEvents
	found := prompt.ProjectDocs(docsOptions(o.cfg, o.settings.cwd))
	f.docs = docs{o.settings.cwd, found.Text}
	if err := t.doReleased(ctx, func() { f.inherit(t) }); err != nil {
		return nil, found, err
	}
	return f, found, storageError(f.create(ctx), f.id)
}

// inherit copies what belongs to the goroutine of t. It runs there.
func (f *thread) inherit(t *thread) {
	f.preview, f.spoken, f.tokens = t.preview, t.spoken, t.tokens
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
