package backend

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"app-server/internal/redact"
	"app-server/protocol"
)

// A backend may quote the whole request in its message. What of it is secret
// goes no further: not the bearer, not headers, not the query in any form, not
// what a URL holds before its host.
func TestEchoesAreRedacted(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		echo := strings.Join([]string{r.URL.RawQuery, r.URL.Query().Get("key"), r.URL.Query().Get("sig"), r.Header.Get("X-Key"),
			r.Header.Get("Authorization"), user + ":" + password + "@host", password, "base " + r.URL.Query().Get("inbase")}, " | ")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":{"message":"you sent ` + echo + `"}}`))
	})
	hidden := []string{"query secret", "query+secret", "query%20secret", "sig=s1", "header-secret", "user-secret", "pass-secret", "base-secret", "YTpi", "dXNlci1zZWNyZXQ"}
	provider := s.request().Provider
	provider.RequiresAuth = false
	provider.BaseURL = strings.Replace(provider.BaseURL, "http://", "http://user-secret:pass-secret@", 1) + "?inbase=base-secret"
	provider.QueryParams = map[string]string{"key": "query secret", "sig": "s1"}
	provider.Headers = map[string]string{"X-Key": "header-secret"}
	for name, bearer := range map[string]string{"user of the URL": "", "bearer": "bearer-secret"} {
		t.Run(name, func(t *testing.T) {
			r := s.request()
			r.Provider = provider
			r.Provider.Bearer = protocol.NewSecret(bearer)
			fail := mustFail(t, client(t, Options{}), r)
			text := fail.Message + fail.Details
			if !strings.Contains(text, "you sent [redacted]") {
				t.Error(text)
			}
			for _, secret := range append(hidden, "bearer-secret") {
				if strings.Contains(text, secret) {
					t.Errorf("%q in %s", secret, text)
				}
			}
		})
	}
}

// A server that is none of HTTP and sends back what it gets is quoted by
// net/http with the first line of the request in it.
func TestEchoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			n, _ := conn.Read(buf)
			_, _ = conn.Write(buf[:n])
			conn.Close()
		}
	}()
	r := &Request{Provider: Provider{ID: "mock", BaseURL: "http://" + l.Addr().String() + "/v1", QueryParams: map[string]string{"key": "query secret", "v": "77"}}}
	fail := mustFail(t, client(t, Options{}), r)
	if text := fail.Message + fail.Details; strings.Contains(text, "secret") || strings.Contains(text, "v=77") || fail.Kind != KindStreamDisconnected {
		t.Errorf("%+v", fail)
	}
}

// Parents show messages to people, beside those of the session.
func TestMessagesBeginWithACapital(t *testing.T) {
	capital := func(e *Error) {
		t.Helper()
		if e == nil || e.Message == "" || !unicode.IsUpper(rune(e.Message[0])) {
			t.Errorf("%+v", e)
		}
	}
	for _, code := range []string{"context_length_exceeded", "usage_limit_reached", "usage_not_included", "insufficient_quota", "slow_down", "invalid_prompt", ""} {
		capital(failedError(upstream{Code: code, Message: "m"}, redact.Redactor{}, time.Unix(0, 0)))
	}
	for _, source := range []keySource{noKey, providerKey, signedIn} {
		capital(&Error{Message: refusal(source, "mock")})
	}
	capital(incompleteError("", redact.Redactor{}))
	capital(notSignedIn(ErrNotSignedIn))
	capital(checkBearer(protocol.Secret{}))
	capital(canceled(t.Context()))
	_, err := NewTransport(func(name string) string { return "/nowhere/" + name })
	if err == nil || !unicode.IsUpper(rune(err.Error()[0])) {
		t.Error(err)
	}
}
