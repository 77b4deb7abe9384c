package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"app-server/internal/redact"
	"app-server/protocol"
)

// provider answers every request with what answer returns.
type provider func(r *http.Request, body string) (int, string)

func (p provider) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	status, answer := p(r, string(body))
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

func idToken() string {
	b := base64.RawURLEncoding.EncodeToString
	return b([]byte(`{"alg":"none"}`)) + "." + b([]byte(`{"email":"a@example.com"}`)) + ".c2ln"
}

func TestEndpoints(t *testing.T) {
	env := map[string]string{}
	get := func(k string) string { return env[k] }
	if d := cmp.Diff(Endpoints{defaultIssuer, defaultClientID, defaultIssuer + "/oauth/token", defaultIssuer + "/oauth/revoke"}, New(Options{Endpoints: EndpointsFromEnv(get)}).at); d != "" {
		t.Error(d)
	}
	env = map[string]string{"CODEX_APP_SERVER_LOGIN_ISSUER": "http://i/", "CODEX_APP_SERVER_LOGIN_CLIENT_ID": "c",
		"CODEX_REFRESH_TOKEN_URL_OVERRIDE": "http://t", "CODEX_REVOKE_TOKEN_URL_OVERRIDE": "http://r"}
	if d := cmp.Diff(Endpoints{"http://i", "c", "http://t", "http://r"}, New(Options{Endpoints: EndpointsFromEnv(get)}).at); d != "" {
		t.Error(d)
	}
}

func TestRefreshFaults(t *testing.T) {
	for _, c := range []struct {
		status    int
		body      string
		reason    string
		permanent bool
	}{
		{401, `{"error":{"code":"refresh_token_expired"}}`, ReasonExpired, true},
		{401, `{"error":{"code":"REFRESH_TOKEN_REUSED"}}`, ReasonReused, true},
		{401, `{"code":"refresh_token_invalidated"}`, ReasonRevoked, true},
		{400, `{"error":"invalid_grant","error_description":"x"}`, ReasonRefused, true},
		{403, `{"error":{"code":"refresh_token_reused"}}`, ReasonReused, true},
		{401, `nonsense`, ReasonRefused, true},
		{401, ``, ReasonRefused, true},
		{400, `{"error":"invalid_request"}`, ReasonUnavailable, false},
		{500, `{"error":{"code":"refresh_token_reused"}}`, ReasonUnavailable, false},
		{429, `{}`, ReasonUnavailable, false},
		{404, `<html>`, ReasonUnavailable, false},
		{302, ``, ReasonUnavailable, false},
		{200, `{}`, ReasonAnswer, false},
		{200, `null`, ReasonAnswer, false},
		{200, `{"access_token":7}`, ReasonAnswer, false},
		{200, strings.Repeat("x", 2*maxAnswer), ReasonAnswer, false},
	} {
		p := New(Options{Transport: provider(func(*http.Request, string) (int, string) { return c.status, c.body })})
		_, err := p.Refresh(t.Context(), protocol.NewSecret("the-refresh-token"))
		f, ok := errors.AsType[*Fault](err)
		if !ok || f.Reason != c.reason || f.Permanent() != c.permanent || f.Message == "" || strings.Contains(f.Message, "the-refresh-token") {
			t.Errorf("%d %.60s: %+v", c.status, c.body, f)
		}
	}
	// The provider cannot be reached, in several ways; the address is not told.
	down := New(Options{Endpoints: Endpoints{Token: "http://user:pass@127.0.0.1:9/x"}, Transport: &http.Transport{}})
	_, err := down.Refresh(t.Context(), protocol.NewSecret("r"))
	if f, ok := errors.AsType[*Fault](err); !ok || f.Reason != ReasonUnavailable || strings.Contains(f.Message, "127.0.0.1") {
		t.Errorf("%v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = down.Refresh(ended, protocol.NewSecret("r"))
	if f, ok := errors.AsType[*Fault](err); !ok || f.Reason != ReasonUnavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// What a provider says reaches people without codes, tokens and line breaks.
func TestSaidIsClean(t *testing.T) {
	r := redact.New(protocol.NewSecret("the-secret-code"))
	f := denied("server_error", "a the-secret-code b "+idToken()+"\r\n\x00c\u2028d "+strings.Repeat("long ", 200), r)
	if strings.Contains(f.Message, "the-secret-code") || strings.Contains(f.Message, "eyJ") || strings.ContainsAny(f.Message, "\r\n\x00\u2028") || len(f.Message) > maxSaid+40 {
		t.Errorf("%q", f.Message)
	}
	retrieve := &oauth2.RetrieveError{Response: &http.Response{StatusCode: 400}, Body: []byte(`{"error":"invalid_grant","error_description":"code the-secret-code is bad"}`)}
	if f := failedExchange(fmt.Errorf("wrapped: %w", retrieve), r); strings.Contains(f.Message, "the-secret-code") || f.Status != 400 || !strings.Contains(f.Message, "is bad") {
		t.Errorf("%+v", f)
	}
	if f := failedExchange(errors.New("oauth2: cannot parse the-secret-code"), r); strings.Contains(f.Message, "secret") {
		t.Errorf("%+v", f)
	}
}

func TestPagesEscape(t *testing.T) {
	w := httptest.NewRecorder()
	show(w, http.StatusOK, failurePage(errors.New(`<img src=x onerror=alert(1)> "&' {title}`)))
	body := w.Body.String()
	if strings.Contains(body, "<img") || strings.Count(body, "Sign-in failed") != 2 {
		t.Error(body)
	}
	for _, name := range []string{"Content-Security-Policy", "X-Frame-Options", "Cache-Control", "Referrer-Policy", "X-Content-Type-Options"} {
		if w.Header().Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
	if !w.Flushed || w.Header().Get("Content-Length") != strconv.Itoa(len(body)) {
		t.Error("the page is not whole before its handler ends")
	}
	if failurePage(errors.New("")).Text == "" {
		t.Error("no text")
	}
}

func TestSeconds(t *testing.T) {
	for in, want := range map[string]time.Duration{
		`5`: 5 * time.Second, `"5"`: 5 * time.Second, `1.5`: 1500 * time.Millisecond, `0`: 0, `""`: time.Minute, `null`: time.Minute,
		``: time.Minute, `-1`: time.Minute, `1e9`: time.Minute, `"x"`: time.Minute, `[1]`: time.Minute, `"NaN"`: time.Minute,
	} {
		if got := seconds(jsontext.Value(in), time.Minute); got != want {
			t.Errorf("seconds(%s) = %v, want %v", in, got, want)
		}
	}
}

// browserBed is a login with a provider that gives tokens.
func browserBed(t *testing.T, accept func(context.Context, Tokens) error) (b *BrowserLogin, ended <-chan error, exchanges *atomic.Int32) {
	t.Helper()
	exchanges = new(atomic.Int32)
	c := New(Options{Transport: provider(func(*http.Request, string) (int, string) {
		exchanges.Add(1)
		return 200, fmt.Sprintf(`{"id_token":%q,"access_token":"a","refresh_token":"r","token_type":"Bearer"}`, idToken())
	}), Listen: func(network, _ string) (net.Listener, error) { return net.Listen(network, "127.0.0.1:0") }})
	b, err := c.StartBrowser(BrowserOptions{Accept: accept})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- b.Wait(t.Context()) }()
	t.Cleanup(b.Close)
	return b, done, exchanges
}

// come is a browser that comes back with a code.
func (b *BrowserLogin) come(t *testing.T) int {
	t.Helper()
	u := fmt.Sprintf("http://%s%s?code=c&state=%s", b.hosts[1], callbackPath, url.QueryEscape(b.state.Reveal()))
	r, err := http.Get(u)
	if err != nil {
		return 0
	}
	defer r.Body.Close()
	return r.StatusCode
}

// However many browsers come back at once, one code is traded and one sign-in
// accepted.
func TestBrowserServesOnce(t *testing.T) {
	var accepted atomic.Int32
	b, ended, exchanges := browserBed(t, func(context.Context, Tokens) error { accepted.Add(1); return nil })
	codes := make(chan int)
	const n = 10
	for range n {
		go func() { codes <- b.come(t) }()
	}
	good := 0
	for range n {
		if code := <-codes; code == http.StatusOK { // after the redirect
			good++
		}
	}
	if err := <-ended; err != nil || good != 1 || accepted.Load() != 1 || exchanges.Load() != 1 {
		t.Errorf("%v, %d pages, %d accepted, %d exchanged", err, good, accepted.Load(), exchanges.Load())
	}
	if code := b.come(t); code == http.StatusOK || code == http.StatusConflict {
		t.Error("the port is still open")
	}
}

func TestBrowserAcceptRefuses(t *testing.T) {
	why := errors.New("not this one")
	b, ended, _ := browserBed(t, func(context.Context, Tokens) error { return why })
	if code := b.come(t); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	if err := <-ended; !errors.Is(err, why) {
		t.Error(err)
	}
}

func TestBrowserClose(t *testing.T) {
	b, ended, _ := browserBed(t, nil)
	b.Close()
	b.Close()
	if err := <-ended; !errors.Is(err, errClosed) && err == nil {
		t.Errorf("ended with %v", err)
	}
	if code := b.come(t); code == http.StatusOK || code == http.StatusConflict {
		t.Error("the port is still open")
	}
}

// The callback server is a service of nobody but this machine.
func TestBrowserListensOnLoopback(t *testing.T) {
	var asked []string
	c := New(Options{Listen: func(network, address string) (net.Listener, error) {
		asked = append(asked, network+" "+address)
		return nil, errors.New("taken")
	}})
	_, err := c.StartBrowser(BrowserOptions{})
	if f, ok := errors.AsType[*Fault](err); !ok || f.Reason != ReasonUnavailable {
		t.Errorf("%v", err)
	}
	if d := cmp.Diff([]string{"tcp4 127.0.0.1:1455", "tcp4 127.0.0.1:1457", "tcp4 127.0.0.1:0"}, asked); d != "" {
		t.Error(d)
	}
}

// FuzzCallback: whatever a browser asks for, it needs the state to change
// anything, and no page shows a secret.
func FuzzCallback(f *testing.F) {
	f.Add("GET", "/auth/callback?code=c&state=s", "localhost:1")
	f.Add("GET", "/auth/callback?error=e&error_description=%3Cb%3E", "127.0.0.1:1")
	f.Add("POST", "/success", "evil")
	f.Fuzz(func(t *testing.T, method, target, host string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		b := &BrowserLogin{client: New(Options{}), hosts: []string{"localhost:1", "127.0.0.1:1"}, outcome: make(chan error, 1),
			state: protocol.NewSecret("the-state-of-this-login"), verifier: protocol.NewSecret("the-verifier-of-this-login")}
		w := httptest.NewRecorder()
		b.ServeHTTP(w, &http.Request{Method: method, URL: u, Host: host, Header: http.Header{}})
		if len(b.outcome) != 0 && !strings.Contains(target, "the-state-of-this-login") {
			t.Errorf("%s %s ended the login", method, target)
		}
		if strings.Contains(w.Body.String(), "of-this-login") {
			t.Errorf("a secret is shown: %s", w.Body)
		}
	})
}

// FuzzRefusal: whatever a provider answers, the fault has a message, and the
// token that was sent is not in it.
func FuzzRefusal(f *testing.F) {
	f.Add(401, `{"error":{"code":"refresh_token_reused","message":"the-refresh-token"}}`)
	f.Add(400, `{"error":"invalid_grant","error_description":"x"}`)
	f.Add(200, `{"access_token":"a","id_token":null}`)
	f.Add(500, `<html>`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 100 || status > 599 {
			return
		}
		c := New(Options{Transport: provider(func(*http.Request, string) (int, string) { return status, body })})
		if _, err := c.Refresh(t.Context(), protocol.NewSecret("the-refresh-token")); err != nil {
			if f, ok := errors.AsType[*Fault](err); !ok || f.Message == "" || strings.Contains(f.Message, "the-refresh-token") {
				t.Errorf("%d %q: %v", status, body, err)
			}
		}
		d := &DeviceLogin{client: c, id: protocol.NewSecret("the-refresh-token"), UserCode: "U"}
		if _, _, _, err := d.poll(t.Context()); err != nil && strings.Contains(err.Error(), "the-refresh-token") {
			t.Errorf("%d %q: %v", status, body, err)
		}
		if f := failedExchange(&oauth2.RetrieveError{Body: []byte(body)}, redact.New(protocol.NewSecret("the-refresh-token"))); strings.Contains(f.Message, "the-refresh-token") {
			t.Errorf("%q: %v", body, f)
		}
	})
}
