package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"
	"golang.org/x/oauth2"

	"app-server/internal/redact"
	"app-server/protocol"
)

// scopes are those that the reference asks for.
var scopes = []string{"openid", "profile", "email", "offline_access", "api.connectors.read", "api.connectors.invoke"}

// callbackPorts are tried in this order: the reference's own, the other one
// that its provider knows, then any that is free.
var callbackPorts = []int{1455, 1457, 0}

const (
	callbackPath = "/auth/callback"
	successPath  = "/success"

	// loginTime is how long a browser login may take, as in the reference.
	loginTime = 10 * time.Minute
	// showTime is how long the port stays open for the browser to fetch the last
	// page once all is done.
	showTime = 5 * time.Second
	// pageTime bounds reading one request and writing one page. The code
	// exchange comes on top of the second.
	pageTime = 5 * time.Second
	// maxHeader is in bytes.
	maxHeader = 32 << 10
	// maxBrowsers is how many connections are served at once.
	maxBrowsers = 32
)

// errClosed is the outcome of a login that was closed before it was waited for.
var errClosed = errors.New("the sign-in was given up")

// BrowserOptions say how to sign in.
type BrowserOptions struct {
	// Workspaces are the only ones that may sign in; nil for any.
	Workspaces []string
	// Accept puts the tokens in force. It runs before the browser is told; its
	// error is shown there and must hold no secret. It is called once at most.
	Accept func(context.Context, Tokens) error
}

// BrowserLogin is one sign-in by browser: a callback server on the loopback that
// serves one person once. Whoever has it calls Wait, or Close.
type BrowserLogin struct {
	// AuthURL is where the person signs in.
	AuthURL string

	client   *Client
	accept   func(context.Context, Tokens) error
	listener net.Listener
	redirect string
	hosts    []string // names under which the callback may be asked for
	state    protocol.Secret
	verifier protocol.Secret

	outcome chan error    // gets one value: how it ended
	shown   chan struct{} // closed when the browser has the last page
	stop    chan struct{} // closed by Close
	once    sync.Once     // guards closing stop

	mu      sync.Mutex
	ctx     context.Context // that of Wait; guarded by mu, as are the next two
	taken   bool            // a callback with the right state came
	success bool
	showed  bool // shown is closed; guarded by mu
}

// StartBrowser opens the port of the way back. The error says that no port could
// be opened.
func (c *Client) StartBrowser(o BrowserOptions) (*BrowserLogin, error) {
	b := &BrowserLogin{client: c, accept: o.Accept, state: protocol.NewSecret(oauth2.GenerateVerifier()), verifier: protocol.NewSecret(oauth2.GenerateVerifier()),
		outcome: make(chan error, 1), shown: make(chan struct{}), stop: make(chan struct{})}
	var err error
	for _, port := range callbackPorts {
		// Never another address than the loopback's: this is no service.
		if b.listener, err = c.listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			break
		}
	}
	if err != nil {
		return nil, &Fault{Reason: ReasonUnavailable, Message: "no port on the loopback can be opened for the browser's way back", Err: err}
	}
	port := portOf(b.listener.Addr())
	b.hosts = []string{"localhost:" + port, "127.0.0.1:" + port}
	b.redirect = "http://localhost:" + port + callbackPath
	options := []oauth2.AuthCodeOption{
		oauth2.S256ChallengeOption(b.verifier.Reveal()),
		oauth2.SetAuthURLParam("id_token_add_organizations", "true"),
		oauth2.SetAuthURLParam("codex_cli_simplified_flow", "true"),
	}
	if who := c.identity(); who.Originator != "" {
		options = append(options, oauth2.SetAuthURLParam("originator", who.Originator))
	}
	if len(o.Workspaces) > 0 {
		options = append(options, oauth2.SetAuthURLParam("allowed_workspace_id", strings.Join(o.Workspaces, ",")))
	}
	b.AuthURL = c.config(b.redirect).AuthCodeURL(b.state.Reveal(), options...)
	return b, nil
}

func portOf(a net.Addr) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

// Wait serves the browser until the sign-in has ended and returns how: nil once
// Accept has taken the tokens, a *Fault or Accept's error, or ctx's error. The
// port is closed when it returns. It is called once.
func (b *BrowserLogin) Wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, loginTime, &Fault{Reason: ReasonTimeout, Message: fmt.Sprintf("nobody signed in within %d minutes", loginTime/time.Minute)})
	defer cancel()
	b.mu.Lock()
	b.ctx = ctx
	b.mu.Unlock()
	server := &http.Server{Handler: b, ReadTimeout: pageTime, WriteTimeout: exchangeTime + 2*pageTime, MaxHeaderBytes: maxHeader, ErrorLog: log.New(io.Discard, "", 0)}
	server.SetKeepAlivesEnabled(false) // one page a connection, and nothing left open at the end
	served := make(chan struct{})
	go func() { // ends when the server is shut down below, or the port breaks
		defer close(served)
		_ = server.Serve(netutil.LimitListener(b.listener, maxBrowsers))
	}()

	var err error
	select {
	case err = <-b.outcome:
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-b.stop:
		err = errClosed
	case <-served:
		err = &Fault{Reason: ReasonUnavailable, Message: "the port of the browser's way back broke"}
	}
	if err == nil {
		show := time.NewTimer(showTime)
		defer show.Stop()
		select {
		case <-b.shown:
		case <-show.C:
		case <-ctx.Done():
		case <-b.stop:
		}
	}
	cancel() // ends an exchange that is still under way
	end, endShutdown := context.WithTimeout(context.Background(), time.Second)
	defer endShutdown()
	if server.Shutdown(end) != nil {
		_ = server.Close()
	}
	<-served
	return err
}

// Close frees the port at once and lets Wait return. Closing twice is harmless.
func (b *BrowserLogin) Close() {
	b.once.Do(func() { close(b.stop) })
	_ = b.listener.Close()
}

// ServeHTTP answers the browser.
func (b *BrowserLogin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	// A page on the net whose name was bent to the loopback says its own name.
	case !slices.Contains(b.hosts, r.Host):
		show(w, http.StatusForbidden, pageText{Title: "Not here", Text: "This address belongs to a sign-in under way and answers to localhost only."})
	case r.URL.Path != callbackPath && r.URL.Path != successPath:
		show(w, http.StatusNotFound, pageText{Title: "Nothing here", Text: "There is no such page."})
	// A browser comes back by GET. Link checkers that ask by HEAD change nothing.
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		show(w, http.StatusMethodNotAllowed, pageText{Title: "Not like this", Text: "This page can only be opened by a browser."})
	case r.URL.Path == successPath:
		b.showSuccess(w)
	default:
		b.callback(w, r)
	}
}

func (b *BrowserLogin) showSuccess(w http.ResponseWriter) {
	b.mu.Lock()
	done := b.success
	b.mu.Unlock()
	if !done {
		show(w, http.StatusNotFound, pageText{Title: "Nothing here", Text: "Nobody has signed in yet."})
		return
	}
	show(w, http.StatusOK, successPage)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.showed {
		b.showed = true
		close(b.shown)
	}
}

// callback is the way back. A wrong state changes nothing: anybody on this
// machine, and any page in the browser, can make such a request.
func (b *BrowserLogin) callback(w http.ResponseWriter, r *http.Request) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(b.state.Reveal())) != 1 {
		b.client.log.Debug("callback refused", zap.String("reason", "state"))
		show(w, http.StatusBadRequest, pageText{Title: "Sign-in not accepted", Text: "This page does not belong to the sign-in under way. Go back to the application and start again."})
		return
	}
	b.mu.Lock()
	again := b.taken
	b.taken = true
	ctx := b.ctx
	b.mu.Unlock()
	if again {
		show(w, http.StatusConflict, pageText{Title: "Sign-in already answered", Text: "This page was opened before. Go back to the application."})
		return
	}
	if err := b.finish(ctx, q); err != nil {
		// The status is that of the reference: the page itself is as it should be.
		show(w, http.StatusOK, failurePage(err))
		b.outcome <- err
		return
	}
	b.mu.Lock()
	b.success = true
	b.mu.Unlock()
	// The redirect takes code and state out of the address bar and the history.
	pageHeaders(w.Header())
	w.Header().Set("Location", "http://"+r.Host+successPath)
	w.WriteHeader(http.StatusFound)
	b.outcome <- nil
}

// finish makes a sign-in of what the provider sent along.
func (b *BrowserLogin) finish(ctx context.Context, q url.Values) error {
	code := protocol.NewSecret(q.Get("code"))
	if word := q.Get("error"); word != "" {
		return denied(word, q.Get("error_description"), redact.New(code, b.state, b.verifier))
	}
	if code.IsEmpty() {
		return &Fault{Reason: ReasonDenied, Message: "the provider sent no authorization code"}
	}
	tokens, err := b.client.exchange(ctx, code, b.verifier, b.redirect)
	if err != nil {
		return err
	}
	return b.accept(ctx, tokens)
}

// denied words an error that the provider sent along.
func denied(word, description string, r redact.Redactor) *Fault {
	word, description = plain(word, r), plain(description, r)
	f := &Fault{Reason: ReasonDenied}
	switch {
	case description == "missing_codex_entitlement":
		f.Message = "this workspace may not use Codex; its administrator can allow it"
	case word == "access_denied" && (description == "" || description == word):
		f.Message = "the sign-in was declined"
	case description != "":
		f.Message = "the sign-in was refused: " + description
	default:
		f.Message = "the sign-in was refused: " + word
	}
	return f
}
