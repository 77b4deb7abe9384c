package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"app-server/internal/config"
	"app-server/internal/git"
	"app-server/internal/plainfile"
	"app-server/internal/rollout"
	"app-server/protocol"
)

// keep writes records to the thread's file, on the goroutine of whoever is about
// to tell of them: what the parent has heard of survives this process. A disk
// that takes nothing does not end a turn. The parent is warned once, not for
// each line.
func (t *thread) keep(records ...rollout.Record) { t.m.warnAll(t.id, t.write(records...)) }

// write is keep for the thread's goroutine, which must not wait for the parent: it
// returns what is to be warned of.
func (t *thread) write(records ...rollout.Record) (warnings []string) {
	if t.file == nil {
		return nil
	}
	err := t.file.Append(records...)
	if err == nil {
		return nil
	}
	t.m.log.Warn("thread not written", zap.String("thread", t.id), zap.Error(err))
	var failed *rollout.WriteError
	switch {
	case !errors.As(err, &failed) || failed.Repeated:
	case failed.GaveUp:
		warnings = append(warnings, fmt.Sprintf("The thread is not written to %s any more, because too much of it was waiting: %v. What is said from here on is lost when the server ends.", failed.Path, plainfile.Cause(failed.Err)))
	default:
		warnings = append(warnings, fmt.Sprintf("The thread cannot be written to %s: %v. It goes on, and what is missing is written as soon as that is possible.", failed.Path, plainfile.Cause(failed.Err)))
	}
	return warnings
}

// keep writes records of the thread's own conversation. That of a reviewer is
// not kept.
func (u *turn) keep(records ...rollout.Record) {
	if u.conv == &u.th.conv {
		u.th.keep(records...)
	}
}

// keepContext writes what the model was told of its surroundings, and once a
// turn the settings that it was told under.
func (u *turn) keepContext(items []jsontext.Value) {
	if len(items) == 0 && u.contextKept {
		return
	}
	u.contextKept = true
	records := make([]rollout.Record, 0, len(items)+1)
	for _, raw := range items {
		records = append(records, rollout.ResponseItem(raw))
	}
	u.keep(append(records, rollout.TurnContext(u.storedSettings()))...)
	for _, raw := range items {
		u.tellRaw(raw)
	}
}

// storedSettings are the turn's settings in the form of the file; those of the
// thread where a reviewer works under others.
func (u *turn) storedSettings() *rollout.Settings {
	set := u.set
	if u.review != nil {
		set = u.review.threads
	}
	s := set.stored(u.th.cfg)
	s.TurnID, s.Date, s.Timezone = u.id, u.started.Format(time.DateOnly), timezone(u.started)
	return s
}

// stored are settings in the form of the file, which has a summary always.
func (s *settings) stored(cfg *config.Config) *rollout.Settings {
	out := &rollout.Settings{
		Cwd: s.place(), Model: s.model, Approval: s.approval, Sandbox: s.sandbox, Reviewer: s.reviewer,
		Effort: s.effort, Summary: s.summary, Personality: s.personality, Developer: &s.developer,
	}
	if out.Cwd != s.cwd {
		out.ThreadCwd = s.cwd
	}
	if out.Summary == "" {
		out.Summary = defaultSummary(s.model, cfg)
	}
	if s.tier != nil {
		out.Tier = *s.tier
	}
	mode := protocol.CollaborationMode{Mode: s.mode, Settings: protocol.CollaborationSettings{Model: s.model}}
	if mode.Mode == "" {
		mode.Mode = protocol.ModeDefault
	}
	if s.effort != "" {
		mode.Settings.ReasoningEffort = &s.effort
	}
	if s.mode != "" || s.modeDeveloper != "" {
		mode.Settings.DeveloperInstructions = &s.modeDeveloper
	}
	out.Mode = &mode
	return out
}

// newMeta is what the first line of a new thread's file tells, but for the state
// of the repository.
func (m *Manager) newMeta(s *settings, instructions string, dynamic []protocol.DynamicToolSpec) (rollout.Meta, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return rollout.Meta{}, fmt.Errorf("session: thread id: %w", err)
	}
	meta := rollout.Meta{
		ID: id.String(), Created: time.Now(), Cwd: s.cwd, CLIVersion: m.version, ModelProvider: s.provider,
		Source: encode(protocol.SourceAppServer), Instructions: &instructions,
	}
	if m.originator != nil {
		meta.Originator = m.originator()
	}
	if len(dynamic) > 0 {
		meta.DynamicTools = encode(dynamic)
	}
	return meta, nil
}

// repository is the state of the repository around a folder, nil where there is
// none. It waits for git.
func (m *Manager) repository(ctx context.Context, dir string) *protocol.GitInfo {
	g, err := git.Describe(ctx, dir, m.getenv)
	if err != nil {
		return nil
	}
	return &protocol.GitInfo{SHA: optional(g.SHA), Branch: optional(g.Branch), OriginURL: optional(g.Origin)}
}

// newThread makes a thread that nothing was said in, and whose file nobody has
// made yet. It is not taken in.
func (m *Manager) newThread(meta rollout.Meta, cfg *config.Config, s settings, dynamic []protocol.DynamicToolSpec) *thread {
	t := &thread{
		m: m, id: meta.ID, meta: meta, cfg: cfg, settings: s, updated: meta.Created, git: meta.Git, dynamic: dynamic,
		status: protocol.ThreadStatus{Type: protocol.StatusIdle},
		tools:  m.tools.Open(toolOptions(meta.ID, cfg, dynamic)),
		cmds:   make(chan func()), gone: make(chan struct{}),
	}
	if meta.Instructions != nil {
		t.instructions = *meta.Instructions
	}
	return t
}

// create makes the thread's file, unless it is one that lives in memory only. Of
// such a one the repository is not told either, as in the reference.
func (t *thread) create(ctx context.Context) error {
	if t.ephemeral || t.m.store == nil {
		return nil
	}
	t.git = t.m.repository(ctx, t.meta.Cwd)
	t.meta.Git = t.git
	var err error
	t.file, err = t.m.store.Create(t.meta)
	return err
}

// keptIn reports whether the thread's file is at a path, which may lead there by
// links.
func (t *thread) keptIn(path string) bool {
	if t.file == nil || t.file.Path() == path {
		return t.file != nil
	}
	own, err := os.Stat(t.file.Path())
	if err != nil {
		return false
	}
	other, err := os.Stat(path)
	return err == nil && os.SameFile(own, other)
}

// shut writes what waits and gives the thread's file up. Nothing of the thread
// may run any more.
func (t *thread) shut() {
	if t.file == nil {
		return
	}
	if err := t.file.Close(); err != nil {
		t.m.log.Warn("thread not written", zap.String("thread", t.id), zap.Error(err))
	}
}

// discard gives up a new thread that was not taken in, and its file.
func (t *thread) discard() {
	if t.file != nil {
		t.file.Discard()
	}
}

// storageError is what the parent is told of an error of the store.
func storageError(err error, id string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rollout.ErrNotFound):
		return protocol.Invalid(protocol.ReasonThreadNotFound, "No such thread is stored: %s", id)
	case errors.Is(err, rollout.ErrInUse):
		return protocol.Invalid(protocol.ReasonThreadInUse, "The thread is in use by another server: %s", id)
	case errors.Is(err, context.Canceled):
		return err
	}
	return protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "The thread %s cannot be read: %v", id, err)
}
