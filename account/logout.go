package account

import (
	"context"

	"go.uber.org/zap"

	"app-server/protocol"
)

// Logout serves account/logout. It ends a login and a refresh under way, so it
// waits for nobody but the store, and where the parent's tokens are in force not for
// that either. The stored sign-in is removed, also one that is not in force since
// the configuration excludes it or nobody can read it. Only what an external login
// has put aside stays, and is not read again either: the process stays signed out.
// Where what is in force cannot be removed the logout is refused and nothing
// changed. The func returned sends account/updated and then revokes what was
// removed, which may fail: the tokens are gone from here all the same.
func (m *Manager) Logout(ctx context.Context, _ *protocol.NoParams) (protocol.LogoutAccountResponse, func(), error) {
	removed, ended, err := m.logout(ctx)
	if err != nil {
		return protocol.LogoutAccountResponse{}, nil, err
	}
	m.log.Debug("signed out")
	return protocol.LogoutAccountResponse{}, func() {
		m.tellEnded(ended, "the account was logged out")
		m.tell(updated(nil))
		if !removed.IsEmpty() {
			m.run(func() { m.revoke(removed) })
		}
	}, nil
}

// logout returns the refresh token that was removed and the managed login that
// was under way, if there were any.
func (m *Manager) logout(ctx context.Context) (removed protocol.Secret, ended *attempt, err error) {
	if !m.externalActive() { // else the store is left alone
		done, err := m.change(ctx)
		if err != nil {
			return removed, nil, protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "%v", err)
		}
		defer done()
		m.mu.Lock()
		aside := m.aside // changes with a login only, and none is under way
		m.mu.Unlock()
		if !aside && m.store != nil {
			if removed, err = m.removeStored(ctx); err != nil {
				return removed, nil, err
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replace(nil)
	m.endFlight(signedOut())
	return removed, m.endAttempt(), nil
}

// removeStored empties the store and returns the refresh token that it held, or
// else the one in memory. It is called within a change.
func (m *Manager) removeStored(ctx context.Context) (protocol.Secret, error) {
	was, err := m.store.Remove(ctx)
	left := m.current.Load()
	switch {
	case err == nil:
	case left == nil: // what cannot be removed is not in force either
		m.log.Warn("the stored sign-in, which is not used, could not be removed", zap.Error(err))
		return protocol.Secret{}, nil
	default:
		return protocol.Secret{}, protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "the stored sign-in could not be removed: %v", err)
	}
	switch {
	// Another process may have refreshed it. What could not be stored is newer.
	case was != nil && was.Tokens != nil && authMode(was) == protocol.AuthModeChatGPT && (left == nil || left.unsaved.IsEmpty()):
		return was.Tokens.Refresh, nil
	case left != nil && left.managed():
		return left.stored.Tokens.Refresh, nil
	}
	return protocol.Secret{}, nil
}

// revoke makes a refresh token worthless at the provider.
func (m *Manager) revoke(token protocol.Secret) {
	if err := m.provider.Revoke(m.life, token); err != nil {
		m.log.Debug("the refresh token was not revoked", zap.Error(err))
	}
}
