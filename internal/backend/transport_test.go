package backend

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestProxies(t *testing.T) {
	env := map[string]string{"HTTP_PROXY": "http://plain:1", "https_proxy": "secure:2", "NO_PROXY": " .corp.test, example.org:8443 ,10.0.0.0/8, 192.168.1.1,*.star.test,[2001:db8::1]"}
	for target, want := range map[string]string{
		"http://a.test/":            "http://plain:1",
		"https://a.test/":           "http://secure:2",
		"https://localhost:1/":      "",
		"https://127.0.0.2/":        "",
		"https://[::1]/":            "",
		"https://corp.test/":        "",
		"https://x.Corp.test./":     "",
		"https://notcorp.test/":     "http://secure:2",
		"https://example.org:8443/": "",
		"https://example.org/":      "http://secure:2",
		"https://10.2.3.4/":         "",
		"https://11.2.3.4/":         "http://secure:2",
		"https://192.168.1.1/":      "",
		"https://x.star.test/":      "",
		"https://[2001:db8::1]/":    "",
	} {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		proxy, err := proxies(func(name string) string { return env[name] })(&http.Request{URL: u})
		got := ""
		if proxy != nil {
			got = proxy.String()
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", target, got, err)
		}
	}
	u := &url.URL{Scheme: "https", Host: "a.test"}
	if p, err := proxies(func(name string) string { return map[string]string{"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}[name] })(&http.Request{URL: u}); p != nil || err != nil {
		t.Error(p, err)
	}
	_, err := proxies(func(string) string { return "http://me:hidden-password@[::1" })(&http.Request{URL: u})
	if err == nil || strings.Contains(err.Error(), "hidden") {
		t.Error(err)
	}
}

func TestProxyIsUsed(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { good(w) })
	c := New(Options{Getenv: func(name string) string { return map[string]string{"HTTP_PROXY": s.URL}[name] }})
	r := s.request()
	r.Provider = Provider{BaseURL: "http://backend.test/v1"}
	mustComplete(t, c, r)
	if q := s.requests()[0]; q.Path != "/v1/responses" {
		t.Error(q)
	}
	c.transport.(*lazyTransport).made.CloseIdleConnections()

	// A port that was closed may be somebody else's at once.
	transport := mustTransport(t, map[string]string{"HTTPS_PROXY": "http://me:hidden-password@proxy.test:1"})
	transport.DialContext = func(_ context.Context, network, address string) (net.Conn, error) {
		if address != "proxy.test:1" {
			t.Error(address)
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	c = New(Options{Transport: transport})
	fail := mustFail(t, c, &Request{Provider: Provider{BaseURL: "https://backend.test/v1"}})
	if fail.Kind != KindConnectFailed || !strings.HasSuffix(fail.Message, "through the proxy") || strings.Contains(fail.Message+fail.Details, "hidden") {
		t.Errorf("%+v", fail)
	}
}

// TestProxyRefuses: a proxy that makes no connection is told from a backend that
// breaks one; only what may pass is tried again.
func TestProxyRefuses(t *testing.T) {
	for status, retry := range map[int]RetryClass{http.StatusProxyAuthRequired: RetryNever, http.StatusForbidden: RetryNever, http.StatusBadGateway: RetryStream} {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		c := New(Options{Transport: mustTransport(t, map[string]string{"HTTPS_PROXY": proxy.URL})})
		fail := mustFail(t, c, &Request{Provider: Provider{BaseURL: "https://backend.test/v1"}})
		want := fmt.Sprintf(": the proxy answered %d %s", status, http.StatusText(status))
		if fail.Kind != KindConnectFailed || fail.Retry != retry || !strings.HasSuffix(fail.Message, want) {
			t.Errorf("%d: %+v", status, fail)
		}
		proxy.Close()
	}
}

func mustTransport(t *testing.T, env map[string]string) *http.Transport {
	t.Helper()
	transport, err := NewTransport(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func TestCertificates(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { good(w) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	s.StartTLS()
	t.Cleanup(s.Close)
	dir := t.TempDir()
	bundle, empty := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "empty.pem")
	for path, data := range map[string][]byte{
		bundle: append([]byte("# ours\n"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})...),
		empty:  []byte("nothing here\n"),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		env     map[string]string
		message string
	}{
		"own variable":          {map[string]string{"CODEX_CA_CERTIFICATE": bundle}, ""},
		"common variable":       {map[string]string{"SSL_CERT_FILE": bundle}, ""},
		"own one goes first":    {map[string]string{"CODEX_CA_CERTIFICATE": bundle, "SSL_CERT_FILE": empty}, ""},
		"none":                  {nil, "The certificate of " + s.URL + "/v1/responses is not trusted"},
		"empty bundle":          {map[string]string{"CODEX_CA_CERTIFICATE": empty}, "The certificate bundle that CODEX_CA_CERTIFICATE names, " + empty + ", holds no certificate"},
		"bundle that is absent": {map[string]string{"SSL_CERT_FILE": dir + "/absent"}, "The certificate bundle that SSL_CERT_FILE names cannot be read: open " + dir + "/absent: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			c := New(Options{Getenv: func(name string) string { return test.env[name] }}) // never fails
			r := &Request{Provider: Provider{BaseURL: s.URL + "/v1", RequestMaxRetries: 3}}
			_, fail := collect(t, c, t.Context(), r)
			switch {
			case test.message == "" && fail != nil:
				t.Errorf("%+v", fail)
			case test.message != "" && (fail == nil || fail.Kind != KindConnectFailed || fail.Retry != RetryNever || fail.Message != test.message):
				t.Errorf("%+v", fail)
			}
			if made := c.transport.(*lazyTransport).made; made != nil {
				made.CloseIdleConnections()
			}
		})
	}
}

// A bundle that is mended while the server runs is read by the next request.
func TestMendedBundle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.pem")
	l := &lazyTransport{getenv: func(name string) string { return map[string]string{"CODEX_CA_CERTIFICATE": path}[name] }}
	if _, err := l.transport(); err == nil {
		t.Fatal("no error")
	}
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.transport(); err != nil {
		t.Error(err)
	}
}

// The token is shown to the host that was asked and to no other.
func TestRedirectsAreNotFollowed(t *testing.T) {
	other := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { good(w) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/v1/responses", status)
		})
		if fail := mustFail(t, client(t, Options{Credentials: signedInAs(firstToken)}), s.request()); fail.Kind != KindOther || fail.Status != status {
			t.Errorf("%+v", fail)
		}
		if _, err := client(t, Options{Credentials: signedInAs(firstToken)}).Usage(t.Context(), s.URL); err == nil {
			t.Error("usage followed")
		}
	}
	if len(other.requests()) != 0 {
		t.Error("the other host was asked")
	}
}
