package account

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"app-server/protocol"
)

// refreshTimeout is how long the parent may take to answer a refresh. The
// reference waits as long, and parents are written for that.
const refreshTimeout = 10 * time.Second

// flight is the one refresh of a generation. Its fields are set before it is
// shared, err before done is closed.
type flight struct {
	from   *Snapshot // what the parent is asked to replace
	cancel context.CancelFunc
	done   chan struct{}
	err    error // nil: go on with what is in force now
}

// Refresh is asked for a newer sign-in after the backend answered 401 to the
// token of the generation used. Where another generation is in force by now it
// returns that at once and asks nobody. Else it joins the refresh under way for
// this generation, or starts it, so that the parent is asked once however many
// requests were refused.
//
// The error is a *RefreshError, or wraps ctx's error where ctx ends first; that
// leaves the refresh itself alone, and an answer in time is still taken. A
// failed refresh changes nothing and is not remembered: the next call asks
// again. A successful one tells the parent nothing.
func (m *Manager) Refresh(ctx context.Context, used uint64) (*Snapshot, error) {
	f, s, err := m.join(used)
	if f == nil {
		return s, err
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("account: waiting for %s: %w", protocol.MethodAccountChatgptAuthTokensRefresh, ctx.Err())
	}
	if f.err != nil {
		return nil, f.err
	}
	// Not the flight's own result: a logout may have come right after it.
	if s := m.Snapshot(); s != nil {
		return s, nil
	}
	return nil, signedOut()
}

// join returns the flight to wait for, or else what Refresh returns at once.
func (m *Manager) join(used uint64) (*flight, *Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch s := m.current.Load(); {
	case s == nil:
		return nil, nil, signedOut()
	case s.Generation != used:
		return nil, s, nil
	case !s.Recoverable():
		return nil, nil, notRecoverable(s.Mode)
	case m.closed:
		return nil, nil, refreshError(ReasonClosed, "the server is shutting down")
	case m.flight == nil:
		ctx, cancel := context.WithTimeout(m.life, refreshTimeout)
		m.flight = &flight{from: s, cancel: cancel, done: make(chan struct{})}
		m.flights.Add(1)
		go m.fly(ctx, m.flight) // ends with the answer, the timeout, or endFlight
	}
	return m.flight, nil, nil
}

// endFlight ends the flight under way, if there is one: its waiters go on, and
// what the parent still answers is dropped. mu is held.
func (m *Manager) endFlight(err error) {
	if f := m.flight; f != nil {
		m.flight = nil
		f.err = err
		close(f.done)
		f.cancel()
	}
}

// fly asks the parent and puts its answer in force.
func (m *Manager) fly(ctx context.Context, f *flight) {
	defer m.flights.Done()
	defer f.cancel()
	next, err := m.fetch(ctx, f.from)

	m.mu.Lock()
	defer m.mu.Unlock()
	// Every change of the generation ends its flight, so that this one check
	// lets logout, a new login and Close win over a late answer.
	if m.flight != f {
		m.log.Debug("refresh answer dropped", zap.Uint64("generation", f.from.Generation))
		return
	}
	if err != nil {
		m.log.Debug("refresh failed", zap.String("reason", err.Reason), zap.Uint64("generation", f.from.Generation))
		m.endFlight(err)
		return
	}
	m.replace(next)
	m.log.Debug("refreshed", zap.Uint64("generation", next.Generation))
	m.endFlight(nil)
}

// fetch asks the parent and reads its answer. It holds no lock.
func (m *Manager) fetch(ctx context.Context, from *Snapshot) (next *Snapshot, fault *RefreshError) {
	defer func() {
		if p := recover(); p != nil {
			// The value is not logged: it may quote the answer.
			m.log.Error("panic in a refresh", zap.String("type", fmt.Sprintf("%T", p)), zap.ByteString("stack", debug.Stack()))
			next, fault = nil, refreshError(protocol.ReasonInternal, "the server failed while it handled the answer")
		}
	}()
	params := protocol.ChatgptAuthTokensRefreshParams{Reason: protocol.RefreshUnauthorized}
	if from.AccountID != "" {
		params.PreviousAccountID = new(from.AccountID)
	}
	raw, err := m.ask.RefreshExternal(ctx, params)
	if err != nil {
		return nil, m.askFault(ctx, err)
	}
	return m.readAnswer(raw, from)
}

// readAnswer reads the result of a refresh, which may have either shape.
func (m *Manager) readAnswer(raw jsontext.Value, from *Snapshot) (*Snapshot, *RefreshError) {
	var t protocol.ExternalTokens
	if protocol.Decode(raw, &t) != nil {
		return nil, refreshError(ReasonMalformed, "the parent's answer is not a set of tokens (accessToken with idToken or chatgptAccountId)")
	}
	next, err := readExternal(&t, from, &m.policy)
	if err == nil {
		return next, nil
	}
	reason := ReasonMalformed
	if own, ok := errors.AsType[*protocol.Error](err); ok {
		reason = own.Reason
	}
	return nil, refreshError(reason, "the parent's answer cannot be used: %v", err)
}

// askFault says why there was no answer.
func (m *Manager) askFault(ctx context.Context, err error) *RefreshError {
	if pe, ok := errors.AsType[*ParentError](err); ok {
		r := m.redactor()
		text := shorten(r.text(pe.Message))
		if text == "" {
			text = "no message"
		}
		what := fmt.Sprintf("error %d", pe.Code)
		if pe.Code == 0 { // the answer had no code
			what = "an error"
		}
		fault := refreshError(ReasonRefused, "the parent answered with %s: %s", what, text)
		fault.Detail = shorten(r.data(pe.Data))
		return fault
	}
	switch {
	case errors.Is(err, ErrParentGone):
		return refreshError(ReasonParentGone, "the parent closed its side before it answered")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return refreshError(ReasonTimeout, "the parent did not answer within %d s", refreshTimeout/time.Second)
	}
	// What another error says is not known to be free of the answer.
	return refreshError(ReasonUnsent, "the request could not be made")
}
