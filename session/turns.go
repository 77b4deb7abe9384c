package session

import (
	"context"

	"github.com/google/uuid"

	"app-server/protocol"
)

// StartTurn handles turn/start. The turn begins when the func returned is
// called; until then nothing is told of it, and Shutdown drops it. While a turn
// runs no second one begins: the input is steered into the running turn, whose
// id is returned, so that every id handed out gets its turn/completed. (The
// reference 0.125.0 hands out an id that never ends; 0.169.0 does as here.)
//
// It fails with a *protocol.Error for unknown threads, input over the limit and
// settings that would not be enforced.
func (m *Manager) StartTurn(ctx context.Context, p *protocol.TurnStartParams) (protocol.TurnStartResponse, func(), error) {
	var none protocol.TurnStartResponse
	t, err := m.thread(p.ThreadID)
	if err != nil {
		return none, nil, err
	}
	chars, err := checkInput(p.Input)
	if err != nil {
		return none, nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return none, nil, err
	}
	var u *turn
	then, err := t.answering(ctx, func() (then func(), err error) {
		u, then, err = t.startTurn(id.String(), p, chars)
		return then, err
	})
	if err != nil {
		return none, nil, err
	}
	return protocol.TurnStartResponse{Turn: newRecord(u.id)}, then, nil
}

// newRecord is a turn as it is told before anything happened in it.
func newRecord(id string) protocol.Turn {
	return protocol.Turn{ID: id, Items: []protocol.ThreadItem{}, Status: protocol.TurnInProgress}
}

// startTurn makes a turn, which the func returned lets begin, or steers into the one
// that runs.
func (t *thread) startTurn(id string, p *protocol.TurnStartParams, chars int) (*turn, func(), error) {
	if t.closing {
		return nil, nil, t.over()
	}
	s, here, err := t.settings.with(p, t.m.cwd)
	if err == nil {
		err = s.check(&t.cfg.Requirements)
	}
	if err != nil {
		return nil, nil, err
	}
	if u := t.running(); u != nil && u.steerable() {
		if len(p.Input) > 0 {
			if err := u.queue(steer{p.Input, p.ResponsesAPIClient, chars}); err != nil {
				return nil, nil, err
			}
		}
		t.settings = s
		t.subscribe()
		return u, nil, nil
	}
	u := t.newTurn(id, kindChat, here)
	u.input, u.metadata = p.Input, p.ResponsesAPIClient
	if protocol.Given(p.OutputSchema) {
		u.schema = p.OutputSchema
	}
	u.task = u.chat
	if err := t.begin(u); err != nil {
		return nil, nil, err
	}
	t.settings = s
	return u, func() { t.post(func() { t.arm(u) }) }, nil
}

// SteerTurn handles turn/steer: further input for the running turn, given to
// the model in the turn's next request. It fails where that turn does not run
// or nothing is given. The func returned follows the response.
func (m *Manager) SteerTurn(ctx context.Context, p *protocol.TurnSteerParams) (protocol.TurnSteerResponse, func(), error) {
	var none protocol.TurnSteerResponse
	t, err := m.thread(p.ThreadID)
	if err != nil {
		return none, nil, err
	}
	if len(p.Input) == 0 {
		return none, nil, protocol.Invalid(protocol.ReasonInvalidParams, "The input is empty")
	}
	chars, err := checkInput(p.Input)
	if err != nil {
		return none, nil, err
	}
	then, err := t.answering(ctx, func() (func(), error) { return nil, t.steer(p, chars) })
	if err != nil {
		return none, nil, err
	}
	return protocol.TurnSteerResponse{TurnID: p.ExpectedTurnID}, then, nil
}

func (t *thread) steer(p *protocol.TurnSteerParams, chars int) error {
	var running *turn
	for _, u := range []*turn{t.current, t.next} {
		if u == nil || u.closing {
			continue
		}
		running = u
		if u.id == p.ExpectedTurnID {
			break
		}
	}
	switch {
	case running == nil:
		return protocol.Invalid(protocol.ReasonTurnNotFound, "No turn is running that could take the input")
	case running.id != p.ExpectedTurnID:
		return protocol.Invalid(protocol.ReasonTurnMismatch, "Another turn is running: %s", running.id)
	case !running.steerable():
		return notSteerable(running.kind)
	}
	return running.queue(steer{p.Input, p.ResponsesAPIClient, chars})
}

// notSteerable refuses input for a turn that takes none, with the data that the
// reference gives.
func notSteerable(kind turnKind) error {
	e := protocol.Invalid(protocol.ReasonTurnNotSteerable, "A %s turn takes no input", kind)
	e.Data = map[string]any{
		"message":           e.Message,
		"codexErrorInfo":    protocol.CodexErrorInfo{Kind: protocol.KindActiveTurnNotSteerable, TurnKind: string(kind)},
		"additionalDetails": nil,
	}
	return e
}

// InterruptTurn handles turn/interrupt. It answers at once, whatever the turn
// waits for; the turn then ends as interrupted. A second interrupt of a turn
// that has not ended yet is answered alike. An empty id means whatever runs, which
// may be nothing. Any other fails where that turn does not run. (The reference
// 0.125.0 never answers then; 0.169.0 does as here.) The func returned follows the
// response.
func (m *Manager) InterruptTurn(ctx context.Context, p *protocol.TurnInterruptParams) (protocol.TurnInterruptResponse, func(), error) {
	var done protocol.TurnInterruptResponse
	t, err := m.thread(p.ThreadID)
	if err != nil {
		return done, nil, err
	}
	then, err := t.answering(ctx, func() (func(), error) { return nil, t.interrupt(p.TurnID) })
	return done, then, err
}

func (t *thread) interrupt(id string) error {
	active := ""
	for _, u := range []*turn{t.next, t.current} {
		if u == nil || u.ended {
			continue
		}
		active = u.id
		if id == "" || id == u.id {
			u.closing = true
			u.cancel()
		}
		if id == u.id {
			return nil
		}
	}
	switch {
	case id == "":
		return nil
	case active != "":
		return protocol.Invalid(protocol.ReasonTurnMismatch, "Another turn is running: %s", active)
	}
	return protocol.Invalid(protocol.ReasonTurnNotFound, "No turn is running")
}

// steer is input for a turn that runs.
type steer struct {
	input    []protocol.UserInput
	metadata map[string]string
	chars    int
}

// queue keeps input until the turn's next request. A full queue is refused with
// the code that asks the parent to try again.
func (u *turn) queue(s steer) error {
	if len(u.steers) >= maxSteers || u.steerChars+s.chars > maxSteerChars {
		return protocol.Errorf(protocol.CodeOverloaded, protocol.ReasonOverloaded, "Too much input waits for the running turn; try again")
	}
	u.steers = append(u.steers, s)
	u.steerChars += s.chars
	u.stirred()
	return nil
}
