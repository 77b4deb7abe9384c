package backend

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Identity is who asks the backend. It is known once the parent has introduced
// itself.
type Identity struct {
	// Originator is the parent's name, UserAgent the whole header.
	Originator, UserAgent string
	// Residency is where requests must be served, such as "us"; empty for anywhere.
	Residency string
}

// Options are what a [Client] is made of.
type Options struct {
	// Transport sends the requests. Nil is one of [NewTransport], made when the
	// first request needs it, so that starting reads no certificates.
	Transport http.RoundTripper
	// Credentials may be nil where every provider has a key of its own.
	Credentials Credentials
	// Identity is asked for each request; it may be nil.
	Identity func() Identity
	// Getenv reads the environment; nil is an empty one.
	Getenv func(string) string
	Log    *zap.Logger
}

// Client calls the backend. It is immutable and safe for concurrent use; it
// starts no goroutines of its own.
type Client struct {
	transport   http.RoundTripper
	credentials Credentials
	identity    func() Identity
	getenv      func(string) string
	log         *zap.Logger
}

// New makes a Client. It does no I/O.
func New(o Options) *Client {
	c := &Client{transport: o.Transport, credentials: o.Credentials, identity: o.Identity, getenv: o.Getenv, log: o.Log}
	if c.getenv == nil {
		c.getenv = func(string) string { return "" }
	}
	if c.log == nil {
		c.log = zap.NewNop()
	}
	if c.transport == nil {
		c.transport = &lazyTransport{getenv: c.getenv}
	}
	return c
}

// exchange sends a call until it has an answer of 2xx or a failure that is not
// worth a silent repeat.
func (c *Client) exchange(ctx context.Context, k *call) (*answer, *Error) {
	refreshed := false
	for repeat := 1; ; repeat++ {
		a, fail := c.attempt(ctx, k, &refreshed)
		if fail == nil {
			return a, nil
		}
		if !fail.silent || repeat > k.retries || fail.RetryAfter > maxSilentPause {
			return nil, fail
		}
		c.log.Debug("backend request failed, repeating it", zap.String("kind", string(fail.Kind)), zap.Int("status", fail.Status), zap.Int("repeat", repeat))
		if fail := pause(ctx, max(Backoff(repeat), fail.RetryAfter)); fail != nil {
			return nil, fail
		}
	}
}

func (c *Client) attempt(ctx context.Context, k *call, refreshed *bool) (*answer, *Error) {
	a, fail := c.authorized(ctx, k, refreshed)
	if fail != nil {
		return nil, fail
	}
	if !succeeded(a.response) {
		return nil, c.statusError(ctx, k, a, a.credential)
	}
	return a, nil
}

func succeeded(r *http.Response) bool { return r.StatusCode/100 == 2 }

// answer is a response whose body is still to be read. Exactly one of close
// and discard ends it; either may be called twice.
type answer struct {
	response   *http.Response
	credential credential
	// body is watched by the idle clock, and its encoding is undone.
	body io.Reader
	// ctx ends with the caller's, or with the idle clock, or with close.
	ctx    context.Context
	cancel context.CancelCauseFunc
	clock  *idleClock
	bound  *time.Timer // nil for none
	url    string      // without query and password, for messages
}

func (a *answer) close() {
	a.cancel(context.Canceled)
	a.clock.end()
	if a.bound != nil {
		a.bound.Stop()
	}
	a.response.Body.Close()
}

const (
	// maxRest is how much is read past the end of what mattered so that the
	// connection can be used again: the end marks of a body, not a body.
	maxRest = 4 << 10
	// restTime is how long the peer may take over it. A new connection costs
	// about as much.
	restTime = 20 * time.Millisecond
)

// discard ends the answer and keeps the connection where the body is at, or
// very near, its end.
func (a *answer) discard() {
	if a.response.ProtoMajor == 1 { // a closed stream costs HTTP/2 nothing
		timer := time.AfterFunc(restTime, func() { a.cancel(errSlowBody) })
		_, _ = io.CopyN(io.Discard, a.response.Body, maxRest)
		timer.Stop()
	}
	a.close()
}

// send makes one HTTP exchange. The failure of a connection becomes an *Error
// here; a status does not.
func (c *Client) send(ctx context.Context, k *call, cred credential) (*answer, *Error) {
	u, fail := k.target(cred.token)
	if fail != nil {
		return nil, fail
	}
	attempt, cancel := context.WithCancelCause(ctx)
	a := &answer{credential: cred, ctx: attempt, cancel: cancel, clock: newIdleClock(k.patience, cancel), url: showURL(u)}
	if k.wholly > 0 {
		a.bound = time.AfterFunc(k.wholly, func() { cancel(errIdle) })
	}
	a.clock.sending()
	response, err := c.roundTrip(attempt, k, cred, u, a.clock)
	a.clock.sent()
	if err != nil {
		cause := context.Cause(attempt)
		cancel(context.Canceled)
		a.clock.end()
		if a.bound != nil {
			a.bound.Stop()
		}
		return nil, c.connectError(ctx, k, cause, err, a)
	}
	a.response = response
	if a.body, err = decoded(response, &watchedReader{r: response.Body, clock: a.clock}); err != nil {
		if !succeeded(response) { // the status says enough
			a.body = http.NoBody
			return a, nil
		}
		a.close()
		return nil, &Error{Kind: KindOther, Status: response.StatusCode, Message: "The backend's answer cannot be read: " + err.Error(), Err: err}
	}
	return a, nil
}

// roundTrip sends the request, and once more where a kept connection turned out
// to be closed while the request was written to it. net/http repeats by itself
// only what failed before the first byte or at the first byte of the answer.
func (c *Client) roundTrip(ctx context.Context, k *call, cred credential, u *url.URL, clock *idleClock) (*http.Response, error) {
	var kept, torn atomic.Bool // set by the transport's goroutines
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:      func(i httptrace.GotConnInfo) { kept.Store(i.Reused) },
		WroteRequest: func(i httptrace.WroteRequestInfo) { torn.Store(i.Err != nil) },
	})
	response, err := c.transport.RoundTrip(c.httpRequest(traced, k, cred, u, clock))
	if err != nil && kept.Load() && torn.Load() && ctx.Err() == nil {
		response, err = c.transport.RoundTrip(c.httpRequest(ctx, k, cred, u, clock))
	}
	return response, err
}

// httpRequest is the only place that puts a token into a request. No redirect
// is ever followed: RoundTrip does not, and a 3xx becomes an error.
func (c *Client) httpRequest(ctx context.Context, k *call, cred credential, u *url.URL, clock *idleClock) *http.Request {
	header := k.header.Clone()
	// An empty list is not sent; it tells net/http that it may repeat the
	// request when a kept connection turns out to be closed. Nothing is stored
	// by a model request, so that is safe.
	if header.Get("X-Idempotency-Key") == "" {
		header["X-Idempotency-Key"] = []string{}
	}
	user := u.User
	u = &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawQuery: u.RawQuery}
	request := (&http.Request{
		Method: k.method, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	switch {
	case cred.source != noKey:
		header.Set("Authorization", "Bearer "+cred.token.Bearer.Reveal())
		if cred.token.ChatGPT && cred.token.AccountID != "" {
			setHeader(header, "Chatgpt-Account-Id", cred.token.AccountID)
		}
	case user != nil:
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
	}
	if k.body != nil {
		request.ContentLength = int64(len(k.body))
		request.GetBody = func() (io.ReadCloser, error) {
			return &sentBody{r: bytes.NewReader(k.body), clock: clock}, nil
		}
		request.Body, _ = request.GetBody() // cannot fail
	}
	return request
}

// showURL is a URL as errors tell it: no query, no password.
func showURL(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// idleClock cancels an attempt when the peer is silent for too long. It runs
// only while something is awaited: a caller that is slow to take events is not
// the backend's silence.
type idleClock struct {
	limit time.Duration

	mu sync.Mutex
	// timer runs while the clock is armed.
	timer *time.Timer
	// uploading is true until the headers are in: bytes that go out count as
	// signs of life until then, and no longer.
	uploading bool
}

func newIdleClock(limit time.Duration, cancel context.CancelCauseFunc) *idleClock {
	c := &idleClock{limit: limit}
	c.timer = time.AfterFunc(limit, func() { cancel(errIdle) })
	c.timer.Stop()
	return c
}

func (c *idleClock) sending() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uploading = true
	c.timer.Reset(c.limit)
}

func (c *idleClock) uploaded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.uploading {
		c.timer.Reset(c.limit)
	}
}

func (c *idleClock) sent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uploading = false
	c.timer.Stop()
}

func (c *idleClock) end() { c.sent() }

// sentBody tells the clock of each piece that goes out. The reader is not
// embedded: its WriteTo would hand over all in one piece and leave the clock
// blind to a slow upload.
type sentBody struct {
	r     *bytes.Reader
	clock *idleClock
}

func (b *sentBody) Read(p []byte) (int, error) {
	b.clock.uploaded()
	return b.r.Read(p)
}

func (b *sentBody) Close() error { return nil }

// watchedReader runs the clock during each read, whatever the bytes are.
type watchedReader struct {
	r     io.Reader
	clock *idleClock
}

func (w *watchedReader) Read(p []byte) (int, error) {
	w.clock.timer.Reset(w.clock.limit)
	n, err := w.r.Read(p)
	w.clock.timer.Stop()
	return n, err
}
