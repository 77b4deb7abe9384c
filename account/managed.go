package account

import "app-server/protocol"

// loginManaged is where the sign-in that the server itself owns (browser and
// device code) will start. Until it is served its login is refused. All general
// checks have been made; mu is held.
func (m *Manager) loginManaged(p *protocol.LoginAccountParams) (*Snapshot, error) {
	return nil, protocol.Invalid(protocol.ReasonNotServed, "login of type %s is not served yet; sign in with %s or %s",
		p.Type, protocol.LoginChatGPTAuthTokens, protocol.LoginAPIKey)
}

// managedSnapshot is the sign-in of tokens that the reference stored. They are
// used as they are: this server cannot refresh them yet, so a 401 fails the
// turn with that reason. It returns nil and an error where they cannot be used.
//
// forced_chatgpt_workspace_id holds for them as for a login; the reference of
// 0.125 uses stored tokens of any workspace, later ones do not.
func managedSnapshot(t *storedTokens, p *Policy) (*Snapshot, error) {
	if !fitsHeader(t.AccessToken.Reveal()) {
		return nil, errUnusable
	}
	// The account is known from the file as well, so an ID token that cannot
	// be read costs no more than the e-mail.
	c, _ := parseClaims(t.IDToken.Reveal())
	s := &Snapshot{
		Mode:      protocol.AuthModeChatGPT,
		Token:     t.AccessToken,
		AccountID: firstOf(t.AccountID, c.accountID),
		UserID:    c.userID,
		Email:     c.email,
		Plan:      c.plan,
	}
	if s.AccountID != "" && !fitsHeader(s.AccountID) {
		return nil, errUnusable
	}
	if err := p.checkWorkspace(s.AccountID); err != nil {
		return nil, err
	}
	return s, nil
}
