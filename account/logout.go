package account

import (
	"context"

	"go.uber.org/zap"

	"app-server/protocol"
)

// Logout serves account/logout. It ends a login and a refresh under way, so it
// never waits for anybody. The stored sign-in is removed in the modes that live
// there; a logout from external tokens leaves it alone, and it is not read again
// either: the process stays signed out. Where it cannot be removed the logout is
// refused and nothing changed. The func returned sends account/updated and then
// revokes what was removed, which may fail: the tokens are gone from here all
// the same.
func (m *Manager) Logout(ctx context.Context, _ *protocol.NoParams) (protocol.LogoutAccountResponse, func(), error) {
	left, ended, err := m.logout(ctx)
	if err != nil {
		return protocol.LogoutAccountResponse{}, nil, err
	}
	m.log.Debug("signed out")
	return protocol.LogoutAccountResponse{}, func() {
		m.tellEnded(ended, "the account was logged out")
		m.tellUpdated(nil)
		if left != nil && left.managed() {
			m.run(func() { m.revoke(left.stored.Tokens.Refresh) })
		}
	}, nil
}

// logout returns what was in force and the managed login that was under way.
func (m *Manager) logout(ctx context.Context) (left *Snapshot, ended *attempt, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	left = m.current.Load()
	if left != nil && !m.externalActive() && m.store != nil {
		// A refresh under way must not store its tokens afterwards.
		undo := m.dropFlight()
		if err := m.store.Remove(ctx); err != nil {
			undo()
			return nil, nil, protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "the stored sign-in could not be removed: %v", err)
		}
	}
	m.replace(nil)
	m.endFlight(signedOut())
	ended = m.endAttempt()
	ended.stop()
	return left, ended, nil
}

// revoke makes a refresh token worthless at the provider.
func (m *Manager) revoke(token protocol.Secret) {
	if err := m.provider.Revoke(m.life, token); err != nil {
		m.log.Debug("the refresh token was not revoked", zap.Error(err))
	}
}
