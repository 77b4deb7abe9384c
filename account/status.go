package account

import (
	"context"

	"app-server/protocol"
)

// Read serves account/read. refreshToken is ignored: external tokens are
// refreshed when the backend refuses them, an API key never.
//
// Where the tokens name no e-mail the account's e-mail is the empty text. The
// wire's schema wants a text there, a parent must be able to see that it is
// signed in (the reference answers an error), and no address is empty.
func (m *Manager) Read(context.Context, *protocol.GetAccountParams) (protocol.GetAccountResponse, error) {
	if !m.policy.requiresAuth() {
		return protocol.GetAccountResponse{}, nil
	}
	r := protocol.GetAccountResponse{RequiresOpenAIAuth: true}
	switch s := m.Snapshot(); {
	case s == nil:
	case s.ChatGPT():
		r.Account = &protocol.Account{Type: protocol.AccountChatGPT, Email: new(s.Email), PlanType: s.plan()}
	default:
		r.Account = &protocol.Account{Type: protocol.AccountAPIKey}
	}
	return r, nil
}

// AuthStatus serves getAuthStatus. The token is part of the answer only where
// includeToken asks for it.
func (m *Manager) AuthStatus(_ context.Context, p *protocol.GetAuthStatusParams) (protocol.GetAuthStatusResponse, error) {
	needed := m.policy.requiresAuth()
	r := protocol.GetAuthStatusResponse{RequiresOpenAIAuth: &needed}
	s := m.Snapshot()
	if s == nil || !needed {
		return r, nil
	}
	r.AuthMethod = new(s.Mode)
	if p.IncludeToken != nil && *p.IncludeToken {
		r.AuthToken = new(s.Token.Reveal())
	}
	return r, nil
}
