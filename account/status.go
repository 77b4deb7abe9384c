package account

import (
	"context"

	"app-server/protocol"
)

// Read serves account/read. With refreshToken a managed sign-in is refreshed
// first; external tokens are refreshed when the backend refuses them, an API key
// never. Where rest is not nil the refresh is under way: rest makes the answer,
// and other calls may come in between. A refresh that fails changes nothing
// here, as in the reference: the account is still the one that it was.
//
// Where the tokens name no e-mail the account's e-mail is the empty text. The
// wire's schema wants a text there, a parent must be able to see that it is
// signed in (the reference answers an error), and no address is empty.
func (m *Manager) Read(_ context.Context, p *protocol.GetAccountParams) (r protocol.GetAccountResponse, then func(),
	rest func(context.Context) (protocol.GetAccountResponse, func(), error), err error) {
	if p.RefreshToken {
		if refreshed := m.refreshing(); refreshed != nil {
			return r, nil, func(ctx context.Context) (protocol.GetAccountResponse, func(), error) {
				refreshed(ctx)
				return m.read(), nil, nil
			}, nil
		}
	}
	return m.read(), nil, nil, nil
}

func (m *Manager) read() protocol.GetAccountResponse {
	if !m.policy.requiresAuth() {
		return protocol.GetAccountResponse{}
	}
	r := protocol.GetAccountResponse{RequiresOpenAIAuth: true}
	switch s := m.Snapshot(); {
	case s == nil:
	case s.ChatGPT():
		r.Account = &protocol.Account{Type: protocol.AccountChatGPT, Email: new(s.Email), PlanType: s.plan()}
	default:
		r.Account = &protocol.Account{Type: protocol.AccountAPIKey}
	}
	return r
}

// refreshing starts, or joins, a refresh of the managed sign-in in force and
// returns how to wait for it; nil where there is nothing to refresh.
func (m *Manager) refreshing() func(context.Context) {
	s := m.Snapshot()
	if s == nil || !s.managed() {
		return nil
	}
	f, _, _ := m.join(s.Generation)
	if f == nil {
		return nil
	}
	return func(ctx context.Context) {
		select {
		case <-f.done:
		case <-ctx.Done():
		}
	}
}

// AuthStatus serves getAuthStatus. The token is part of the answer only where
// includeToken asks for it, and where it has not been refused for good.
// refreshToken and rest are those of Read.
func (m *Manager) AuthStatus(_ context.Context, p *protocol.GetAuthStatusParams) (r protocol.GetAuthStatusResponse, then func(),
	rest func(context.Context) (protocol.GetAuthStatusResponse, func(), error), err error) {
	include := p.IncludeToken != nil && *p.IncludeToken
	if p.RefreshToken != nil && *p.RefreshToken {
		if refreshed := m.refreshing(); refreshed != nil {
			return r, nil, func(ctx context.Context) (protocol.GetAuthStatusResponse, func(), error) {
				refreshed(ctx)
				return m.authStatus(include), nil, nil
			}, nil
		}
	}
	return m.authStatus(include), nil, nil, nil
}

func (m *Manager) authStatus(includeToken bool) protocol.GetAuthStatusResponse {
	needed := m.policy.requiresAuth()
	r := protocol.GetAuthStatusResponse{RequiresOpenAIAuth: &needed}
	s := m.Snapshot()
	if s == nil || !needed {
		return r
	}
	r.AuthMethod = new(s.Mode)
	if includeToken && !m.isDead(s) {
		r.AuthToken = new(s.Token.Reveal())
	}
	return r
}
