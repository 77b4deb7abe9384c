package account

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gofrs/flock"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"app-server/internal/oauth"
	"app-server/protocol"
)

const tokenPath = "/oauth/token"

// storedManaged is an auth.json of ada with the refresh token given.
func storedManaged(access, refresh string) string {
	return fmt.Sprintf(`{"auth_mode":"chatgpt","OPENAI_API_KEY":null,"tokens":{"id_token":%q,"access_token":%q,"refresh_token":%q,"account_id":"org-a"},"last_refresh":"2999-01-01T00:00:00Z"}`,
		ada("1").jwt(), access, refresh)
}

// tokenSet is an answer of the token endpoint.
func tokenSet(access, refresh string) string {
	return fmt.Sprintf(`{"id_token":%q,"access_token":%q,"refresh_token":%q}`, ada(access).jwt(), access, refresh)
}

// storedRefresh is the refresh token in auth.json.
func (b *bed) storedRefresh() string {
	b.t.Helper()
	var f struct {
		Tokens struct {
			Refresh string `json:"refresh_token"`
		} `json:"tokens"`
	}
	if raw := readAuth(b.t, b.home); raw != "" {
		if err := json.Unmarshal([]byte(raw), &f); err != nil {
			b.t.Fatalf("auth.json: %v", err)
		}
	}
	return f.Tokens.Refresh
}

// managedBed is signed in as ada with access-0 and refresh-0. Each refresh
// answers access-N and refresh-N.
func managedBed(t *testing.T, p Policy) *bed {
	t.Helper()
	home := t.TempDir()
	writeAuth(t, home, storedManaged("access-0", "refresh-0"))
	from := &provider{}
	n := 0
	from.answer = func(path, _ string) (int, string) {
		if path != tokenPath {
			return 200, "{}"
		}
		from.mu.Lock()
		defer from.mu.Unlock()
		n++
		return 200, tokenSet(fmt.Sprint("access-", n), fmt.Sprint("refresh-", n))
	}
	return newProvidedBed(t, home, p, nil, from)
}

func TestManagedRefresh(t *testing.T) {
	b := managedBed(t, Policy{})
	first := b.Snapshot()
	if !first.Recoverable() || !first.ChatGPT() || first.Mode != protocol.AuthModeChatGPT {
		t.Fatalf("snapshot %+v", first)
	}
	s, err := b.Refresh(t.Context(), first.Generation)
	if err != nil || s.Token.Reveal() != "access-1" || s.Found || s.Email != "ada@example.com" {
		t.Fatalf("%+v, %v", s, err)
	}
	if got := b.storedRefresh(); got != "refresh-1" {
		t.Errorf("stored %q", got)
	}
	// The old generation gets the new token without a question.
	again, err := b.Refresh(t.Context(), first.Generation)
	if err != nil || again != s || len(b.provider.questions()) != 1 {
		t.Errorf("%+v, %v, asked %d times", again, err, len(b.provider.questions()))
	}
	if told := b.parent.notifications(); len(told) != 0 || len(b.parent.asks()) != 0 {
		t.Errorf("told %q, asked %d times", told, len(b.parent.asks()))
	}
}

// Tokens that cannot be written are used from memory, and the next refresh uses
// them and not what is still on disk.
func TestManagedUnsaved(t *testing.T) {
	b := managedBed(t, Policy{})
	real := b.Manager.store
	b.Manager.store = brokenStore{real}
	for i := 1; i <= 2; i++ {
		s, err := b.Refresh(t.Context(), b.Snapshot().Generation)
		if err != nil || s.Token.Reveal() != fmt.Sprint("access-", i) {
			t.Fatalf("%+v, %v", s, err)
		}
		if got := b.storedRefresh(); got != "refresh-0" {
			t.Fatalf("stored %q", got)
		}
	}
	b.Manager.store = real
	s, err := b.Refresh(t.Context(), b.Snapshot().Generation)
	if err != nil || s.Token.Reveal() != "access-3" || !s.unsaved.IsEmpty() || b.storedRefresh() != "refresh-3" {
		t.Errorf("%+v, %v, stored %q", s, err, b.storedRefresh())
	}
	for i, q := range b.provider.questions() {
		if want := fmt.Sprintf(`"refresh_token":"refresh-%d"`, i); !strings.Contains(q, want) {
			t.Errorf("question %d: %s, want %s", i, q, want)
		}
	}
}

// Tokens that got into the store after it was given up, as those that a keyring
// takes late, are what the next refresh replaces there.
func TestManagedSavedLate(t *testing.T) {
	b := managedBed(t, Policy{})
	real := b.Manager.store
	b.Manager.store = lateReplace{real}
	s, err := b.Refresh(t.Context(), b.Snapshot().Generation)
	if err != nil || s.unsaved.IsEmpty() || b.storedRefresh() != "refresh-1" {
		t.Fatalf("%+v, %v, stored %q", s, err, b.storedRefresh())
	}
	b.Manager.store = real
	s, err = b.Refresh(t.Context(), s.Generation)
	if err != nil || s.Token.Reveal() != "access-2" || !s.unsaved.IsEmpty() || b.storedRefresh() != "refresh-2" {
		t.Errorf("%+v, %v, stored %q", s, err, b.storedRefresh())
	}
}

// lateReplace is a store that is given up before it has done what it is to do.
type lateReplace struct{ store }

func (s lateReplace) Replace(ctx context.Context, used protocol.Secret, a *oauth.Auth) error {
	return errors.Join(s.store.Replace(ctx, used, a), context.DeadlineExceeded)
}

// brokenStore cannot be written.
type brokenStore struct{ store }

func (brokenStore) Replace(context.Context, protocol.Secret, *oauth.Auth) error {
	return os.ErrPermission
}

func TestManagedDue(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	token := func(exp time.Time) protocol.Secret {
		return protocol.NewSecret(rawJWT(fmt.Sprintf(`{"exp":%d}`, exp.Unix())))
	}
	for _, c := range []struct {
		name   string
		last   time.Time
		access protocol.Secret
		want   bool
	}{
		{"opaque", now, protocol.NewSecret("access"), false},
		{"no time known", time.Time{}, protocol.NewSecret("access"), false},
		{"eight days", now.Add(-freshFor), protocol.NewSecret("access"), false},
		{"more than eight days", now.Add(-freshFor - time.Second), protocol.NewSecret("access"), true},
		{"clock was ahead", now.Add(time.Hour), protocol.NewSecret("access"), false},
		{"ends in an hour", now, token(now.Add(time.Hour)), false},
		{"ends in five minutes", now, token(now.Add(expiryLead)), false},
		{"ends sooner", now, token(now.Add(expiryLead - time.Second)), true},
		{"has ended", now, token(now.Add(-time.Hour)), true},
		{"no number", now, protocol.NewSecret(rawJWT(`{"exp":"soon"}`)), false},
		{"no end", now, protocol.NewSecret(rawJWT(`{"exp":1e300}`)), false},
	} {
		s := &Snapshot{Mode: protocol.AuthModeChatGPT, Token: c.access, ends: expiryOf(c.access.Reveal()), stored: &oauth.Auth{LastRefresh: c.last,
			Tokens: &oauth.StoredTokens{Tokens: oauth.Tokens{Access: c.access, Refresh: protocol.NewSecret("r")}}}}
		if got := s.due(now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		s.stored.Tokens.Refresh = protocol.Secret{}
		if s.due(now) {
			t.Errorf("%s: due without a refresh token", c.name)
		}
	}
}

// Who needs the token waits for a refresh ahead of time, but not for ever.
func TestManagedCurrentDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := managedBed(t, Policy{})
		writeAuth(t, b.home, strings.Replace(storedManaged("access-0", "refresh-0"), "2999", "1999", 1))
		b = newProvidedBed(t, b.home, Policy{}, nil, b.provider)
		stuck := make(chan struct{})
		answer := b.provider.answer
		b.provider.answer = func(path, body string) (int, string) { <-stuck; return answer(path, body) }
		start := time.Now()
		s, err := b.Current(t.Context())
		if err != nil || s.Token.Reveal() != "access-0" || time.Since(start) != aheadTime {
			t.Errorf("%+v, %v after %v", s, err, time.Since(start))
		}
		close(stuck)
		synctest.Wait()
		if s := b.Snapshot(); s.Token.Reveal() != "access-1" || b.storedRefresh() != "refresh-1" {
			t.Errorf("the refresh did not go on: %+v", s)
		}
		b.Close()
	})
}

// What is final is told in the log once.
func TestManagedPermanentIsLoggedOnce(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	home := t.TempDir()
	writeAuth(t, home, storedManaged("access-0", "refresh-0"))
	from := &provider{answer: func(string, string) (int, string) { return 401, `{"error":{"code":"refresh_token_expired"}}` }}
	b := newProvidedBed(t, home, Policy{}, zap.New(core), from)
	for range 3 {
		_, err := b.Refresh(t.Context(), b.Snapshot().Generation)
		wantReason(t, err, oauth.ReasonExpired)
	}
	if len(from.questions()) != 1 || logs.Len() != 1 {
		t.Errorf("asked %d times, logged %v", len(from.questions()), logs.All())
	}
	// A logout forgets it.
	b.signOut()
	if b.dead.fault != nil {
		t.Error("still remembered after logout")
	}
}

// A server that ends waits a moment for a request that uses a refresh token up,
// and no longer.
func TestManagedClose(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
		want  string
		spent time.Duration
	}{
		{"in time", closeGrace / 2, "refresh-1", closeGrace / 2},
		{"too late", time.Hour, "refresh-0", closeGrace},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := managedBed(t, Policy{})
				answer := b.provider.answer
				b.provider.answer = func(path, body string) (int, string) { time.Sleep(c.takes); return answer(path, body) }
				w := b.wait(t.Context(), b.Snapshot().Generation)
				synctest.Wait()
				start := time.Now()
				b.Close()
				if spent := time.Since(start); spent != c.spent {
					t.Errorf("closed after %v", spent)
				}
				got := <-w
				wantReason(t, got.err, ReasonClosed)
				if stored := b.storedRefresh(); stored != c.want {
					t.Errorf("stored %q", stored)
				}
				time.Sleep(2 * c.takes) // lets the answer's goroutine end
			})
		})
	}
}

// Two servers on one home, in one process: with a provider whose refresh tokens
// work once nobody is ever left with one that was used.
func TestManagedTwoServers(t *testing.T) {
	for round := range 100 {
		home := t.TempDir()
		writeAuth(t, home, storedManaged("access-0", "refresh-0"))
		var mu sync.Mutex
		used, n, reused := map[string]bool{}, 0, 0
		from := &provider{answer: func(path, body string) (int, string) {
			var q struct {
				Refresh string `json:"refresh_token"`
			}
			if err := json.Unmarshal([]byte(body), &q); err != nil {
				return 400, "{}"
			}
			mu.Lock()
			defer mu.Unlock()
			if used[q.Refresh] {
				reused++
				return 401, `{"error":{"code":"refresh_token_reused"}}`
			}
			used[q.Refresh] = true
			n++
			return 200, tokenSet(fmt.Sprint("access-", n), fmt.Sprint("refresh-", n))
		}}
		var all sync.WaitGroup
		beds := []*bed{newProvidedBed(t, home, Policy{}, nil, from), newProvidedBed(t, home, Policy{}, nil, from)}
		for _, b := range beds {
			for range 3 {
				all.Go(func() {
					if _, err := b.Refresh(t.Context(), b.Snapshot().Generation); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		if last := fmt.Sprint("refresh-", n); reused != 0 || beds[0].storedRefresh() != last {
			t.Fatalf("round %d: %d used twice, stored %q of %q", round, reused, beds[0].storedRefresh(), last)
		}
		for _, b := range beds {
			b.Close()
		}
	}
}

// Login, logout and refresh at the same time: the race detector watches, and in
// the end store and memory agree.
func TestManagedRaces(t *testing.T) {
	b := managedBed(t, Policy{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { _, _ = b.Current(t.Context()) })
		all.Go(func() {
			if s := b.Snapshot(); s != nil {
				_, _ = b.Refresh(t.Context(), s.Generation)
			}
		})
		all.Go(func() {
			if _, after, _ := b.Logout(t.Context(), nil); after != nil {
				after()
			}
		})
		all.Go(func() {
			_, after, _, err := b.Login(t.Context(), apiKey("sk-race"))
			if err == nil {
				after()
			}
		})
	}
	all.Wait()
	b.Close()
	stored, err := b.Manager.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s := b.Snapshot(); (s == nil) != (stored == nil) {
		t.Errorf("memory %+v, store %+v", s, stored)
	}
}

// A refresh token works once, so it is not used where the lock cannot be taken.
func TestManagedBrokenLock(t *testing.T) {
	b := managedBed(t, Policy{})
	if err := os.Mkdir(filepath.Join(b.home, "auth.refresh.lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := b.Refresh(t.Context(), b.Snapshot().Generation)
	wantReason(t, err, protocol.ReasonStorage)
	if asked := b.provider.questions(); len(asked) != 0 {
		t.Errorf("asked %v", asked)
	}
}

// Another program that holds the lock and does not end is no reason to wait for
// ever.
func TestManagedLockHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := managedBed(t, Policy{})
		other := newProvidedBed(t, b.home, Policy{}, nil, b.provider)
		release, err := other.Manager.store.LockRefresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = b.Refresh(t.Context(), b.Snapshot().Generation)
		wantReason(t, err, ReasonTimeout)
		if took := time.Since(start); took < managedTimeout || took > managedTimeout+time.Second {
			t.Errorf("after %v", took)
		}
		release()
		if _, err := b.Refresh(t.Context(), b.Snapshot().Generation); err != nil {
			t.Error(err)
		}
		b.Close()
		other.Close()
	})
}

// A logout that comes between the storing of new tokens and their being put in
// force removes and revokes them, too.
func TestManagedLogoutAtTheLastMoment(t *testing.T) {
	b := managedBed(t, Policy{})
	late := &lateStore{store: b.Manager.store, stored: make(chan struct{}), goOn: make(chan struct{})}
	b.Manager.store = late
	w := b.wait(t.Context(), b.Snapshot().Generation)
	<-late.stored
	b.signOut()
	close(late.goOn)
	wantReason(t, (<-w).err, protocol.ReasonNotSignedIn)
	b.Close()
	if got := readAuth(t, b.home); got != "" {
		t.Errorf("auth.json: %s", got)
	}
	// refresh-0 has been used up.
	if asked := strings.Join(b.provider.questions(), " "); !strings.Contains(asked, `"token":"refresh-1"`) {
		t.Errorf("not revoked: %s", asked)
	}
}

// lateStore says that a refresh has stored its tokens, and lets it go on later.
type lateStore struct {
	store
	stored, goOn chan struct{}
}

func (s *lateStore) LockRefresh(ctx context.Context) (func(), error) {
	release, err := s.store.LockRefresh(ctx)
	return func() {
		release()
		close(s.stored)
		<-s.goOn
	}, err
}

// hungRing is a keyring with one entry that asks its user from some time on.
type hungRing struct {
	oauth.Keyring
	entry string
	hangs atomic.Bool
	ends  chan struct{}
}

func (r *hungRing) Get(string, string) (string, error) {
	if r.hangs.Load() {
		<-r.ends
	}
	return r.entry, nil
}

// The end does not wait for a keyring that asks its user.
func TestCloseWhileTheKeyringHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := &hungRing{entry: storedManaged("access-0", "refresh-0"), ends: make(chan struct{})}
		defer close(ring.ends)
		par := newParent()
		m := NewManager(Options{Home: t.TempDir(), Policy: Policy{Store: "keyring"}, Keyring: ring, Ask: par, Notify: par,
			Provider: oauth.New(oauth.Options{Transport: &provider{}})})
		ring.hangs.Store(true)
		if m.refreshing() == nil {
			t.Fatal("no refresh is under way")
		}
		synctest.Wait()
		start := time.Now()
		m.Close()
		if took := time.Since(start); took > closeGrace {
			t.Errorf("Close took %v", took)
		}
	})
}

// Another program holds the store when the tokens of a refresh are to be kept
// there. Who is interrupted leaves at once; the end of the server waits as long as
// for any refresh, and the tokens are stored all the same: the ones before them
// are used up.
func TestManagedStoreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := managedBed(t, Policy{})
		lock := flock.New(filepath.Join(b.home, "auth.lock"))
		if err := lock.Lock(); err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		turn, interrupt := context.WithCancel(t.Context())
		w := b.wait(turn, b.Snapshot().Generation)
		time.Sleep(time.Second) // the provider has answered by now
		interrupt()
		if got := <-w; !errors.Is(got.err, context.Canceled) {
			t.Errorf("interrupted: %v", got.err)
		}
		start := time.Now()
		b.Close()
		if took := time.Since(start); took > closeGrace {
			t.Errorf("Close took %v", took)
		}
		if got := b.storedRefresh(); got != "refresh-1" {
			t.Errorf("stored %q", got)
		}
	})
}
