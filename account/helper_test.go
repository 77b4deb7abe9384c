package account

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/zap"

	"app-server/internal/oauth"
	"app-server/protocol"
)

// identity describes an unsigned token; empty members are left out of it.
type identity struct {
	email, profileEmail, plan, user, altUser, account, id string
}

// jwt makes the token.
func (i identity) jwt() string {
	auth := map[string]any{}
	set := func(m map[string]any, k, v string) {
		if v != "" {
			m[k] = v
		}
	}
	set(auth, "chatgpt_plan_type", i.plan)
	set(auth, "chatgpt_user_id", i.user)
	set(auth, "user_id", i.altUser)
	set(auth, "chatgpt_account_id", i.account)
	body := map[string]any{"https://api.openai.com/auth": auth}
	set(body, "email", i.email)
	set(body, "jti", i.id)
	if i.profileEmail != "" {
		body["https://api.openai.com/profile"] = map[string]any{"email": i.profileEmail}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return rawJWT(string(raw))
}

// rawJWT wraps any payload.
func rawJWT(payload string) string {
	b := base64.RawURLEncoding.EncodeToString
	return b([]byte(`{"alg":"none"}`)) + "." + b([]byte(payload)) + "." + b([]byte("sig"))
}

// ada is the owner of most tokens in tests.
func ada(id string) identity {
	return identity{email: "ada@example.com", plan: "pro", user: "user-1", account: "org-a", id: id}
}

// tokens builds ExternalTokens; a member that is "-" is absent.
func tokens(id, access, account, plan string) protocol.ExternalTokens {
	var t protocol.ExternalTokens
	if id != "-" {
		t.IDToken = new(protocol.NewSecret(id))
	}
	if access != "-" {
		t.AccessToken = new(protocol.NewSecret(access))
	}
	if account != "-" {
		t.ChatGPTAccountID = &account
	}
	if plan != "-" {
		t.ChatGPTPlanType = &plan
	}
	return t
}

// idShape is the first shape: the account is in the ID token.
func idShape(id, access string) protocol.ExternalTokens { return tokens(id, access, "-", "-") }

// external are the params of a login.
func external(t protocol.ExternalTokens) *protocol.LoginAccountParams {
	return &protocol.LoginAccountParams{Type: protocol.LoginChatGPTAuthTokens, ExternalTokens: t}
}

// apiKey are the params of a login.
func apiKey(key string) *protocol.LoginAccountParams {
	return &protocol.LoginAccountParams{Type: protocol.LoginAPIKey, APIKey: new(protocol.NewSecret(key))}
}

// answer is the JSON of tokens as a parent would write it.
func answer(t protocol.ExternalTokens) jsontext.Value {
	m := map[string]string{}
	if t.IDToken != nil {
		m["idToken"] = t.IDToken.Reveal()
	}
	if t.AccessToken != nil {
		m["accessToken"] = t.AccessToken.Reveal()
	}
	if t.ChatGPTAccountID != nil {
		m["chatgptAccountId"] = *t.ChatGPTAccountID
	}
	if t.ChatGPTPlanType != nil {
		m["chatgptPlanType"] = *t.ChatGPTPlanType
	}
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return raw
}

// parent is a scripted parent: it records what it is told, and answers
// refreshes with what reply sends.
type parent struct {
	mu    sync.Mutex
	told  []string // method and params, one a line
	asked []protocol.ChatgptAuthTokensRefreshParams

	// reply gives the answers; nil answers never. Without an answer an ask
	// ends with its context, unless late is set: then it waits for reply all
	// the same, as an answer does that crosses a logout on its way.
	reply chan reply
	late  bool
}

type reply struct {
	result jsontext.Value
	err    error
}

func newParent() *parent { return &parent{reply: make(chan reply)} }

func (p *parent) RefreshExternal(ctx context.Context, q protocol.ChatgptAuthTokensRefreshParams) (jsontext.Value, error) {
	p.mu.Lock()
	p.asked = append(p.asked, q)
	p.mu.Unlock()
	done := ctx.Done()
	if p.late {
		done = nil
	}
	select {
	case r := <-p.reply:
		return r.result, r.err
	case <-done:
		return nil, ctx.Err()
	}
}

func (p *parent) Notify(_ context.Context, method string, params any) error {
	raw, err := json.Marshal(params)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, method+" "+string(raw))
	return err
}

func (p *parent) notifications() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.told
	p.told = nil
	return out
}

func (p *parent) asks() []protocol.ChatgptAuthTokensRefreshParams {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]protocol.ChatgptAuthTokensRefreshParams(nil), p.asked...)
}

// provider is a scripted sign-in provider without a network: answer gets the
// path and the body of each request, in order, and returns status and body.
type provider struct {
	mu     sync.Mutex
	asked  []string // path and body, one a line
	answer func(path, body string) (int, string)
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(raw)
	}
	p.mu.Lock()
	p.asked = append(p.asked, r.URL.Path+" "+body)
	answer := p.answer
	p.mu.Unlock()
	if answer == nil {
		return nil, errors.New("the provider is down")
	}
	type result struct {
		status int
		body   string
	}
	done := make(chan result, 1)
	go func() {
		status, body := answer(r.URL.Path, body)
		done <- result{status, body}
	}()
	select {
	case got := <-done:
		return &http.Response{StatusCode: got.status, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(got.body)), Request: r}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// questions returns what was asked so far.
func (p *provider) questions() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

// bed is a Manager with its surroundings.
type bed struct {
	*Manager
	t        *testing.T
	parent   *parent
	provider *provider
	home     string
}

// newBed makes a Manager over home ("" for a new one).
func newBed(t *testing.T, home string, p Policy) *bed {
	t.Helper()
	return newLoggedBed(t, home, p, nil)
}

func newLoggedBed(t *testing.T, home string, p Policy, log *zap.Logger) *bed {
	t.Helper()
	if home == "" {
		home = t.TempDir()
	}
	return newProvidedBed(t, home, p, log, &provider{})
}

func newProvidedBed(t *testing.T, home string, p Policy, log *zap.Logger, from *provider) *bed {
	t.Helper()
	par := newParent()
	m := NewManager(Options{Home: home, Policy: p, Ask: par, Notify: par, Log: log,
		Provider: oauth.New(oauth.Options{Transport: from, Log: log})})
	t.Cleanup(m.Close)
	return &bed{Manager: m, t: t, parent: par, provider: from, home: home}
}

// signIn logs in and runs what follows.
func (b *bed) signIn(p *protocol.LoginAccountParams) *Snapshot {
	b.t.Helper()
	_, after, _, err := b.Login(b.t.Context(), p)
	if err != nil {
		b.t.Fatalf("Login: %v", err)
	}
	after()
	return b.Snapshot()
}

// signInAda logs in with tokens of ada.
func (b *bed) signInAda() *Snapshot {
	b.t.Helper()
	return b.signIn(external(idShape(ada("1").jwt(), "access-one")))
}

// signOut logs out and runs what follows.
func (b *bed) signOut() {
	b.t.Helper()
	_, after, err := b.Logout(b.t.Context(), nil)
	if err != nil {
		b.t.Fatalf("Logout: %v", err)
	}
	after()
}

// refused checks that a login fails with the code and reason, sends nothing
// and changes nothing.
func (b *bed) refused(p *protocol.LoginAccountParams, code int64, reason string) {
	b.t.Helper()
	before := b.Snapshot()
	b.parent.notifications()
	_, after, _, err := b.Login(b.t.Context(), p)
	wantError(b.t, err, code, reason)
	if after != nil {
		b.t.Error("a refused login returned something to send")
	}
	if b.Snapshot() != before {
		b.t.Error("a refused login changed the state")
	}
	if told := b.parent.notifications(); len(told) != 0 {
		b.t.Errorf("a refused login sent %q", told)
	}
}

func wantError(t *testing.T, err error, code int64, reason string) {
	t.Helper()
	own, ok := errors.AsType[*protocol.Error](err)
	if !ok {
		t.Fatalf("error %v (%T), want a *protocol.Error", err, err)
	}
	if own.Code != code || own.Reason != reason || own.Message == "" {
		t.Errorf("error %d %q %q, want %d %q", own.Code, own.Reason, own.Message, code, reason)
	}
}

func wantReason(t *testing.T, err error, reason string) *RefreshError {
	t.Helper()
	own, ok := errors.AsType[*RefreshError](err)
	if !ok {
		t.Fatalf("error %v (%T), want a *RefreshError", err, err)
	}
	if own.Reason != reason {
		t.Errorf("reason %q (%v), want %q", own.Reason, own, reason)
	}
	return own
}

// snapshotOptions compare tokens by content and leave the generation out.
var snapshotOptions = cmp.Options{
	cmp.Comparer(func(a, b protocol.Secret) bool { return a.Equal(b) }),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Generation" }, cmp.Ignore()),
	cmpopts.IgnoreUnexported(Snapshot{}),
}

func wantSnapshot(t *testing.T, got, want *Snapshot) {
	t.Helper()
	if d := cmp.Diff(want, got, snapshotOptions); d != "" {
		t.Errorf("snapshot (-want +got):\n%s", d)
	}
}

func writeAuth(t *testing.T, home, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(home, oauth.AuthFile), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// readAuth returns the content of auth.json, "" where it is not there.
func readAuth(t *testing.T, home string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(home, oauth.AuthFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}
