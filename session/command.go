package session

import (
	"context"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"app-server/protocol"
)

// ShellCommand handles thread/shellCommand: a command of the user's own, which
// runs outside of the sandbox. While a turn runs it runs beside it, as part of
// that turn; else as a turn of its own. The model hears of it when it is asked
// next. The func returned lets it begin.
func (m *Manager) ShellCommand(ctx context.Context, p *protocol.ThreadShellCommandParams) (protocol.ThreadShellCommandResponse, func(), error) {
	var done protocol.ThreadShellCommandResponse
	t, err := m.thread(p.ThreadID)
	if err != nil {
		return done, nil, err
	}
	if strings.TrimSpace(p.Command) == "" {
		return done, nil, protocol.Invalid(protocol.ReasonInvalidParams, "The command is empty")
	}
	if strings.Contains(p.Command, "\x00") {
		return done, nil, protocol.Invalid(protocol.ReasonInvalidParams, "The command has a NUL character in it")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return done, nil, err
	}
	var then func()
	if doErr := t.do(ctx, func() { then, err = t.shellCommand(id.String(), p.Command) }); doErr != nil {
		return done, nil, doErr
	}
	return done, then, err
}

func (t *thread) shellCommand(turnID, command string) (func(), error) {
	if u := t.current; u != nil && !u.closing {
		answered := make(chan struct{})
		u.beside++
		u.asides.Go(func() {
			defer t.post(func() { u.beside--; u.stirred() })
			if !u.reached(answered) || !u.reached(u.begun) {
				return
			}
			_ = u.survive(func() error { u.aside(command); return nil })
		})
		return func() { close(answered) }, nil
	}
	u := t.newTurn(turnID, kindCommand, t.settings)
	u.task = func() error { return u.command(command) }
	if err := t.begin(u); err != nil {
		return nil, err
	}
	return func() { t.post(func() { t.arm(u) }) }, nil
}

// reached waits until a channel is closed. It reports false where that may never be:
// when the server ends, a response is not sent and a turn does not begin. An
// interrupt changes nothing: what was answered is told.
func (u *turn) reached(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	case <-u.th.m.ending.Done():
	}
	select { // both may have come
	case <-ch:
		return true
	default:
		return false
	}
}

// command is the task of a turn that runs a command of the user's own. Input
// that came meanwhile makes it a conversation.
func (u *turn) command(command string) error {
	u.remember(u.userCommand(command))
	if u.ctx.Err() != nil {
		return errInterrupted
	}
	more := u.pendingOrClose()
	if len(more) == 0 {
		return nil
	}
	u.warnUnknownModel()
	return u.converse(more)
}

// aside runs a command of the user's own beside the turn, which does not end
// before it.
func (u *turn) aside(command string) {
	u.note(u.userCommand(command))
}

// note keeps an item for the model's next request.
func (u *turn) note(item jsontext.Value) {
	u.th.post(func() { u.notes = append(u.notes, item) })
}

// userCommand runs a command and returns what the model is to know of it.
func (u *turn) userCommand(command string) jsontext.Value {
	return messageItem(roleUser, textPart(u.kit.UserCommand(u.ctx, uuid.NewString(), command)))
}

// CleanTerminals handles thread/backgroundTerminals/clean: it ends the commands
// of the model that go on in the background, after the response, since their items
// are completed then.
func (m *Manager) CleanTerminals(_ context.Context, p *protocol.ThreadBackgroundTerminalsCleanParams) (r protocol.ThreadBackgroundTerminalsCleanResponse, then func(), err error) {
	t, err := m.thread(p.ThreadID)
	if err != nil {
		return r, nil, err
	}
	return r, t.tools.CleanTerminals, nil
}
