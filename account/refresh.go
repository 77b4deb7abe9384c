package account

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"app-server/protocol"
)

// refresher gets new tokens in the place of those that the backend refused.
// There is one for each owner of a sign-in: the parent is asked for external
// tokens, the provider for managed ones. Whoever waits cannot tell them apart.
type refresher interface {
	// Refresh returns what is to be in force instead of from, still without a
	// generation. It returns soon after ctx ends. Within the change that stores
	// something it asks wanted, which reports whether from has not been signed out
	// or replaced in the store meanwhile.
	Refresh(ctx context.Context, from *Snapshot, wanted func() bool) (*Snapshot, *RefreshError)
}

// refresher returns the one for s and how long it may take. s is recoverable.
func (m *Manager) refresher(s *Snapshot) (refresher, time.Duration) {
	if s.managed() {
		return managedRefresher{m}, managedTimeout
	}
	return externalRefresher{m}, externalTimeout
}

// flight is the one refresh of a generation. Its fields are set before it is
// shared, err before done is closed.
type flight struct {
	from   *Snapshot // what is to be replaced
	cancel context.CancelFunc
	done   chan struct{}
	err    error // nil: go on with what is in force now
	// dropped is set where nobody wants the result any more, not even to keep it
	// for later.
	dropped atomic.Bool
}

// Refresh is asked for a newer sign-in after the backend answered 401 to the
// token of the generation used. Where another generation is in force by now it
// returns that at once and asks nobody. Else it joins the refresh under way for
// this generation, or starts it, so that there is one however many requests were
// refused.
//
// The error is a *RefreshError, or wraps ctx's error where ctx ends first; that
// leaves the refresh itself alone, and an answer in time is still taken. A
// failed refresh changes nothing. Of external tokens it is not remembered, so
// that the next call asks again; of managed ones a final refusal is. A
// successful one tells the parent nothing, unless a managed sign-in has another
// plan now.
func (m *Manager) Refresh(ctx context.Context, used uint64) (*Snapshot, error) {
	f, s, err := m.join(used)
	if f == nil {
		return s, err
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("account: waiting for a refresh: %w", ctx.Err())
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
		by, limit := m.refresher(s)
		ctx, cancel := context.WithTimeout(m.life, limit)
		f := &flight{from: s, cancel: cancel, done: make(chan struct{})}
		m.flight = f
		m.work.Go(func() { m.fly(ctx, f, by) }) // ends with the answer, the timeout, or release
	}
	return m.flight, nil, nil
}

// release lets everybody go on who waits for the flight under way, if there is
// one, and takes it out of its place: what it still brings is not put in force.
// A question to the parent is given up; a request that uses up a refresh token
// goes on, and its answer is stored. mu is held.
func (m *Manager) release(err error) {
	if f := m.flight; f != nil {
		m.flight = nil
		f.err = err
		close(f.done)
		if !f.from.managed() {
			f.cancel()
		}
	}
}

// endFlight is release for when nobody wants the result any more, not even to
// keep it for later. mu is held, within a change.
func (m *Manager) endFlight(err error) {
	if m.flight != nil {
		m.flight.dropped.Store(true)
	}
	m.release(err)
}

// fly makes the refresh and puts its result in force.
func (m *Manager) fly(ctx context.Context, f *flight, by refresher) {
	defer f.cancel()
	next, fault := m.fetch(ctx, f, by)
	landed := m.land(f, next, fault)
	switch {
	case next == nil || !next.managed():
	case landed:
		m.send()
	case f.dropped.Load():
		// Signed out or replaced while the provider answered, and by now not in
		// the store either: nobody may keep these tokens.
		m.revoke(next.stored.Tokens.Refresh)
	}
}

// land puts the result of a flight in force, and reports whether it did. That a
// managed sign-in has another plan now is left unsent.
func (m *Manager) land(f *flight, next *Snapshot, fault *RefreshError) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	// Every change of the generation takes the flight out of its place, so that
	// this one check lets logout, a new login and Close win over a late answer.
	if m.flight != f {
		m.log.Debug("refresh answer dropped", zap.Uint64("generation", f.from.Generation))
		return false
	}
	if fault != nil {
		m.log.Debug("refresh failed", zap.String("reason", fault.Reason), zap.Uint64("generation", f.from.Generation))
		m.release(fault)
		return false
	}
	m.replace(next)
	if next.managed() && *next.plan() != *f.from.plan() {
		m.unsent = append(m.unsent, updated(next))
	}
	m.log.Debug("refreshed", zap.Uint64("generation", next.Generation), zap.Bool("found", next.Found))
	m.release(nil)
	return true
}

// fetch runs the refresher. It holds no lock.
func (m *Manager) fetch(ctx context.Context, f *flight, by refresher) (next *Snapshot, fault *RefreshError) {
	defer func() {
		if p := recover(); p != nil {
			m.logPanic(p)
			next, fault = nil, refreshError(protocol.ReasonInternal, "the server failed while it handled the answer")
		}
	}()
	return by.Refresh(ctx, f.from, func() bool { return !f.dropped.Load() })
}
