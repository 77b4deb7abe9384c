package session

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"app-server/internal/backend"
	"app-server/internal/config"
	"app-server/internal/rollout"
	"app-server/internal/tools"
	"app-server/protocol"
)

// turnKind is what a turn is for. The values of those that take no input are
// the wire's.
type turnKind string

const (
	kindChat    turnKind = "chat"
	kindCommand turnKind = "command" // of the user's own
	kindCompact turnKind = "compact"
	kindReview  turnKind = "review"
)

// turn is one exchange. Its goroutine runs it from turn/started to
// turn/completed.
type turn struct {
	// Never changed after the turn was made.
	id       string
	kind     turnKind
	task     func() error // what the turn does between its begin and its end
	th       *thread
	set      settings
	input    []protocol.UserInput
	schema   []byte // outputSchema, or nil
	info     backend.ModelInfo
	provider config.Provider
	state    *backend.TurnState
	kit      *tools.Turn
	review   *review // of a review turn, else nil
	// begun is closed once turn/started has been sent.
	begun chan struct{}
	// released is closed once the turn has given way.
	released chan struct{}
	// ctx ends with an interrupt, and when the server can wait no longer.
	ctx    context.Context
	cancel context.CancelFunc
	// spare lets the commands go on that the turn leaves behind. Until it is called
	// they end with ctx.
	spare func() bool

	// Owned by the thread's goroutine.
	armed      bool // the response is on its way
	launched   bool // the turn's goroutine has been started
	closing    bool // takes no more input
	ended      bool // an interrupt comes too late
	steers     []steer
	steerChars int
	notes      []jsontext.Value // for the model, when it is asked next
	record     *protocol.Turn   // in thread.turns; nil before turn/started

	beside int // the user's commands that run beside the turn

	// asides waits for the goroutines of those commands. It grows on the thread's
	// goroutine, while closing is false.
	asides sync.WaitGroup
	// stir has a value when input came or a command beside the turn has ended.
	stir chan struct{}

	// Owned by the turn's goroutine once that runs.
	metadata map[string]string
	started  time.Time
	seen     map[string]bool // ids of items of this turn
	calls    []waitingCall   // calls of the model without an output yet
	// contextKept says that the file has the turn's settings; lastMessage is the
	// last one of the model, or nil.
	contextKept bool
	lastMessage *string
	// conv is what the model is told: the thread's own but during a review.
	conv *conversation

	asking sync.Mutex
	waits  map[protocol.ThreadActiveFlag]int // open questions; guarded by asking
}

// run is the turn's goroutine. Whatever happens in it, the turn gets exactly one
// turn/completed, and the thread is free for the next one afterwards.
func (u *turn) run() {
	defer u.th.post(func() { u.th.release(u) })
	err := u.survive(u.work)
	panicked := u.survive(func() error { err = u.wrapUp(err); return nil })
	if err == nil {
		err = panicked
	}
	_ = u.survive(func() error { u.end(err); u.th.putAway(); return nil })
}

// errPanic ends a turn in which an invariant was broken.
var errPanic = fmt.Errorf("session: panic in a turn")

// survive turns a panic into an error and logs it.
func (u *turn) survive(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			u.th.m.log.Error("panic in a turn", zap.String("thread", u.th.id), zap.String("turn", u.id), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			err = errPanic
		}
	}()
	return f()
}

// notify sends a notification that the parent must get. An interrupt does not
// end the wait for a slow parent; only the end of the server does.
func (u *turn) notify(method string, params any) { u.th.tell(u.th.m.base, method, params) }

// delta sends a notification that only shows progress. An interrupt ends the
// wait for a slow parent.
func (u *turn) delta(method string, params any) { u.th.tell(u.ctx, method, params) }

// work is all of the turn but its end.
func (u *turn) work() error {
	u.begin()
	return u.task()
}

// steerable reports whether a turn takes further input.
func (u *turn) steerable() bool { return u.kind == kindChat || u.kind == kindCommand }

// chat is the task of a turn in which the user talks to the model.
func (u *turn) chat() error {
	return u.converse([]steer{{input: u.input, chars: inputChars(u.input)}})
}

// begin tells that the turn has started.
func (u *turn) begin() {
	defer close(u.begun) // also after a panic: commands beside the turn wait for it, and the turn for them
	t := u.th
	u.started = time.Now()
	if u.kind != kindCommand { // which asks no model, so far
		u.warnUnknownModel()
	}

	status := protocol.ThreadStatus{Type: protocol.StatusActive, ActiveFlags: []protocol.ThreadActiveFlag{}}
	started := u.started.Unix()
	told := newRecord(u.id)
	told.StartedAt = &started
	window := u.contextWindow()
	u.keep(rollout.TurnStarted(&told, &window, u.set.mode))
	if !t.conv.told.begun { // a turn that tells nothing must not leave the file without settings
		u.keep(rollout.TurnContext(u.storedSettings()))
	}
	t.post(func() {
		t.status, t.updated = status, u.started
		r := newRecord(u.id)
		r.StartedAt = &started
		u.record = &r
		t.turns = append(t.turns, u.record)
	})
	u.notify(protocol.MethodThreadStatusChanged, &protocol.ThreadStatusChangedNotification{ThreadID: t.id, Status: status})
	u.notify(protocol.MethodTurnStarted, &protocol.TurnStartedNotification{ThreadID: t.id, Turn: told})
	for _, raw := range t.conv.due() {
		u.remember(raw)
	}
}

// warnUnknownModel warns once per thread and model of a model that the
// catalogue lacks: its limits are guessed.
func (u *turn) warnUnknownModel() {
	c := &u.th.conv
	if u.info.Known || c.warned[u.set.model] {
		return
	}
	if c.warned == nil {
		c.warned = map[string]bool{}
	}
	c.warned[u.set.model] = true
	u.notify(protocol.MethodWarning, &protocol.WarningNotification{
		ThreadID: &u.th.id, Message: fmt.Sprintf("The model %q is not known to this server; default limits are used for it.", u.set.model),
	})
}

// hear takes in words of the user: as an item for the parent, and for the model.
func (u *turn) hear(input []protocol.UserInput) {
	if len(input) == 0 {
		return
	}
	item := protocol.NewUserMessage(uuid.NewString(), input)
	u.seen[item.ID] = true
	t, text := u.th, preview(input)
	t.post(func() {
		t.spoken = true
		if t.preview == "" {
			t.preview = text
		}
	})
	u.itemStarted(item)
	if parts := inputParts(input, u.set.place()); len(parts) > 0 {
		u.remember(messageItem(roleUser, parts...))
		u.conv.words = append(u.conv.words, words(input)...)
	}
	u.giveSkills(input)
	u.itemCompleted(item)
}

// converse asks the model until it has nothing more to do and nothing more was
// said to it. more is what was said to it already. New words are heard whatever
// happens to the room for them, and after it was made, so that it is never they
// that are summed up.
func (u *turn) converse(more []steer) error {
	for {
		err := u.makeRoom(more)
		u.keepContext(u.tellContext())
		for _, s := range append(more, u.pending()...) {
			u.steerIn(s)
		}
		if u.ctx.Err() != nil {
			return errInterrupted
		}
		if err == nil {
			err = u.respond()
		}
		if err != nil {
			return err
		}
		more = nil
		if len(u.calls) > 0 {
			if u.answer(); u.ctx.Err() != nil {
				return errInterrupted // what has no output gets it from wrapUp
			}
		} else if more = u.pendingOrClose(); len(more) == 0 {
			return nil
		}
	}
}

func (u *turn) steerIn(s steer) {
	if s.metadata != nil {
		u.metadata = s.metadata
	}
	u.hear(s.input)
}

// take removes the input that waits.
func (u *turn) take() []steer {
	s := u.steers
	u.steers, u.steerChars = nil, 0
	return s
}

// pending takes the input that came while the model was busy, and takes in what
// else the model is to know.
func (u *turn) pending() (more []steer) {
	var notes, injected []jsontext.Value
	_ = u.th.do(u.th.m.base, func() {
		more = u.take()
		if u.conv == &u.th.conv { // they are not for a reviewer
			notes, u.notes, injected = u.notes, nil, u.th.takeInjected()
		}
	})
	u.conv.hear(injected)
	for _, n := range append(u.conv.due(), notes...) {
		u.remember(n)
	}
	return more
}

// pendingOrClose does the same, and where there is none makes the turn take no
// more, in one step: input is either heard or refused, never lost. While a
// command of the user's runs beside the turn there may be more: it can run for
// hours, and the user goes on talking meanwhile.
func (u *turn) pendingOrClose() (more []steer) {
	for {
		wait := false
		_ = u.th.do(u.th.m.base, func() {
			more = u.take()
			wait = len(more) == 0 && u.beside > 0 && !u.closing && u.steerable() && u.ctx.Err() == nil
			u.closing = u.closing || len(more) == 0 && !wait
		})
		if !wait {
			return more
		}
		select {
		case <-u.stir:
		case <-u.ctx.Done():
		}
	}
}

// stirred wakes a turn that has nothing to do but wait.
func (u *turn) stirred() {
	select {
	case u.stir <- struct{}{}:
	default: // it is about to look
	}
}

// wrapUp leaves the conversation fit for the next turn: calls that were not run
// get an output all the same, since the backend refuses a conversation with a
// call that has none; words that were taken but not yet given to the model are
// kept; and an interrupt is told to it. It returns how the turn has ended: an
// interrupt may have come when nothing but a command of the user's was waited for.
func (u *turn) wrapUp(err error) error {
	why := "The call was not run because the turn failed."
	if interrupted(u.ctx, err) {
		why = "The call was aborted because the user interrupted the turn."
	}
	for len(u.calls) > 0 {
		u.output(tools.Output{Text: why})
	}
	_ = u.th.do(u.th.m.base, func() { u.closing = true })
	u.asides.Wait()
	for _, s := range u.pending() {
		u.steerIn(s)
	}
	// An interrupt comes in time for all of this or for none of it.
	cut := true
	_ = u.th.do(u.th.m.base, func() {
		cut = u.ctx.Err() != nil
		if u.ended = !cut; u.ended {
			u.spare()
		}
	})
	if !cut {
		return err
	}
	u.kit.Stop()
	if err == nil {
		err = errInterrupted
	}
	if interrupted(u.ctx, err) && u.kind != kindCompact { // which does nothing that the model must know of
		u.remember(abortedNote())
	}
	return err
}

// end records how the turn ended and sends its last notifications.
func (u *turn) end(err error) {
	t := u.th
	status, idle := protocol.TurnCompleted, protocol.ThreadStatus{Type: protocol.StatusIdle}
	var why *protocol.TurnError
	switch {
	case err == nil:
	case interrupted(u.ctx, err):
		status = protocol.TurnInterrupted
	default:
		status, idle.Type, why = protocol.TurnFailed, protocol.StatusSystemError, turnError(err)
	}
	now := time.Now()
	if u.started.IsZero() {
		u.started = now
	}
	started, completed, took := u.started.Unix(), now.Unix(), now.Sub(u.started).Milliseconds()
	final := protocol.Turn{
		ID: u.id, Items: []protocol.ThreadItem{}, Status: status, Error: why,
		StartedAt: &started, CompletedAt: &completed, DurationMS: &took,
	}
	u.keep(rollout.TurnEnded(&final, u.lastMessage))
	t.post(func() {
		u.closing, u.ended = true, true
		t.status, t.updated = idle, now
		if r := u.record; r != nil {
			r.Status, r.Error, r.CompletedAt, r.DurationMS = status, why, &completed, &took
		}
	})
	u.notify(protocol.MethodThreadStatusChanged, &protocol.ThreadStatusChangedNotification{ThreadID: t.id, Status: idle})
	if why != nil {
		u.notify(protocol.MethodError, &protocol.ErrorNotification{Error: *why, ThreadID: t.id, TurnID: u.id})
	}
	u.notify(protocol.MethodTurnCompleted, &protocol.TurnCompletedNotification{ThreadID: t.id, Turn: final})
}
