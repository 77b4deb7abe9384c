package account

import (
	"context"
	"errors"

	"app-server/internal/oauth"
	"app-server/protocol"
)

// errUnusable says no more, since what is wrong may be a part of a token.
var errUnusable = errors.New("the store holds no usable credentials")

// stored reads the sign-in of the store; nil and nil where there is none. What
// forced_login_method excludes is not used either, and an error says so.
func (m *Manager) stored(ctx context.Context) (*Snapshot, error) {
	if m.store == nil {
		return nil, m.storeErr
	}
	a, err := m.store.Load(ctx)
	if a == nil || err != nil {
		return nil, err
	}
	if authMode(a) == protocol.AuthModeAPIKey {
		if err := m.policy.checkMethod(protocol.LoginAPIKey); err != nil {
			return nil, err
		}
		if !fitsHeader(a.APIKey.Reveal()) {
			return nil, errUnusable
		}
		return &Snapshot{Mode: protocol.AuthModeAPIKey, Token: a.APIKey}, nil
	}
	if err := m.policy.checkMethod(protocol.LoginChatGPT); err != nil {
		return nil, err
	}
	return managedSnapshot(a, &m.policy)
}

// authMode is how a stored sign-in signs in. A file without auth_mode is from an
// older reference: there a key wins.
func authMode(a *oauth.Auth) protocol.AuthMode {
	switch {
	case a.Mode != "":
		return a.Mode
	case !a.APIKey.IsEmpty():
		return protocol.AuthModeAPIKey
	}
	return protocol.AuthModeChatGPT
}

// storeAPIKey checks a key, stores it where the policy wants that, and returns
// its snapshot. Whatever was stored is replaced. It is called within a change.
func (m *Manager) storeAPIKey(ctx context.Context, key protocol.Secret) (*Snapshot, error) {
	if !fitsHeader(key.Reveal()) {
		return nil, protocol.Invalid(protocol.ReasonInvalidToken, "apiKey is empty or cannot be sent in a header")
	}
	if m.store == nil {
		return nil, protocol.Invalid(protocol.ReasonConfig, "the key could not be stored: %v", m.storeErr)
	}
	if err := m.store.Save(ctx, &oauth.Auth{Mode: protocol.AuthModeAPIKey, APIKey: key}, always); err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "the key could not be stored: %v", err)
	}
	return &Snapshot{Mode: protocol.AuthModeAPIKey, Token: key}, nil
}

// always wants what is to be stored.
func always() bool { return true }
