package fake

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Paths of a [Provider].
const (
	pathAuthorize   = "/oauth/authorize"
	pathToken       = "/oauth/token"
	pathRevoke      = "/oauth/revoke"
	pathUserCode    = "/api/accounts/deviceauth/usercode"
	pathDeviceToken = "/api/accounts/deviceauth/token"
)

// IssuedTokens are one answer of a token endpoint; empty members are left out.
type IssuedTokens struct{ ID, Access, Refresh string }

// Provider is a scripted sign-in provider. It is strict where the real one is: a
// code works once, with the verifier and the address that it was asked for with,
// and a refresh token works once. It is safe for concurrent use.
type Provider struct {
	// Next makes the tokens of the next sign-in or refresh; nil means that there
	// are none left.
	Next func() *IssuedTokens
	// Root is the provider's own address, without a slash at its end.
	Root string
	// Interval is the poll interval of device codes, in the text that it is sent
	// as; "" is one second.
	Interval string

	mu       sync.Mutex
	codes    map[string]codeGrant // guarded by mu, as is all below
	used     map[string]bool      // refresh tokens
	revoked  []string
	reused   int
	granted  int
	approved bool
	// deviceClient is who asked for the last device code.
	deviceClient string
	secrets      []string // codes, verifiers and states that came by
	n            int
}

// codeGrant is what a code was asked for with.
type codeGrant struct{ client, redirect, challenge string }

// Approve makes device codes succeed from now on.
func (p *Provider) Approve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.approved = true
}

// Counts returns how many refreshes were granted and how many came with a
// refresh token that had been used before.
func (p *Provider) Counts() (granted, reused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.granted, p.reused
}

// Revoked returns the tokens that were revoked, the first one first.
func (p *Provider) Revoked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.revoked...)
}

// Secrets returns the codes, verifiers and states that came by and that nobody
// may write down.
func (p *Provider) Secrets() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.secrets...)
}

// reply answers a request; nil where it is none for a provider.
func (p *Provider) reply(r *Request) *Reply {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.codes == nil {
		p.codes, p.used = map[string]codeGrant{}, map[string]bool{}
	}
	var out Reply
	switch r.Method + " " + r.Path {
	case "GET " + pathAuthorize:
		out = p.authorize(r)
	case "POST " + pathToken:
		out = p.token(r)
	case "POST " + pathRevoke:
		p.revoked = append(p.revoked, bodyText(r, "token"))
		out = Status(http.StatusOK, `{}`)
	case "POST " + pathUserCode:
		interval := p.Interval
		if interval == "" {
			interval = "1"
		}
		p.deviceClient = bodyText(r, "client_id")
		p.secrets = append(p.secrets, "device-login-0123456789")
		out = Status(http.StatusOK, fmt.Sprintf(`{"device_auth_id":"device-login-0123456789","user_code":"ABCD-1234","interval":%q}`, interval))
	case "POST " + pathDeviceToken:
		out = p.device(r)
	default:
		return nil
	}
	return &out
}

// Status 400 of authorize means that the address is not one that the real
// provider would take.
func (p *Provider) authorize(r *Request) Reply {
	q, err := url.ParseQuery(r.Query)
	redirect, redirectErr := url.Parse(q.Get("redirect_uri"))
	switch {
	case err != nil, redirectErr != nil, redirect.Hostname() != "localhost" || redirect.Path != "/auth/callback",
		q.Get("response_type") != "code", q.Get("client_id") == "", len(q.Get("state")) < 20,
		q.Get("code_challenge_method") != "S256", len(q.Get("code_challenge")) != 43,
		!strings.Contains(q.Get("scope"), "offline_access"):
		return Status(http.StatusBadRequest, `{"error":"invalid_request"}`)
	}
	code := p.newCode(codeGrant{q.Get("client_id"), q.Get("redirect_uri"), q.Get("code_challenge")})
	p.secrets = append(p.secrets, q.Get("state"))
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "scope": {q.Get("scope")}}
	out := Status(http.StatusFound, "")
	out.Header.Set("Location", q.Get("redirect_uri")+"?"+back.Encode())
	return out
}

func (p *Provider) newCode(g codeGrant) string {
	p.n++
	code := fmt.Sprintf("code-of-the-provider-%04d", p.n)
	p.codes[code] = g
	p.secrets = append(p.secrets, code)
	return code
}

func (p *Provider) token(r *Request) Reply {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return p.refresh(r)
	}
	q, err := url.ParseQuery(string(r.Body))
	if err != nil || q.Get("grant_type") != "authorization_code" {
		return Status(http.StatusBadRequest, `{"error":"unsupported_grant_type"}`)
	}
	g, known := p.codes[q.Get("code")]
	delete(p.codes, q.Get("code"))
	p.secrets = append(p.secrets, q.Get("code_verifier"))
	sum := sha256.Sum256([]byte(q.Get("code_verifier")))
	if !known || g.client != q.Get("client_id") || g.redirect != q.Get("redirect_uri") ||
		g.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return Status(http.StatusBadRequest, `{"error":"invalid_grant","error_description":"the code does not fit"}`)
	}
	return p.issue()
}

// refresh takes each refresh token once, also one that it did not issue: those
// of a story's auth.json.
func (p *Provider) refresh(r *Request) Reply {
	token := bodyText(r, "refresh_token")
	if bodyText(r, "grant_type") != "refresh_token" || bodyText(r, "client_id") == "" || token == "" {
		return Status(http.StatusBadRequest, `{"error":"invalid_request"}`)
	}
	if p.used[token] {
		p.reused++
		return Status(http.StatusUnauthorized, `{"error":{"code":"refresh_token_reused","message":"used before"}}`)
	}
	p.used[token] = true
	p.granted++
	return p.issue()
}

func (p *Provider) issue() Reply {
	var t *IssuedTokens
	if p.Next != nil {
		t = p.Next()
	}
	if t == nil {
		return Status(http.StatusBadRequest, `{"error":"invalid_grant","error_description":"nothing is left to issue"}`)
	}
	answer := map[string]any{"token_type": "Bearer", "expires_in": 3600}
	for name, value := range map[string]string{"id_token": t.ID, "access_token": t.Access, "refresh_token": t.Refresh} {
		if value != "" {
			answer[name] = value
		}
	}
	return Status(http.StatusOK, string(mustJSON(answer)))
}

func (p *Provider) device(r *Request) Reply {
	if bodyText(r, "device_auth_id") == "" || bodyText(r, "user_code") == "" {
		return Status(http.StatusBadRequest, `{"error":"invalid_request"}`)
	}
	if !p.approved {
		return Status(http.StatusForbidden, `{"error":{"code":"deviceauth_authorization_unknown"}}`)
	}
	verifier := fmt.Sprintf("verifier-of-the-provider-%04d", p.n)
	sum := sha256.Sum256([]byte(verifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	code := p.newCode(codeGrant{p.deviceClient, p.Root + "/deviceauth/callback", challenge})
	p.secrets = append(p.secrets, verifier)
	return Status(http.StatusOK, string(mustJSON(map[string]any{"authorization_code": code, "code_verifier": verifier, "code_challenge": challenge})))
}

// bodyText returns a text member of a JSON body.
func bodyText(r *Request, name string) string {
	o, _ := mustDecodeOr(r.Body, nil).(map[string]any)
	text, _ := o[name].(string)
	return text
}
