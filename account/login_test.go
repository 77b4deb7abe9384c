package account

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gofrs/flock"

	"app-server/internal/oauth"
	"app-server/protocol"
)

// loginBed gives tokens to every code and a device code to whoever asks.
func loginBed(t *testing.T) *bed {
	t.Helper()
	from := &provider{answer: func(path, _ string) (int, string) {
		switch path {
		case tokenPath:
			return 200, tokenSet("access-new", "refresh-new")
		case "/api/accounts/deviceauth/usercode":
			return 200, `{"device_auth_id":"d","user_code":"U","interval":"1"}`
		case "/api/accounts/deviceauth/token":
			return 200, `{"authorization_code":"c","code_verifier":"v"}`
		}
		return 200, "{}"
	}}
	par := newParent()
	home := t.TempDir()
	m := NewManager(Options{Home: home, Ask: par, Notify: par, Provider: oauth.New(oauth.Options{Transport: from,
		Listen: func(network, _ string) (net.Listener, error) { return net.Listen(network, "127.0.0.1:0") }})})
	t.Cleanup(m.Close)
	return &bed{Manager: m, t: t, parent: par, provider: from, home: home}
}

// begin starts a managed login and runs what follows.
func (b *bed) begin(kind protocol.LoginType) (protocol.LoginAccountResponse, error) {
	r, after, rest, err := b.Login(b.t.Context(), &protocol.LoginAccountParams{Type: kind})
	if rest != nil {
		r, after, err = rest(b.t.Context())
	}
	if err == nil {
		after()
	}
	return r, err
}

// comeBack is a browser that comes back from authURL, and returns the status.
func comeBack(t *testing.T, authURL string) int {
	t.Helper()
	u, err := url.Parse(authURL)
	if err != nil {
		t.Error(err)
		return 0
	}
	back := u.Query().Get("redirect_uri") + "?code=c&state=" + url.QueryEscape(u.Query().Get("state"))
	r, err := http.Get(back)
	if err != nil {
		return 0 // closed meanwhile
	}
	defer r.Body.Close()
	return r.StatusCode
}

// stillOpen reports whether the login of authURL is still served. Another program
// that has got the port meanwhile would not know the state.
func stillOpen(t *testing.T, authURL string) bool {
	t.Helper()
	code := comeBack(t, authURL)
	return code == http.StatusOK || code == http.StatusConflict
}

// ends counts how often each login was told to have ended.
func ends(t *testing.T, told []string) map[string]int {
	t.Helper()
	n := map[string]int{}
	for _, line := range told {
		text, ok := strings.CutPrefix(line, protocol.MethodAccountLoginCompleted+" ")
		if !ok {
			continue
		}
		var p protocol.AccountLoginCompletedNotification
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		if p.LoginID != nil {
			n[*p.LoginID]++
		}
		if p.Success == (p.Error != nil) {
			t.Errorf("success and error disagree: %s", line)
		}
	}
	return n
}

// slowParent reads a notification only when it is let go on.
type slowParent struct {
	*parent
	reads, goOn chan struct{}
}

func (p *slowParent) Notify(ctx context.Context, method string, params any) error {
	p.reads <- struct{}{}
	<-p.goOn
	return p.parent.Notify(ctx, method, params)
}

// TestLogoutDuringNews: a login comes to its end and is not told yet when the account
// is logged out. Both are told in the order in which they happened.
func TestLogoutDuringNews(t *testing.T) {
	b := loginBed(t)
	p := &slowParent{b.parent, make(chan struct{}, 3), make(chan struct{})}
	b.notify = p
	if _, err := b.begin(protocol.LoginChatGPTDeviceCode); err != nil {
		t.Fatal(err)
	}
	<-p.reads // the login is in force
	_, after, err := b.Logout(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{})
	go func() { after(); close(told) }()
	for { // until the logout is among the news, or told too early
		b.mu.Lock()
		n := len(b.unsent)
		b.mu.Unlock()
		if n > 0 || len(p.reads) > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	close(p.goOn)
	<-told
	got := b.parent.notifications()
	for i, want := range []string{protocol.MethodAccountLoginCompleted, protocol.MethodAccountUpdated + ` {"authMode":"chatgpt"`, protocol.MethodAccountUpdated + ` {"authMode":null`} {
		if len(got) != 3 || !strings.HasPrefix(got[i], want) {
			t.Fatalf("told %q", got)
		}
	}
}

// Whatever happens to managed logins at the same time, each one that the parent
// knows of is told to have ended once, and no port is left open.
func TestManagedLoginsEndOnce(t *testing.T) {
	b := loginBed(t)
	var mu sync.Mutex
	var started []protocol.LoginAccountResponse
	var all sync.WaitGroup
	for i := range 40 {
		kind := protocol.LoginChatGPT
		if i%3 == 0 {
			kind = protocol.LoginChatGPTDeviceCode
		}
		all.Go(func() {
			r, err := b.begin(kind)
			if err != nil {
				return // ended while it was starting
			}
			mu.Lock()
			started = append(started, r)
			mu.Unlock()
			switch {
			case i%4 == 1 && r.AuthURL != "":
				comeBack(t, r.AuthURL)
			case i%4 == 2:
				if _, after, err := b.CancelLogin(t.Context(), &protocol.CancelLoginAccountParams{LoginID: r.LoginID}); err != nil {
					t.Error(err)
				} else if after != nil {
					after()
				}
			case i%4 == 3:
				if _, after, err := b.Logout(t.Context(), nil); err != nil {
					t.Error(err)
				} else {
					after()
				}
			}
		})
	}
	all.Wait()
	b.signOut() // ends the last one
	b.Close()
	got := ends(t, b.parent.notifications())
	if len(started) == 0 {
		t.Fatal("no login started")
	}
	for _, r := range started {
		if got[r.LoginID] != 1 {
			t.Errorf("login of type %s: told %d times", r.Type, got[r.LoginID])
		}
		if r.AuthURL != "" && stillOpen(t, r.AuthURL) {
			t.Error("a port is still open")
		}
		delete(got, r.LoginID)
	}
	if len(got) != 0 {
		t.Errorf("told of logins that never started: %v", got)
	}
}

// Logins that start while the server ends leave no port and no goroutine.
func TestManagedLoginsAndClose(t *testing.T) {
	for range 20 {
		b := loginBed(t)
		var mu sync.Mutex
		var urls []string
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if r, err := b.begin(protocol.LoginChatGPT); err == nil {
					mu.Lock()
					urls = append(urls, r.AuthURL)
					mu.Unlock()
				}
			})
		}
		all.Go(b.Close)
		all.Wait()
		b.Close()
		for _, u := range urls {
			if stillOpen(t, u) {
				t.Fatal("a port is still open")
			}
		}
	}
}

// A managed login whose tokens cannot be stored leaves whoever was signed in.
func TestManagedLoginUnstorable(t *testing.T) {
	b := loginBed(t)
	before := b.signIn(apiKey("sk-before"))
	b.parent.notifications()
	b.Manager.store = unsavable{b.Manager.store}
	r, err := b.begin(protocol.LoginChatGPT)
	if err != nil {
		t.Fatal(err)
	}
	if code := comeBack(t, r.AuthURL); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	b.work.Wait() // for the login's goroutine
	told := b.parent.notifications()
	if len(told) != 1 || !strings.Contains(told[0], "could not be stored") || b.Snapshot() != before {
		t.Errorf("told %q, snapshot %+v", told, b.Snapshot())
	}
}

type unsavable struct{ store }

func (unsavable) Save(context.Context, *oauth.Auth, func() bool) error {
	return fmt.Errorf("disk full")
}

// A closed Manager starts no login and leaves no port.
func TestManagedLoginAfterClose(t *testing.T) {
	b := loginBed(t)
	r, err := b.begin(protocol.LoginChatGPT)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if stillOpen(t, r.AuthURL) {
		t.Error("the port is still open")
	}
	for _, kind := range []protocol.LoginType{protocol.LoginChatGPT, protocol.LoginChatGPTDeviceCode} {
		_, err := b.begin(kind)
		wantError(t, err, protocol.CodeInternal, protocol.ReasonShuttingDown)
	}
}

// What a login brings must be usable, and allowed.
func TestManagedSnapshotRefuses(t *testing.T) {
	good := oauth.Tokens{ID: protocol.NewSecret(ada("1").jwt()), Access: protocol.NewSecret("access"), Refresh: protocol.NewSecret("refresh")}
	auth, err := managedAuth(good)
	if err != nil {
		t.Fatal(err)
	}
	s, err := managedSnapshot(auth, &Policy{})
	if err != nil || s.AccountID != "org-a" || s.Email != "ada@example.com" || !s.managed() {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := managedSnapshot(auth, &Policy{Workspaces: []string{"org-b"}}); err == nil {
		t.Error("another workspace is taken")
	}
	if _, err := managedSnapshot(auth, &Policy{WorkspacesErr: fmt.Errorf("odd")}); err == nil {
		t.Error("an unreadable restriction is lifted")
	}
	bad := good
	bad.Access = protocol.NewSecret("two\nlines")
	if auth, err = managedAuth(bad); err == nil {
		_, err = managedSnapshot(auth, &Policy{})
	}
	if err == nil {
		t.Error("a token that cannot stand in a header is taken")
	}
	odd := good
	odd.ID = protocol.NewSecret("no.jwt.here")
	if _, err := managedAuth(odd); err == nil || strings.Contains(err.Error(), "no.jwt") {
		t.Errorf("error %v", err)
	}
}

// The end does not wait for another program that holds the store while a login
// wants to keep its tokens there.
func TestCloseWhileStoring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := loginBed(t)
		lock := flock.New(filepath.Join(b.home, "auth.lock"))
		if err := lock.Lock(); err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		if _, err := b.begin(protocol.LoginChatGPTDeviceCode); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // the code has been asked for by now
		start := time.Now()
		b.Close()
		if took := time.Since(start); took > closeGrace {
			t.Errorf("Close took %v", took)
		}
		if b.Snapshot() != nil || readAuth(t, b.home) != "" {
			t.Error("signed in")
		}
	})
}

// heldStore is one that another program holds: who changes it waits for it until
// its context ends.
type heldStore struct {
	store
	waits chan struct{} // gets a value when somebody waits
}

func (s heldStore) Save(ctx context.Context, _ *oauth.Auth, _ func() bool) error { return s.hold(ctx) }

func (s heldStore) Remove(ctx context.Context) (*oauth.Auth, error) { return nil, s.hold(ctx) }

func (s heldStore) hold(ctx context.Context) error {
	s.waits <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

// Who needs nothing of the store does not wait for somebody who does.
func TestNobodyWaitsForTheStore(t *testing.T) {
	b := managedBed(t, Policy{})
	silent := make(chan struct{})
	defer close(silent)
	b.provider.answer = func(string, string) (int, string) { <-silent; return 500, "{}" }
	held := heldStore{b.Manager.store, make(chan struct{})}
	b.Manager.store = held
	ctx, giveUp := context.WithCancel(t.Context())
	w := make(chan error, 1)
	go func() {
		_, _, err := b.Logout(ctx, nil)
		w <- err
	}()
	<-held.waits

	first := b.Snapshot()
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := b.Refresh(gone, first.Generation); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted refresh: %v", err)
	}
	if r, _, _, err := b.AuthStatus(t.Context(), &protocol.GetAuthStatusParams{IncludeToken: new(true)}); err != nil || r.AuthToken == nil {
		t.Errorf("status %+v, %v", r, err)
	}
	if _, _, rest, err := b.Read(t.Context(), &protocol.GetAccountParams{RefreshToken: true}); err != nil || rest == nil {
		t.Errorf("read: %v", err)
	}
	r, _, err := b.CancelLogin(t.Context(), &protocol.CancelLoginAccountParams{LoginID: "00000000-0000-4000-8000-000000000000"})
	if err != nil || r.Status != protocol.CancelLoginNotFound {
		t.Errorf("cancel %+v, %v", r, err)
	}
	giveUp()
	wantError(t, <-w, protocol.CodeInternal, protocol.ReasonStorage)
	if b.Snapshot() != first {
		t.Error("a logout that failed changed who is signed in")
	}
}

// A login that waits for the store can be given up, also by another login.
func TestLoginGivenUpWhileStoring(t *testing.T) {
	for name, give := range map[string]func(b *bed, id string){
		"cancel": func(b *bed, id string) {
			r, then, err := b.CancelLogin(b.t.Context(), &protocol.CancelLoginAccountParams{LoginID: id})
			if err != nil || r.Status != protocol.CancelLoginCanceled {
				b.t.Fatalf("%+v, %v", r, err)
			}
			then()
		},
		"external login": func(b *bed, _ string) { b.signInAda() },
	} {
		t.Run(name, func(t *testing.T) {
			b := loginBed(t)
			held := heldStore{b.Manager.store, make(chan struct{})}
			b.Manager.store = held
			r, err := b.begin(protocol.LoginChatGPT)
			if err != nil {
				t.Fatal(err)
			}
			page := make(chan int, 1)
			go func() { page <- comeBack(t, r.AuthURL) }()
			<-held.waits
			b.parent.notifications()
			give(b, r.LoginID)
			<-page
			b.work.Wait()
			if n := ends(t, b.parent.notifications())[r.LoginID]; n != 1 {
				t.Errorf("told %d times", n)
			}
			if s := b.Snapshot(); s != nil && s.managed() {
				t.Errorf("signed in: %+v", s)
			}
		})
	}
}

// stuckStore is one that takes its time for what it stores.
type stuckStore struct {
	store
	waits, goOn chan struct{}
}

func (s stuckStore) Save(ctx context.Context, a *oauth.Auth, wanted func() bool) error {
	return s.store.Save(ctx, a, func() bool {
		ok := wanted()
		s.stop()
		return ok
	})
}

func (s stuckStore) Replace(ctx context.Context, used protocol.Secret, a *oauth.Auth) error {
	s.stop()
	return s.store.Replace(ctx, used, a)
}

func (s stuckStore) stop() {
	s.waits <- struct{}{}
	<-s.goOn
}

func stick(b *bed) stuckStore {
	s := stuckStore{b.Manager.store, make(chan struct{}), make(chan struct{})}
	b.Manager.store = s
	return s
}

// External tokens come and go while a refresh of the sign-in before them is being
// stored, which is for later.
func TestExternalWhileARefreshIsStored(t *testing.T) {
	b := managedBed(t, Policy{})
	stuck := stick(b)
	w := b.wait(t.Context(), b.Snapshot().Generation)
	<-stuck.waits
	s := b.signInAda()
	if got := <-w; got.err != nil || got.s != s {
		t.Errorf("who waited got %+v, %v", got.s, got.err)
	}
	b.signOut()
	close(stuck.goOn)
	b.work.Wait()
	if b.Snapshot() != nil || b.storedRefresh() != "refresh-1" {
		t.Errorf("signed in: %+v, stored %q", b.Snapshot(), b.storedRefresh())
	}
	if asked := strings.Join(b.provider.questions(), " "); strings.Contains(asked, "revoke") {
		t.Errorf("revoked: %s", asked)
	}
}

// External tokens that come while those of a managed login are being stored stay in
// force: who is signed in is the last thing that is told.
func TestExternalWhileALoginIsStored(t *testing.T) {
	for name, after := range map[string]func(*bed){"in force": func(*bed) {}, "signed out again": (*bed).signOut} {
		t.Run(name, func(t *testing.T) {
			b := loginBed(t)
			stuck := stick(b)
			r, err := b.begin(protocol.LoginChatGPTDeviceCode)
			if err != nil {
				t.Fatal(err)
			}
			<-stuck.waits
			b.signInAda()
			after(b)
			want := b.Snapshot()
			b.parent.notifications()
			close(stuck.goOn)
			b.work.Wait()
			told := b.parent.notifications()
			if len(told) != 1 || ends(t, told)[r.LoginID] != 1 || !strings.Contains(told[0], `"success":true`) {
				t.Errorf("told %q", told)
			}
			if b.Snapshot() != want || b.storedRefresh() != "refresh-new" {
				t.Errorf("signed in: %+v, stored %q", b.Snapshot(), b.storedRefresh())
			}
		})
	}
}
