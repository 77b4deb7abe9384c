package backend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// dialTime and handshakeTime bound what a connection costs before the first
	// byte of a request; the idle timeout bounds the rest.
	dialTime      = 10 * time.Second
	handshakeTime = 10 * time.Second
	// keptPerHost is as many turns as may well end at once, so that their
	// successors find open connections.
	keptPerHost = 256
	keptFor     = 90 * time.Second
	// pingAfter finds HTTP/2 connections that died without a word.
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second
)

// setupError is a fault of the environment that no repeat cures. Its text is
// the message that people get.
type setupError struct {
	message string
	err     error
}

func (e *setupError) Error() string { return e.message }
func (e *setupError) Unwrap() error { return e.err }

// proxyRefusal is a proxy's answer that makes no connection.
type proxyRefusal struct{ status int }

func (e *proxyRefusal) Error() string {
	return fmt.Sprintf("the proxy answered %d %s", e.status, http.StatusText(e.status))
}

// proxyAnswer looks at what a proxy says to CONNECT. Of a refusal the library would
// tell the words alone, which are the proxy's own.
func proxyAnswer(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
	if r.StatusCode != http.StatusOK {
		return &proxyRefusal{r.StatusCode}
	}
	return nil
}

// NewTransport makes the transport for the backend. Proxies come from
// HTTPS_PROXY, HTTP_PROXY and NO_PROXY (upper case goes before lower). The
// bundle that CODEX_CA_CERTIFICATE names, or else SSL_CERT_FILE, is trusted
// beside the system's roots; the error names the variable where the bundle
// cannot be read or holds no certificate.
func NewTransport(getenv func(string) string) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                 proxies(getenv),
		DialContext:           (&net.Dialer{Timeout: dialTime, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   handshakeTime,
		MaxIdleConnsPerHost:   keptPerHost,
		IdleConnTimeout:       keptFor,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
		// No compression is asked for: it would only delay small events.
		DisableCompression:     true,
		OnProxyConnectResponse: proxyAnswer,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	pool, err := trusted(getenv)
	if err != nil {
		return nil, err
	}
	if pool != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return t, nil
}

// trusted is nil where the system's roots alone are meant.
func trusted(getenv func(string) string) (*x509.CertPool, error) {
	for _, variable := range []string{"CODEX_CA_CERTIFICATE", "SSL_CERT_FILE"} {
		path := getenv(variable)
		if path == "" {
			continue
		}
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, &setupError{fmt.Sprintf("The certificate bundle that %s names cannot be read: %v", variable, err), err}
		}
		pool, err := x509.SystemCertPool()
		if err != nil { // a system without roots: the bundle is all there is
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, &setupError{fmt.Sprintf("The certificate bundle that %s names, %s, holds no certificate", variable, path), nil}
		}
		return pool, nil
	}
	return nil, nil
}

// lazyTransport makes its transport at the first request. A fault of the
// bundle fails that request and is looked at again by the next one, so that
// mending the file is enough.
type lazyTransport struct {
	getenv func(string) string

	mu   sync.Mutex
	made *http.Transport
}

// LazyTransport is one of [NewTransport] that is made at its first request, for
// other clients that go the same way as the backend's.
func LazyTransport(getenv func(string) string) http.RoundTripper {
	return &lazyTransport{getenv: getenv}
}

func (l *lazyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	t, err := l.transport()
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	return t.RoundTrip(r)
}

func (l *lazyTransport) transport() (*http.Transport, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made == nil {
		t, err := NewTransport(l.getenv)
		if err != nil {
			return nil, err
		}
		l.made = t
	}
	return l.made, nil
}

// proxies does what http.ProxyFromEnvironment does, with two differences: it
// reads the environment that it is given, and its errors do not quote the
// proxy's URL, which may hold a password.
func proxies(getenv func(string) string) func(*http.Request) (*url.URL, error) {
	env := func(names ...string) string {
		for _, name := range names {
			if v := strings.TrimSpace(getenv(name)); v != "" {
				return v
			}
		}
		return ""
	}
	plain, secure := env("HTTP_PROXY", "http_proxy"), env("HTTPS_PROXY", "https_proxy")
	direct := directHosts(env("NO_PROXY", "no_proxy"))
	return func(r *http.Request) (*url.URL, error) {
		name, value := "HTTP_PROXY", plain
		if r.URL.Scheme == "https" {
			name, value = "HTTPS_PROXY", secure
		}
		if value == "" || direct.match(r.URL) {
			return nil, nil
		}
		if !strings.Contains(value, "://") { // a bare "host:port"
			value = "http://" + value
		}
		u, err := url.Parse(value)
		if err != nil || u.Host == "" {
			return nil, &setupError{"The value of " + name + " is not a valid proxy URL", nil}
		}
		return u, nil
	}
}

// directHosts is a NO_PROXY list, in the forms that Go and curl know: a host
// (its subdomains too), with a port, an address, a range, or "*".
type directHosts string

func (d directHosts) match(u *url.URL) bool {
	host, port := strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ip, err := netip.ParseAddr(host)
	isIP := err == nil
	if host == "localhost" || (isIP && ip.Unmap().IsLoopback()) {
		return true
	}
	for _, entry := range strings.Split(string(d), ",") {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if entry == "*" {
			return true
		}
		if entry == "" {
			continue
		}
		if prefix, err := netip.ParsePrefix(entry); err == nil {
			if isIP && prefix.Contains(ip.Unmap()) {
				return true
			}
			continue
		}
		if h, p, err := net.SplitHostPort(entry); err == nil {
			if p != port {
				continue
			}
			entry = h
		}
		entry = strings.Trim(entry, "[]")
		if listed, err := netip.ParseAddr(entry); err == nil {
			if isIP && listed.Unmap() == ip.Unmap() {
				return true
			}
			continue
		}
		entry = strings.TrimPrefix(strings.TrimPrefix(entry, "*"), ".")
		if host == entry || strings.HasSuffix(host, "."+entry) {
			return true
		}
	}
	return false
}

// isCertificate is whether a connection failed over trust.
func isCertificate(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(x509.UnknownAuthorityError)) ||
		errors.As(err, new(x509.HostnameError)) || errors.As(err, new(x509.CertificateInvalidError))
}
