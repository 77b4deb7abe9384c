package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/redact"
	"app-server/protocol"
)

// externalTimeout is how long the parent may take to answer a refresh. The
// reference waits as long, and parents are written for that.
const externalTimeout = 10 * time.Second

// maxSaid is how many bytes of a parent's words are passed on, of its message as of
// its data. They are made for people; a page is enough.
const maxSaid = 2048

// externalRefresher asks the parent, which owns the sign-in.
type externalRefresher struct{ m *Manager }

// Refresh implements refresher.
func (r externalRefresher) Refresh(ctx context.Context, from *Snapshot, _ func() bool) (*Snapshot, *RefreshError) {
	params := protocol.ChatgptAuthTokensRefreshParams{Reason: protocol.RefreshUnauthorized}
	if from.AccountID != "" {
		params.PreviousAccountID = new(from.AccountID)
	}
	raw, err := r.m.ask.RefreshExternal(ctx, params)
	if err != nil {
		return nil, r.askFault(ctx, err)
	}
	return r.readAnswer(raw, from)
}

// readAnswer reads the result of a refresh, which may have either shape.
func (r externalRefresher) readAnswer(raw jsontext.Value, from *Snapshot) (*Snapshot, *RefreshError) {
	var t protocol.ExternalTokens
	if protocol.Decode(raw, &t) != nil {
		return nil, refreshError(ReasonMalformed, "the parent's answer is not a set of tokens (accessToken with idToken or chatgptAccountId)")
	}
	next, err := readExternal(&t, from, &r.m.policy)
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
func (r externalRefresher) askFault(ctx context.Context, err error) *RefreshError {
	if pe, ok := errors.AsType[*ParentError](err); ok {
		clean := r.m.redactor()
		text := redact.Shorten(clean.Text(pe.Message), maxSaid)
		if text == "" {
			text = "no message"
		}
		what := fmt.Sprintf("error %d", pe.Code)
		if pe.Code == 0 { // the answer had no code
			what = "an error"
		}
		fault := refreshError(ReasonRefused, "the parent answered with %s: %s", what, text)
		fault.Detail = redact.Shorten(clean.Data(pe.Data), maxSaid)
		return fault
	}
	switch {
	case errors.Is(err, ErrParentGone):
		return refreshError(ReasonParentGone, "the parent closed its side before it answered")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return refreshError(ReasonTimeout, "the parent did not answer within %d s", externalTimeout/time.Second)
	}
	// What another error says is not known to be free of the answer.
	return refreshError(ReasonUnsent, "the request could not be made")
}

// readExternal makes a snapshot, still without a generation, out of tokens that
// a parent passed at login (known is nil) or as the answer to a refresh (known
// is the snapshot in force). Both shapes are taken whatever shape came before.
// The error is an *protocol.Error with a stable reason and without any part of
// the tokens. t must have been validated.
//
// With an ID token the claims are read from it and the access token may be
// opaque; without one the access token must be a JWT itself and the account
// comes from chatgptAccountId. Explicit members win over claims where both are
// there, but two different accounts are an error: such a request would go out
// with an account header that its bearer does not belong to.
func readExternal(t *protocol.ExternalTokens, known *Snapshot, p *Policy) (*Snapshot, error) {
	access := t.AccessToken.Reveal()
	accessClaims, accessErr := parseClaims(access)
	said := accessClaims
	if t.IDToken != nil {
		var err error
		if said, err = parseClaims(t.IDToken.Reveal()); err != nil {
			return nil, protocol.Invalid(protocol.ReasonInvalidToken, "idToken is %v", err)
		}
	} else if accessErr != nil {
		// The reference answers this one, unlike a bad idToken, as a fault of
		// the server.
		return nil, protocol.Errorf(protocol.CodeInternal, protocol.ReasonInvalidToken, "accessToken is %v", accessErr)
	}
	if !fitsHeader(access) {
		return nil, protocol.Invalid(protocol.ReasonInvalidToken, "accessToken is empty or cannot be sent in a header")
	}

	s := &Snapshot{
		Mode:      protocol.AuthModeChatGPTAuthTokens,
		Token:     *t.AccessToken,
		AccountID: said.accountID,
		UserID:    said.userID,
		Email:     said.email,
		Plan:      said.plan,
	}
	if t.ChatGPTAccountID != nil {
		s.AccountID = *t.ChatGPTAccountID
		if !fitsHeader(s.AccountID) {
			return nil, protocol.Invalid(protocol.ReasonInvalidToken, "chatgptAccountId is empty or cannot be sent in a header")
		}
	} else if s.AccountID != "" && !fitsHeader(s.AccountID) {
		return nil, protocol.Invalid(protocol.ReasonInvalidToken, "the account id in idToken cannot be sent in a header")
	}
	if t.ChatGPTPlanType != nil && *t.ChatGPTPlanType != "" {
		s.Plan = protocol.DeclaredPlan(*t.ChatGPTPlanType)
	}

	if s.AccountID == "" && known != nil && !p.forcesWorkspace() {
		s.AccountID = known.AccountID
	}
	for _, claimed := range []string{said.accountID, accessClaims.accountID} {
		if claimed != "" && s.AccountID != "" && claimed != s.AccountID {
			return nil, protocol.Invalid(protocol.ReasonAccountMismatch, "the tokens and chatgptAccountId name different accounts")
		}
	}
	if err := p.checkWorkspace(s.AccountID); err != nil {
		return nil, err
	}
	s.inherit(known)
	return s, nil
}

// inherit fills what new tokens leave open from the ones before them, as long
// as both are of the same account and user. A login with an ID token may be
// refreshed by an access token that does not name the e-mail.
func (s *Snapshot) inherit(known *Snapshot) {
	if known == nil || known.AccountID != s.AccountID {
		return
	}
	if s.UserID != "" && known.UserID != "" && s.UserID != known.UserID {
		return
	}
	s.UserID = cmp.Or(s.UserID, known.UserID)
	s.Email = cmp.Or(s.Email, known.Email)
	s.Plan = cmp.Or(s.Plan, known.Plan)
}

// fitsHeader reports whether v can be the value of a header and arrives as it
// is: not empty, printable ASCII and inner tabs, no white space at the ends
// (receivers strip it).
func fitsHeader(v string) bool {
	if v == "" || isBlank(v[0]) || isBlank(v[len(v)-1]) {
		return false
	}
	for i := range len(v) {
		if b := v[i]; b != '\t' && (b < ' ' || b > '~') {
			return false
		}
	}
	return true
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' }
