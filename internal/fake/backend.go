package fake

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Request is one request that a [Backend] got.
type Request struct {
	Time     time.Time
	Method   string
	Path     string
	Query    string
	Header   http.Header
	Encoding string // content-encoding of the body; Body is decoded
	Body     []byte
	Status   int  // what was answered
	Scripted bool // whether a reply of the script served it
}

// Bearer returns the token of the authorization header, "" where there is none.
func (r *Request) Bearer() string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return token
}

// JSON returns the request as a value for matching: method, path, query,
// headers (names in small letters), bearer, encoding and body.
func (r *Request) JSON() any {
	headers := map[string]any{}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	o := map[string]any{
		"method": r.Method, "path": r.Path, "query": r.Query, "headers": headers,
		"body": mustDecodeOr(r.Body, string(r.Body)),
	}
	if token := r.Bearer(); token != "" {
		o["bearer"] = token
	}
	if r.Encoding != "" {
		o["encoding"] = r.Encoding
	}
	return o
}

// Backend is a scripted Responses API. Each request takes the first unused
// reply whose conditions hold. Without one, a turn's request gets status 500
// and any other 404. It is safe for concurrent use.
type Backend struct {
	// Provider answers what no reply of the script does, where it is one of its
	// requests; nil for none. It is set before the backend listens.
	Provider *Provider

	closed   chan struct{}  // ends held requests
	handlers sync.WaitGroup // requests being served

	mu       sync.Mutex
	replies  []*Reply               // guarded by mu; used ones are nil
	requests []*Request             // guarded by mu
	gates    map[string]*gate       // guarded by mu
	arrived  map[chan struct{}]bool // guarded by mu; woken at each request
	isClosed bool                   // guarded by mu
}

// gate is opened once and then stays open.
type gate struct {
	open chan struct{}
	done bool
}

// NewBackend returns a backend with the replies given. Inside a synctest
// bubble it must be made in the bubble.
func NewBackend(replies ...Reply) *Backend {
	b := &Backend{closed: make(chan struct{}), gates: map[string]*gate{}, arrived: map[chan struct{}]bool{}}
	b.Add(replies...)
	return b
}

// Add appends replies.
func (b *Backend) Add(replies ...Reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range replies {
		b.replies = append(b.replies, &replies[i])
	}
}

// Open opens a gate; replies that hold at it go on. Opening twice is harmless.
func (b *Backend) Open(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.gate(name); !g.done {
		g.done = true
		close(g.open)
	}
}

// gate returns the gate of that name. The caller holds mu.
func (b *Backend) gate(name string) *gate {
	if b.gates[name] == nil {
		b.gates[name] = &gate{open: make(chan struct{})}
	}
	return b.gates[name]
}

// Requests returns the requests so far, oldest first.
func (b *Backend) Requests() []Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Request, len(b.requests))
	for i, r := range b.requests {
		out[i] = *r
	}
	return out
}

// WaitRequests waits until at least n requests have come and returns them all.
func (b *Backend) WaitRequests(ctx context.Context, n int) ([]Request, error) {
	wake := make(chan struct{}, 1)
	b.mu.Lock()
	b.arrived[wake] = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.arrived, wake)
		b.mu.Unlock()
	}()
	for {
		if got := b.Requests(); len(got) >= n {
			return got, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, fmt.Errorf("fake: request %d at the backend: %w", n, context.Cause(ctx))
		}
	}
}

// ServeHTTP implements http.Handler.
func (b *Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !b.enter() {
		panic(http.ErrAbortHandler)
	}
	defer b.handlers.Done()
	request := &Request{Time: time.Now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery,
		Header: r.Header.Clone(), Encoding: r.Header.Get("Content-Encoding")}
	body, err := readBody(r.Body, request.Encoding)
	if err != nil {
		http.Error(w, "fake: body: "+err.Error(), http.StatusBadRequest)
		return
	}
	request.Body = body
	reply := b.take(request)
	err = b.write(w, r, reply)
	if err != nil {
		panic(http.ErrAbortHandler) // breaks the connection without a trace in the log
	}
}

// enter counts a handler in, unless the backend is closed.
func (b *Backend) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isClosed {
		return false
	}
	b.handlers.Add(1)
	return true
}

// take notes the request and finds its reply.
func (b *Backend) take(r *Request) *Reply {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := b.find(r)
	if found == nil && b.Provider != nil {
		found = b.Provider.reply(r)
	}
	r.Scripted = found != nil
	if found == nil {
		missing := Status(http.StatusNotFound, `{"detail":"not found"}`)
		if isTurn(r) {
			missing = Status(http.StatusInternalServerError, `{"error":{"message":"the script has no reply left"}}`)
		}
		found = &missing
	}
	r.Status = found.Status
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	b.requests = append(b.requests, r)
	for wake := range b.arrived {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	return found
}

// find returns the reply for r and uses it up. The caller holds mu.
func (b *Backend) find(r *Request) *Reply {
	for i, reply := range b.replies {
		if reply == nil || !reply.When.holds(r) {
			continue
		}
		if !reply.Always {
			b.replies[i] = nil
		}
		return reply
	}
	return nil
}

// isTurn reports whether r asks the model.
func isTurn(r *Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/responses")
}

func (w *When) holds(r *Request) bool {
	if w.Path == "" && !isTurn(r) || !strings.HasSuffix(r.Path, w.Path) {
		return false
	}
	if w.Method != "" && w.Method != r.Method {
		return false
	}
	if w.Bearer != "" && w.Bearer != r.Bearer() {
		return false
	}
	for name, value := range w.Header {
		if r.Header.Get(name) != value {
			return false
		}
	}
	return strings.Contains(string(r.Body), w.Body)
}

func readBody(body io.Reader, encoding string) ([]byte, error) {
	switch encoding {
	case "gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		body = z
	case "zstd":
		z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		defer z.Close()
		body = z
	}
	return io.ReadAll(body)
}

// flusher is a writer that can hold bytes back.
type flusher interface {
	io.Writer
	Flush() error
}

type plain struct{ io.Writer }

func (plain) Flush() error { return nil }

// encoder wraps w in the content encoding of that name. Its close writes the
// end of the encoded stream.
func encoder(w io.Writer, encoding string) (out flusher, end func() error, err error) {
	switch encoding {
	case "gzip":
		z := gzip.NewWriter(w)
		return z, z.Close, nil
	case "zstd":
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return z, z.Close, nil
	case "":
		return plain{w}, func() error { return nil }, nil
	}
	return nil, nil, fmt.Errorf("unknown encoding %q", encoding)
}

// errCut tells that the connection is to be broken.
var errCut = fmt.Errorf("fake: cut")

// write plays a reply. An error means: break the connection.
func (b *Backend) write(w http.ResponseWriter, r *http.Request, reply *Reply) error {
	for name, values := range reply.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	if reply.Encoding != "" {
		w.Header().Set("Content-Encoding", reply.Encoding)
	}
	out, end, err := encoder(w, reply.Encoding)
	if err != nil {
		return err
	}
	begun := false
	begin := func() {
		if !begun {
			begun = true
			if reply.Status != 0 {
				w.WriteHeader(reply.Status)
			}
		}
	}
	control := http.NewResponseController(w)
	for _, s := range reply.Steps {
		switch s.kind {
		case stepWrite:
			begin()
			if _, err := io.WriteString(out, s.text); err != nil {
				return err
			}
			if err := out.Flush(); err != nil {
				return err
			}
			err = control.Flush()
		case stepFlush:
			begin()
			err = control.Flush()
		case stepPause:
			err = b.pause(r.Context(), s.wait)
		case stepHold:
			b.mu.Lock()
			open := b.gate(s.text).open
			b.mu.Unlock()
			err = b.hold(r.Context(), open)
		case stepKeep:
			err = b.hold(r.Context(), nil)
		case stepCut:
			err = errCut
		}
		if err != nil {
			return err
		}
	}
	begin()
	return end()
}

func (b *Backend) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.closed:
		return errCut
	}
}

func (b *Backend) hold(ctx context.Context, open <-chan struct{}) error {
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.closed:
		return errCut
	}
}

// Close ends held requests and waits until none is served. Closing twice is
// harmless.
func (b *Backend) Close() {
	b.mu.Lock()
	if !b.isClosed {
		b.isClosed = true
		close(b.closed)
	}
	b.mu.Unlock()
	b.handlers.Wait()
}

// Endpoint is a place where a [Backend] listens.
type Endpoint struct {
	// URL is the root, without a slash at the end.
	URL string
	// Transport reaches it. It serves that one host and refuses every other.
	Transport *http.Transport
	// Listen opens a port where Transport gets to; nil means net.Listen.
	Listen func(network, address string) (net.Listener, error)

	server *http.Server
	served chan struct{}
}

// ListenLoopback serves b on a free port of 127.0.0.1.
func (b *Backend) ListenLoopback() (*Endpoint, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("fake: listen: %w", err)
	}
	return b.serve(l, "http://"+l.Addr().String(), &http.Transport{}), nil
}

// ListenMemory serves b without any socket, so that it works inside a synctest
// bubble. Only requests through the endpoint's Transport get there; ports that
// the server opens through the endpoint's Listen are reached by it, too.
func (b *Backend) ListenMemory() *Endpoint {
	l, ports := newMemoryListener(memoryHost), &memoryPorts{}
	t := &http.Transport{DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		host, port, _ := net.SplitHostPort(addr)
		if host == memoryHost {
			return l.dial(ctx)
		}
		return ports.dial(ctx, host, port)
	}}
	e := b.serve(l, "http://"+memoryHost, t)
	e.Listen = ports.listen
	return e
}

func (b *Backend) serve(l net.Listener, url string, t *http.Transport) *Endpoint {
	e := &Endpoint{URL: url, Transport: t, served: make(chan struct{}),
		server: &http.Server{Handler: b, ErrorLog: log.New(io.Discard, "", 0)}}
	go func() { // ends when Close closes the server
		defer close(e.served)
		_ = e.server.Serve(l)
	}()
	return e
}

// Close stops listening and breaks open connections.
func (e *Endpoint) Close() {
	_ = e.server.Close()
	e.Transport.CloseIdleConnections()
	<-e.served
}
