package backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"app-server/protocol"
)

// Credentials gives the tokens of whoever is signed in. Both methods may be
// called from any goroutine.
type Credentials interface {
	// Token returns the token in force, or an error that wraps [ErrNotSignedIn].
	Token(ctx context.Context) (Token, error)
	// Refresh is called when the backend answered 401 to used. It returns the
	// token to repeat the request with. Its error says in plain words why there
	// is none.
	Refresh(ctx context.Context, used Token) (Token, error)
}

// Token is a credential as it was at one moment.
type Token struct {
	Bearer protocol.Secret
	// AccountID goes into chatgpt-account-id; empty where it is not known.
	AccountID string
	// ChatGPT tells a ChatGPT access token from an API key.
	ChatGPT bool
	// Recoverable is whether a 401 may be answered with Refresh.
	Recoverable bool
	// Found is whether Refresh came upon this token and did not fetch it: a 401 to
	// it may then be answered with Refresh once more.
	Found bool
	// Generation is of use to Credentials only: it tells logins apart.
	Generation uint64
}

// ErrNotSignedIn is what [Credentials.Token] returns when nobody is signed in.
var ErrNotSignedIn = errors.New("not signed in")

// keySource says where a call takes its credential from.
type keySource int

const (
	// noKey: the provider asks for none, so it gets none. The token of the
	// person signed in is not shown to servers that did not ask for it.
	noKey keySource = iota
	// providerKey: the provider's own key, from its configuration.
	providerKey
	// signedIn: whoever is signed in.
	signedIn
)

// credential is what one attempt is sent with.
type credential struct {
	source keySource
	token  Token
}

// credential finds what the next attempt goes out with. A token is fetched for
// each attempt, so that a repeat after a pause uses what is in force by then.
func (c *Client) credential(ctx context.Context, k *call) (credential, *Error) {
	switch k.source {
	case providerKey:
		return credential{source: providerKey, token: Token{Bearer: k.key}}, checkBearer(k.key)
	case signedIn:
		if c.credentials == nil {
			return credential{}, notSignedIn(ErrNotSignedIn)
		}
		token, err := c.credentials.Token(ctx)
		switch {
		case err == nil:
			return credential{source: signedIn, token: token}, checkBearer(token.Bearer)
		case ctx.Err() != nil:
			return credential{}, canceled(ctx)
		case errors.Is(err, ErrNotSignedIn):
			return credential{}, notSignedIn(err)
		}
		return credential{}, &Error{Kind: KindUnauthorized, Message: "No credential is available: " + tidy(err.Error(), k.secrets), Err: err}
	}
	return credential{}, nil
}

func notSignedIn(err error) *Error {
	return &Error{Kind: KindNotSignedIn, Message: "Nobody is signed in, and this model provider needs a sign-in", Err: err}
}

// checkBearer refuses a token that cannot stand in a header. net/http would
// refuse it too, but later and as a fault of the connection.
func checkBearer(s protocol.Secret) *Error {
	if s.IsEmpty() || !isHeaderValue(s.Reveal()) {
		return &Error{Kind: KindUnauthorized, Message: "The access token is empty or holds characters that a header cannot carry"}
	}
	return nil
}

// authorized sends one request under the 401 rule: a 401 is answered with one
// refresh and one repeat of the same bytes, and a second 401 is final. A refresh
// that only came upon another token does not count, once. Turns
// and usage share it. refreshed belongs to the exchange and outlives the silent
// repeats, so that an exchange refreshes once and no more.
func (c *Client) authorized(ctx context.Context, k *call, refreshed *bool) (*answer, *Error) {
	cred, fail := c.credential(ctx, k)
	if fail != nil {
		return nil, fail
	}
	for found := false; ; {
		a, fail := c.send(ctx, k, cred)
		if fail != nil {
			return nil, fail
		}
		if a.response.StatusCode != http.StatusUnauthorized {
			return a, nil
		}
		if cred.source != signedIn || !cred.token.Recoverable || *refreshed {
			return nil, c.refused(ctx, k, a, cred)
		}
		a.discard()
		c.log.Debug("backend answered 401, asking for a new token")
		token, err := c.credentials.Refresh(ctx, cred.token)
		if err != nil {
			if ctx.Err() != nil {
				return nil, canceled(ctx)
			}
			secrets := k.secrets
			secrets.Add(cred.token.Bearer)
			reason := tidy(err.Error(), secrets)
			c.log.Debug("no new token came")
			return nil, &Error{Kind: KindUnauthorized, Status: http.StatusUnauthorized, Message: "The sign-in could not be refreshed: " + reason, Err: err}
		}
		*refreshed = found || !token.Found
		found = true
		if fail := checkBearer(token.Bearer); fail != nil {
			return nil, fail
		}
		cred.token = token
	}
}

// refused is the final 401.
func (c *Client) refused(ctx context.Context, k *call, a *answer, cred credential) *Error {
	e := c.statusError(ctx, k, a, cred)
	if e.Kind == KindCanceled {
		return e
	}
	e.Kind, e.Retry, e.silent = KindUnauthorized, RetryNever, false
	c.log.Debug("backend refused the credential", zap.Int("status", e.Status))
	return e
}

// refusal words a 401 by the credential it was about.
func refusal(source keySource, provider string) string {
	switch source {
	case providerKey:
		return fmt.Sprintf("The backend refused the key of model provider %q", provider)
	case signedIn:
		return "The backend refused the sign-in"
	}
	return fmt.Sprintf("The backend of model provider %q asks for a credential and none is configured", provider)
}
