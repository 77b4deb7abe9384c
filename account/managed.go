package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"app-server/internal/oauth"
	"app-server/protocol"
)

const (
	// freshFor is after which time tokens are refreshed before they are used, and
	// expiryLead how long before the access token's own end. Both are those of
	// the reference; it of 0.125 knows no lead.
	freshFor   = 8 * 24 * time.Hour
	expiryLead = 5 * time.Minute

	// managedTimeout is how long a refresh may take, another process's included.
	managedTimeout = time.Minute

	// aheadTime is how long a request waits for a refresh ahead of time. The old
	// token may still be good, and a refresh that takes longer goes on without
	// anybody who waits.
	aheadTime = 10 * time.Second
)

// managedAuth is what a managed login is stored as.
func managedAuth(t oauth.Tokens) (*oauth.Auth, error) {
	c, err := parseClaims(t.ID.Reveal())
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, protocol.ReasonInvalidToken, "the provider's ID token is %v", err)
	}
	return &oauth.Auth{Mode: protocol.AuthModeChatGPT, LastRefresh: time.Now(),
		Tokens: &oauth.StoredTokens{Tokens: t, AccountID: c.accountID}}, nil
}

// managedSnapshot is the sign-in of stored tokens. It returns nil and an error
// where they cannot be used.
//
// forced_chatgpt_workspace_id holds for them as for a login; the reference of
// 0.125 uses stored tokens of any workspace, later ones do not.
func managedSnapshot(a *oauth.Auth, p *Policy) (*Snapshot, error) {
	if authMode(a) != protocol.AuthModeChatGPT || a.Tokens == nil || !fitsHeader(a.Tokens.Access.Reveal()) {
		return nil, errUnusable
	}
	// The account is known from the file as well, so an ID token that cannot
	// be read costs no more than the e-mail.
	c, _ := parseClaims(a.Tokens.ID.Reveal())
	s := &Snapshot{
		Mode:      protocol.AuthModeChatGPT,
		Token:     a.Tokens.Access,
		AccountID: cmp.Or(a.Tokens.AccountID, c.accountID),
		UserID:    c.userID,
		Email:     c.email,
		Plan:      c.plan,
		stored:    a,
		ends:      expiryOf(a.Tokens.Access.Reveal()),
	}
	if s.AccountID != "" && !fitsHeader(s.AccountID) {
		return nil, errUnusable
	}
	if err := p.checkWorkspace(s.AccountID); err != nil {
		return nil, err
	}
	return s, nil
}

// due reports whether a managed sign-in is to be refreshed before it is used. A
// time that is not known is no reason.
func (s *Snapshot) due(now time.Time) bool {
	if !s.managed() {
		return false
	}
	if last := s.stored.LastRefresh; !last.IsZero() && now.Sub(last) > freshFor {
		return true
	}
	return !s.ends.IsZero() && now.After(s.ends.Add(-expiryLead))
}

// sameAccount reports whether both are sign-ins of one account and user, as far
// as they say.
func sameAccount(a, b *Snapshot) bool {
	differ := func(x, y string) bool { return x != "" && y != "" && x != y }
	return !differ(a.AccountID, b.AccountID) && !differ(a.UserID, b.UserID)
}

// deadToken is a refresh token that the provider refused for good, with what is
// told of it.
type deadToken struct {
	token protocol.Secret
	fault *RefreshError
}

func (d deadToken) is(token protocol.Secret) bool { return d.fault != nil && d.token.Equal(token) }

// managedRefresher trades the stored refresh token for new tokens.
type managedRefresher struct{ m *Manager }

// Refresh implements refresher. A refresh token can be used once, and several
// processes may share one store, so all of it happens under the store's lock:
//
//  1. What is stored is read again. Other tokens of the same account are taken
//     as they are: another process was quicker. Another account, or none, is not
//     what the caller works for.
//  2. The provider is asked, unless it has refused this refresh token before.
//  3. The answer is stored, provided that the token that it was got with is
//     still stored and nobody here signed in or out meanwhile.
func (r managedRefresher) Refresh(ctx context.Context, from *Snapshot, wanted func() bool) (*Snapshot, *RefreshError) {
	m := r.m
	release, err := m.store.LockRefresh(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, managedError(ReasonTimeout, "another program is refreshing the sign-in and does not end")
	default:
		m.log.Warn("the stored sign-in cannot be locked", zap.Error(err))
		return nil, managedError(protocol.ReasonStorage, "the stored sign-in cannot be locked, so that it is not refreshed")
	}
	defer release()

	now, fault := r.reread(ctx, from)
	if fault != nil || now != from && now.Found {
		return now, fault
	}
	used := now.stored.Tokens.Refresh
	m.mu.Lock()
	dead := m.dead
	m.mu.Unlock()
	if dead.is(used) {
		return nil, dead.fault
	}
	tokens, err := m.provider.Refresh(ctx, used)
	if err != nil {
		return nil, r.refused(used, err)
	}
	m.mu.Lock()
	m.remember(tokens.ID, tokens.Access, tokens.Refresh)
	m.mu.Unlock()
	next, fault := r.merge(now, tokens)
	if fault != nil {
		return nil, fault
	}
	return r.keep(ctx, now, next, wanted)
}

// reread returns the sign-in to go on with: from itself, or what another process
// has put into the store meanwhile, with Found where it is worth a try.
func (r managedRefresher) reread(ctx context.Context, from *Snapshot) (*Snapshot, *RefreshError) {
	a, err := r.m.store.Load(ctx)
	if err != nil {
		r.m.log.Warn("the stored sign-in cannot be read", zap.Error(err))
		return from, nil // what is in memory is all there is
	}
	const changed = "the stored sign-in was removed or is another account's by now; sign in again"
	if a == nil || a.Tokens == nil {
		return nil, managedError(protocol.ReasonAccountMismatch, changed)
	}
	if a.Tokens.Refresh.Equal(from.stored.Tokens.Refresh) && a.Tokens.Access.Equal(from.Token) {
		if from.unsaved.IsEmpty() {
			return from, nil
		}
		now := *from
		now.unsaved, now.Found = protocol.Secret{}, false // it got there after all: a keyring may be late
		return &now, nil
	}
	if !from.unsaved.IsEmpty() && a.Tokens.Refresh.Equal(from.unsaved) {
		return from, nil // older than memory, since that could not be stored
	}
	s, err := managedSnapshot(a, &r.m.policy)
	if err != nil || !sameAccount(s, from) {
		return nil, managedError(protocol.ReasonAccountMismatch, changed)
	}
	if s.managed() && s.due(time.Now()) {
		return s, nil // found, but not worth a try
	}
	s.Found = true
	return s, nil
}

// refused is the fault of a refresh that gave nothing. What is final is
// remembered, and told in the log once.
func (r managedRefresher) refused(used protocol.Secret, err error) *RefreshError {
	f := asFault(err)
	if f == nil {
		return managedError(protocol.ReasonInternal, "it failed for an unforeseen reason")
	}
	fault := managedError(f.Reason, f.Message)
	if f.Permanent() {
		r.m.log.Warn("the stored sign-in is no longer valid; somebody has to sign in again", zap.String("reason", f.Reason))
		r.m.mu.Lock()
		r.m.dead = deadToken{used, fault}
		r.m.mu.Unlock()
	}
	return fault
}

// merge puts new tokens in the place of those of s.
func (r managedRefresher) merge(s *Snapshot, t oauth.Tokens) (*Snapshot, *RefreshError) {
	next, err := managedSnapshot(s.stored.Refreshed(t, time.Now()), &r.m.policy)
	if err != nil {
		return nil, managedError(ReasonMalformed, "the token endpoint's answer cannot be used")
	}
	if !t.ID.IsEmpty() {
		c, err := parseClaims(t.ID.Reveal())
		if err != nil {
			return nil, managedError(ReasonMalformed, "the token endpoint's ID token is "+err.Error())
		}
		if c.accountID != "" && s.AccountID != "" && c.accountID != s.AccountID {
			return nil, managedError(protocol.ReasonAccountMismatch, "the token endpoint's answer names another account; sign in again")
		}
	}
	if !sameAccount(s, next) {
		return nil, managedError(protocol.ReasonAccountMismatch, "the token endpoint's answer names another user; sign in again")
	}
	next.inherit(s)
	return next, nil
}

// keep stores next, the successor of now. Where that fails it is used from
// memory: what is stored has been used up.
func (r managedRefresher) keep(ctx context.Context, now, next *Snapshot, wanted func() bool) (*Snapshot, *RefreshError) {
	m := r.m
	stored := now.stored.Tokens.Refresh // what the store holds
	if !now.unsaved.IsEmpty() {
		stored = now.unsaved
	}
	done, err := m.change(ctx)
	if err == nil {
		defer done()
		if !wanted() {
			return next, nil // which fly gives up
		}
		err = m.store.Replace(ctx, stored, next.stored)
	}
	switch {
	case err == nil:
		return next, nil
	case errors.Is(err, oauth.ErrChanged):
		return nil, managedError(protocol.ReasonAccountMismatch, "the stored sign-in was changed while it was refreshed; try again")
	}
	m.log.Warn("the refreshed sign-in could not be stored and lives in memory only", zap.Error(err))
	next.unsaved = stored
	return next, nil
}

// managedError makes a RefreshError of a managed sign-in.
func managedError(reason, message string) *RefreshError {
	return &RefreshError{Reason: reason, Message: message}
}

// asFault returns the provider's fault in err, nil where there is none.
func asFault(err error) *oauth.Fault {
	f, _ := errors.AsType[*oauth.Fault](err)
	return f
}

// Current returns the sign-in to use, nil when there is none. A managed one that
// is about to expire is refreshed first, for as long as ctx allows; where that
// fails the old one is returned, and the backend has the last word.
func (m *Manager) Current(ctx context.Context) (*Snapshot, error) {
	s := m.Snapshot()
	if s == nil || !s.due(time.Now()) || m.isDead(s) {
		return s, nil
	}
	wait, cancel := context.WithTimeout(ctx, aheadTime)
	defer cancel()
	next, err := m.Refresh(wait, s.Generation)
	switch {
	case err == nil:
		return next, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("account: %w", ctx.Err())
	}
	m.log.Debug("the sign-in was not refreshed ahead of its end", zap.Error(err))
	return m.Snapshot(), nil
}

// isDead reports whether the provider has refused the refresh token of s for
// good.
func (m *Manager) isDead(s *Snapshot) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return s.managed() && m.dead.is(s.stored.Tokens.Refresh)
}
