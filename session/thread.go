package session

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"app-server/internal/backend"
	"app-server/internal/config"
	"app-server/internal/rollout"
	"app-server/internal/tools"
	"app-server/protocol"
)

// thread is one live conversation.
type thread struct {
	// Never changed after the thread was made.
	m         *Manager
	id        string
	meta      rollout.Meta    // what its file begins with
	file      *rollout.Writer // nil for a thread in memory only
	cfg       *config.Config
	ephemeral bool
	rawEvents bool
	// instructions are the base instructions, fixed for the thread's life: the
	// backend's prompt cache begins with them.
	instructions string
	tools        *tools.Thread
	// dynamic are the tools of the parent.
	dynamic []protocol.DynamicToolSpec
	// docs are the instruction files of the project and the home, as a user
	// message; empty for none.
	docs docs

	// cmds carries work to the thread's goroutine; gone is closed at its end.
	cmds chan func()
	gone chan struct{}
	// left is made when the thread is to be unloaded, guarded by Manager.mu, and
	// closed once it is.
	left chan struct{}
	// silent is set while the parent does not want to hear of the thread.
	silent atomic.Bool
	// pause is while a response about the thread is on its way.
	pause pause

	// Owned by the thread's goroutine.
	updated  time.Time
	settings settings
	preview  string
	spoken   bool // whether there was a user message
	status   protocol.ThreadStatus
	name     *string
	git      *protocol.GitInfo
	// past are the turns that are read from the file, nil for none; turns are those
	// after them, and late the items that turns of the past have got since then: see
	// putAway.
	past    *rollout.Log
	turns   []*protocol.Turn
	late    []lateItem
	tokens  *protocol.ThreadTokenUsage // as told last, or nil
	current *turn                      // the turn that runs or is about to
	next    *turn                      // waits until current has sent its last notification
	closing bool
	// rest ends a silent thread that stays idle; nil where none runs.
	rest *time.Timer
	// injected are items that the history has in the file, and is yet to get from
	// the turn that has it.
	injected []jsontext.Value
	// settled is conv as the last turn that has ended left it.
	settled conversation

	// conv is owned by the goroutine of the current turn.
	conv conversation
}

// loop is the thread's goroutine. It ends once close was called and no turn is
// left.
func (t *thread) loop() {
	defer close(t.gone)
	for !t.closing || t.current != nil || t.next != nil {
		t.guard(<-t.cmds)
	}
}

// guard survives a broken invariant in one piece of work: the thread's other
// work is worth more than a crash.
func (t *thread) guard(work func()) {
	defer func() {
		if p := recover(); p != nil {
			t.m.log.Error("panic in a thread", zap.String("thread", t.id), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
		}
	}()
	work()
}

// post hands work to the thread's goroutine and returns when that has taken it
// up. Work posted by one goroutine runs in order. After the thread's end it is
// dropped.
func (t *thread) post(work func()) {
	select {
	case t.cmds <- work:
	case <-t.gone:
	}
}

// do runs work on the thread's goroutine and waits for its end.
func (t *thread) do(ctx context.Context, work func()) error {
	done := make(chan struct{})
	failed := true
	job := func() {
		defer close(done)
		work()
		failed = false
	}
	select {
	case t.cmds <- job:
	case <-t.gone:
		return t.over()
	case <-ctx.Done():
		return ctx.Err()
	}
	<-done
	if failed {
		return errInternal
	}
	return nil
}

// doReleased is do, once a turn that has ended has given way as well: the parent may
// have heard of its end before.
func (t *thread) doReleased(ctx context.Context, work func()) error {
	for {
		var ending *turn
		err := t.do(ctx, func() {
			if t.current != nil && t.current.ended {
				ending = t.current
				return
			}
			work()
		})
		if err != nil || ending == nil {
			return err
		}
		select {
		case <-ending.released:
		case <-t.gone:
			return t.over()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// view is the thread as the wire shows it, without its turns. It runs on the
// thread's goroutine, or before that has started.
func (t *thread) view() protocol.Thread {
	v := protocol.Thread{
		ID: t.id, SessionID: t.id, ForkedFromID: optional(t.meta.ForkedFrom), Preview: t.preview, Ephemeral: t.ephemeral,
		ModelProvider: t.settings.provider, CreatedAt: t.meta.Created.Unix(), UpdatedAt: t.updated.Unix(), Status: t.status,
		Cwd: t.settings.cwd, CLIVersion: t.meta.CLIVersion, Source: t.meta.WireSource(), AgentNickname: t.meta.AgentNickname,
		AgentRole: t.meta.AgentRole, GitInfo: t.git, Name: t.name, Turns: []protocol.Turn{},
	}
	if t.file != nil {
		v.Path = optional(t.file.Path())
	}
	return v
}

// close interrupts what runs. At the end of the server it drops a turn whose
// response was never sent, since nobody knows its id; else the response is on its
// way, and the turn comes to its end.
func (t *thread) close() {
	t.closing = true
	t.restLater() // whose timer would hold on to the thread
	drop := t.m.shuttingDown()
	for _, u := range []**turn{&t.current, &t.next} {
		if *u == nil {
			continue
		}
		(*u).closing = true
		(*u).cancel()
		if (*u).armed = (*u).armed || !drop; !(*u).armed {
			*u = nil
		}
	}
	if t.current == nil {
		t.current, t.next = t.next, nil
	}
	t.launch()
}

// running is the turn that takes further input, or nil.
func (t *thread) running() *turn {
	for _, u := range []*turn{t.next, t.current} {
		if u != nil && !u.closing {
			return u
		}
	}
	return nil
}

// begin makes a turn the current one, or the next one where the current one has
// yet to send its last notifications. There is room for one; a turn that finds
// none is over.
func (t *thread) begin(u *turn) error {
	switch {
	case t.closing:
		u.cancel()
		return t.over()
	case t.current == nil:
		t.current = u
	case t.next == nil:
		t.next = u
	default:
		u.cancel()
		return protocol.Errorf(protocol.CodeOverloaded, protocol.ReasonOverloaded, "A turn is still ending and another waits for it; try again")
	}
	t.subscribe() // whoever begins a turn wants to hear of its end
	return nil
}

// replace is begin for a turn that cannot run beside what runs, which is
// interrupted.
func (t *thread) replace(u *turn) error {
	running := t.current
	if err := t.begin(u); err != nil {
		return err
	}
	if running != nil {
		running.closing = true
		running.cancel()
	}
	return nil
}

// newTurn makes a turn, which does its task once it is armed.
func (t *thread) newTurn(id string, kind turnKind, s settings) *turn {
	u := &turn{
		id: id, kind: kind, th: t, set: s, info: modelInfo(s.model, t.cfg), provider: t.cfg.Providers[s.provider],
		state: &backend.TurnState{TurnID: id, Sandbox: string(s.sandbox.Mode())},
		begun: make(chan struct{}), released: make(chan struct{}), stir: make(chan struct{}, 1), seen: map[string]bool{},
	}
	u.conv = &t.conv
	u.kit = t.tools.Begin(id, toolEnv(s, u.info, t.cfg), host{u})
	u.ctx, u.cancel = context.WithCancel(t.m.base)
	u.spare = context.AfterFunc(u.ctx, u.kit.Cut) // at once, so that they end while others do
	return u
}

// arm lets a turn start: its response is on its way.
func (t *thread) arm(u *turn) {
	if u != t.current && u != t.next {
		return // dropped by close
	}
	u.armed = true
	t.launch()
}

// launch starts the current turn's goroutine once it may. The goroutine ends
// with the turn, and the turn ends whenever its context does.
func (t *thread) launch() {
	if u := t.current; u != nil && u.armed && !u.launched {
		u.launched = true
		t.m.wg.Go(u.run)
	}
}

// release follows the last notification of a turn.
func (t *thread) release(u *turn) {
	if t.current != u {
		return
	}
	u.cancel()
	t.conv.hear(t.takeInjected())
	t.settled = t.conv.fork()
	t.current, t.next = t.next, nil
	close(u.released)
	t.launch()
	t.restLater()
}
