package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

// outcome is what one waiter got.
type outcome struct {
	s   *Snapshot
	err error
}

// wait starts a waiter for the generation.
func (b *bed) wait(ctx context.Context, used uint64) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		s, err := b.Refresh(ctx, used)
		out <- outcome{s, err}
	}()
	return out
}

// say lets the parent answer the open refresh.
func (b *bed) say(t protocol.ExternalTokens) { b.parent.reply <- reply{result: answer(t)} }

// newTokens are ada's after a refresh.
func newTokens() protocol.ExternalTokens { return idShape(ada("2").jwt(), "access-two") }

func wantAsks(t *testing.T, b *bed, n int) {
	t.Helper()
	if got := len(b.parent.asks()); got != n {
		t.Errorf("the parent was asked %d times, want %d", got, n)
	}
}

// inBubble runs f with fake time over a Manager that ada signed in to, and
// closes the Manager inside, since goroutines must end within the bubble.
func inBubble(t *testing.T, p Policy, f func(t *testing.T, b *bed, first *Snapshot)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "", p)
		first := b.signInAda()
		b.parent.notifications()
		f(t, b, first)
		b.Close()
	})
}

func TestRefresh(t *testing.T) {
	inBubble(t, Policy{}, func(t *testing.T, b *bed, first *Snapshot) {
		w := b.wait(t.Context(), first.Generation)
		b.say(newTokens())
		got := <-w
		if got.err != nil || got.s.Token.Reveal() != "access-two" || got.s.Generation == first.Generation {
			t.Fatalf("got %+v, %v", got.s, got.err)
		}
		if b.Snapshot() != got.s {
			t.Error("another snapshot is in force")
		}
		want := []protocol.ChatgptAuthTokensRefreshParams{{Reason: "unauthorized", PreviousAccountID: new("org-a")}}
		if d := cmp.Diff(want, b.parent.asks()); d != "" {
			t.Error(d)
		}
		if told := b.parent.notifications(); len(told) != 0 {
			t.Errorf("a refresh is silent, but sent %q", told)
		}
		// The old token is known to be replaced; the new one is refreshed anew.
		if s, err := b.Refresh(t.Context(), first.Generation); s != got.s || err != nil {
			t.Errorf("stale generation: %+v, %v", s, err)
		}
		wantAsks(t, b, 1)
		w = b.wait(t.Context(), got.s.Generation)
		b.say(idShape(ada("3").jwt(), "access-three"))
		if got := <-w; got.err != nil || got.s.Token.Reveal() != "access-three" {
			t.Errorf("second refresh: %+v, %v", got.s, got.err)
		}
	})
}

func TestRefreshTakesBothShapes(t *testing.T) {
	inBubble(t, Policy{}, func(t *testing.T, b *bed, first *Snapshot) {
		w := b.wait(t.Context(), first.Generation)
		b.say(tokens("-", identity{plan: "team", account: "org-b"}.jwt(), "org-b", "-"))
		got := <-w
		if got.err != nil || got.s.AccountID != "org-b" || got.s.Plan != "team" || got.s.Email != "" {
			t.Fatalf("got %+v, %v", got.s, got.err)
		}
		w = b.wait(t.Context(), got.s.Generation)
		b.say(newTokens())
		if got := <-w; got.err != nil || got.s.AccountID != "org-a" || got.s.Email != "ada@example.com" {
			t.Fatalf("got %+v, %v", got.s, got.err)
		}
		if d := cmp.Diff("org-b", *b.parent.asks()[1].PreviousAccountID); d != "" {
			t.Error(d)
		}
	})
}

func TestRefreshWithoutAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "", Policy{})
		first := b.signIn(external(idShape(identity{}.jwt(), "access-one")))
		w := b.wait(t.Context(), first.Generation)
		b.say(idShape(identity{id: "2"}.jwt(), "access-two"))
		if got := <-w; got.err != nil || got.s.AccountID != "" {
			t.Errorf("got %+v, %v", got.s, got.err)
		}
		if p := b.parent.asks()[0].PreviousAccountID; p != nil {
			t.Errorf("previousAccountId %q, want null", *p)
		}
		b.Close()
	})
}

func TestRefreshKeepsTheAccount(t *testing.T) {
	inBubble(t, Policy{}, func(t *testing.T, b *bed, first *Snapshot) {
		w := b.wait(t.Context(), first.Generation)
		b.say(idShape(identity{}.jwt(), "access-two"))
		if got := <-w; got.err != nil || got.s.AccountID != "org-a" || got.s.Email != "ada@example.com" {
			t.Errorf("got %+v, %v", got.s, got.err)
		}
	})
}

func TestRefreshOnceForMany(t *testing.T) {
	inBubble(t, Policy{}, func(t *testing.T, b *bed, first *Snapshot) {
		var waiters []<-chan outcome
		for range 50 {
			waiters = append(waiters, b.wait(t.Context(), first.Generation))
		}
		synctest.Wait()
		wantAsks(t, b, 1)
		b.say(newTokens())
		for _, w := range waiters {
			if got := <-w; got.err != nil || got.s != b.Snapshot() {
				t.Fatalf("got %+v, %v", got.s, got.err)
			}
		}
		wantAsks(t, b, 1)
	})
}

func TestRefreshTimesOut(t *testing.T) {
	inBubble(t, Policy{}, func(t *testing.T, b *bed, first *Snapshot) {
		start := time.Now()
		early := b.wait(t.Context(), first.Generation)
		time.Sleep(4 * time.Second) // fake time
		late := b.wait(t.Context(), first.Generation)
		for _, w := range []<-chan outcome{early, late} {
			err := wantReason(t, (<-w).err, ReasonTimeout)
			if !strings.Contains(err.Error(), "account/chatgptAuthTokens/refresh") || !strings.Contains(err.Error(), "10 s") {
				t.Errorf("text %q", err)
			}
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("ended after %v", d)
		}
		if b.Snapshot() != first {
			t.Error("the snapshot changed")
		}
		// Not remembered: the next 401 asks again and an answer at the last
		// moment counts.
		w := b.wait(t.Context(), first.Generation)
		time.Sleep(externalTimeout - 1)
		b.say(newTokens())
		if got := <-w; got.err != nil || got.s.Token.Reveal() != "access-two" {
			t.Errorf("got %+v, %v", got.s, got.err)
		}
		wantAsks(t, b, 2)
	})
}

func TestRefreshFaults(t *testing.T) {
	good := ada("2").jwt()
	result := func(s string) reply { return reply{result: jsontext.Value(s)} }
	tok := func(t protocol.ExternalTokens) reply { return reply{result: answer(t)} }
	tests := []struct {
		name   string
		policy Policy
		reply  reply
		reason string
	}{
		{"error", Policy{}, reply{err: &ParentError{Code: -32000, Message: "no token"}}, ReasonRefused},
		{"wrapped error", Policy{}, reply{err: fmt.Errorf("rpc: %w", &ParentError{Code: -32000})}, ReasonRefused},
		{"end of input", Policy{}, reply{err: fmt.Errorf("rpc: %w", ErrParentGone)}, ReasonParentGone},
		{"not sent", Policy{}, reply{err: errors.New("access-one in a text")}, ReasonUnsent},
		{"absent", Policy{}, result(``), ReasonMalformed},
		{"null", Policy{}, result(`null`), ReasonMalformed},
		{"object", Policy{}, result(`{}`), ReasonMalformed},
		{"text", Policy{}, result(`"tokens"`), ReasonMalformed},
		{"list", Policy{}, result(`[]`), ReasonMalformed},
		{"number", Policy{}, result(`7`), ReasonMalformed},
		{"cut", Policy{}, result(`{"accessToken":"a`), ReasonMalformed},
		{"wrong type", Policy{}, result(`{"accessToken":5,"idToken":"x"}`), ReasonMalformed},
		{"no access token", Policy{}, tok(tokens(good, "-", "-", "-")), ReasonMalformed},
		{"no account", Policy{}, tok(tokens("-", good, "-", "pro")), ReasonMalformed},
		{"bad ID token", Policy{}, tok(tokens("not-a-jwt", "access-two", "-", "-")), protocol.ReasonInvalidToken},
		{"bad access token", Policy{}, tok(tokens("-", "not-a-jwt", "org-a", "-")), protocol.ReasonInvalidToken},
		{"empty access token", Policy{}, tok(tokens(good, "", "-", "-")), protocol.ReasonInvalidToken},
		{"unfit access token", Policy{}, tok(tokens(good, "a\nb", "-", "-")), protocol.ReasonInvalidToken},
		{"accounts differ", Policy{}, tok(tokens("-", good, "org-b", "-")), protocol.ReasonAccountMismatch},
		{"wrong workspace", Policy{Workspaces: []string{"org-a"}}, tok(idShape(identity{account: "org-b"}.jwt(), "access-two")), protocol.ReasonWorkspace},
		{"no workspace", Policy{Workspaces: []string{"org-a"}}, tok(idShape(identity{}.jwt(), "access-two")), protocol.ReasonWorkspace},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, tt.policy, func(t *testing.T, b *bed, first *Snapshot) {
				start := time.Now()
				one, two := b.wait(t.Context(), first.Generation), b.wait(t.Context(), first.Generation)
				synctest.Wait()
				b.parent.reply <- tt.reply
				for _, w := range []<-chan outcome{one, two} {
					err := wantReason(t, (<-w).err, tt.reason)
					if !strings.HasPrefix(err.Message, protocol.MethodAccountChatgptAuthTokensRefresh) {
						t.Errorf("%q does not name the refresh", err.Message)
					}
					for _, secret := range []string{"access-one", "access-two", "not-a-jwt", good} {
						if strings.Contains(err.Error(), secret) {
							t.Errorf("%q holds a token", err)
						}
					}
				}
				if !time.Now().Equal(start) {
					t.Error("the failure took time")
				}
				if b.Snapshot() != first {
					t.Error("the snapshot changed")
				}
				if told := b.parent.notifications(); len(told) != 0 {
					t.Errorf("sent %q", told)
				}
				w := b.wait(t.Context(), first.Generation)
				b.say(newTokens())
				if got := <-w; got.err != nil || got.s.Token.Reveal() != "access-two" {
					t.Errorf("the next one: %+v, %v", got.s, got.err)
				}
				wantAsks(t, b, 2)
				if p := b.parent.asks()[1].PreviousAccountID; p == nil || *p != "org-a" {
					t.Errorf("previousAccountId %v", p)
				}
			})
		})
	}
}

func TestRefreshTellsWhatTheParentSaid(t *testing.T) {
	inBubble(t, Policy{}, func(t *testing.T, b *bed, first *Snapshot) {
		w := b.wait(t.Context(), first.Generation)
		b.parent.reply <- reply{err: &ParentError{Code: -32001, Message: "relogin needed, not access-one",
			Data: jsontext.Value(`{"hint":"open the window","old":"access-\u006fne","jwt":"` + ada("9").jwt() + `"}`)}}
		err := wantReason(t, (<-w).err, ReasonRefused)
		want := &RefreshError{
			Reason:  ReasonRefused,
			Message: "account/chatgptAuthTokens/refresh: the parent answered with error -32001: relogin needed, not [redacted]",
			Detail:  `{"hint":"open the window","old":"[redacted]","jwt":"[redacted]"}`,
		}
		if d := cmp.Diff(want, err); d != "" {
			t.Error(d)
		}
		if err.Error() != want.Message+" ("+want.Detail+")" {
			t.Errorf("text %q", err)
		}
	})
}

func TestRefreshWaiterLeaves(t *testing.T) {
	inBubble(t, Policy{}, func(t *testing.T, b *bed, first *Snapshot) {
		ctx, cancel := context.WithCancel(t.Context())
		leaving := b.wait(ctx, first.Generation)
		staying := b.wait(t.Context(), first.Generation)
		synctest.Wait()
		cancel()
		if got := <-leaving; !errors.Is(got.err, context.Canceled) || got.s != nil {
			t.Errorf("got %+v, %v", got.s, got.err)
		}
		b.say(newTokens())
		if got := <-staying; got.err != nil || got.s.Token.Reveal() != "access-two" {
			t.Errorf("got %+v, %v", got.s, got.err)
		}
		wantAsks(t, b, 1)
	})
}

func TestRefreshAnswerAfterTheLastWaiterLeft(t *testing.T) {
	inBubble(t, Policy{}, func(t *testing.T, b *bed, first *Snapshot) {
		ctx, cancel := context.WithCancel(t.Context())
		w := b.wait(ctx, first.Generation)
		synctest.Wait()
		cancel()
		<-w
		// A waiter that comes meanwhile joins the same one.
		next := b.wait(t.Context(), first.Generation)
		synctest.Wait()
		wantAsks(t, b, 1)
		b.say(newTokens())
		<-next
		synctest.Wait()
		if s := b.Snapshot(); s.Token.Reveal() != "access-two" {
			t.Errorf("the answer was not taken: %+v", s)
		}
	})
	inBubble(t, Policy{}, func(t *testing.T, b *bed, first *Snapshot) {
		ctx, cancel := context.WithCancel(t.Context())
		w := b.wait(ctx, first.Generation)
		synctest.Wait()
		cancel()
		<-w
		b.say(newTokens())
		synctest.Wait()
		if s := b.Snapshot(); s.Token.Reveal() != "access-two" {
			t.Errorf("the answer was not taken: %+v", s)
		}
	})
}

func TestRefreshLogoutWins(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("late answer %v", late), func(t *testing.T) {
			inBubble(t, Policy{}, func(t *testing.T, b *bed, first *Snapshot) {
				b.parent.late = late
				start := time.Now()
				one, two := b.wait(t.Context(), first.Generation), b.wait(t.Context(), first.Generation)
				synctest.Wait()
				b.signOut()
				wantReason(t, (<-one).err, protocol.ReasonNotSignedIn)
				wantReason(t, (<-two).err, protocol.ReasonNotSignedIn)
				if !time.Now().Equal(start) {
					t.Error("the logout waited")
				}
				if late {
					b.say(newTokens())
					synctest.Wait()
				}
				if s := b.Snapshot(); s != nil {
					t.Errorf("back to life: %+v", s)
				}
				_, err := b.Refresh(t.Context(), first.Generation)
				wantReason(t, err, protocol.ReasonNotSignedIn)
				wantAsks(t, b, 1)
			})
		})
	}
}

func TestRefreshNewLoginWins(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("late answer %v", late), func(t *testing.T) {
			inBubble(t, Policy{}, func(t *testing.T, b *bed, first *Snapshot) {
				b.parent.late = late
				w := b.wait(t.Context(), first.Generation)
				synctest.Wait()
				second := b.signIn(external(idShape(identity{account: "org-b"}.jwt(), "access-login")))
				if got := <-w; got.err != nil || got.s != second {
					t.Errorf("waiter got %+v, %v", got.s, got.err)
				}
				if !late {
					return
				}
				// The new login's own refresh goes beside the old question.
				w = b.wait(t.Context(), second.Generation)
				synctest.Wait()
				wantAsks(t, b, 2)
				b.say(newTokens())
				b.say(newTokens())
				<-w
				synctest.Wait()
				if s := b.Snapshot(); s.Generation != second.Generation+1 {
					t.Errorf("generation %d: not exactly one answer was taken", s.Generation)
				}
			})
		})
	}
}

// A refused login leaves the refresh under way alone.
func TestRefreshSurvivesRefusedLogin(t *testing.T) {
	inBubble(t, Policy{}, func(t *testing.T, b *bed, first *Snapshot) {
		w := b.wait(t.Context(), first.Generation)
		synctest.Wait()
		b.refused(external(idShape("bad", "x")), protocol.CodeInvalidRequest, protocol.ReasonInvalidToken)
		b.say(newTokens())
		if got := <-w; got.err != nil || got.s.Token.Reveal() != "access-two" {
			t.Errorf("got %+v, %v", got.s, got.err)
		}
	})
}

// Logout and a key login between the 401 and the question: the key is what is
// in force, and nobody is asked.
func TestRefreshAfterAnotherKindOfLogin(t *testing.T) {
	b := newBed(t, "", Policy{})
	first := b.signInAda()
	b.signOut()
	key := b.signIn(apiKey("sk-x"))
	if s, err := b.Refresh(t.Context(), first.Generation); s != key || err != nil {
		t.Errorf("got %+v, %v", s, err)
	}
	wantAsks(t, b, 0)
}

func TestRefreshSignedOut(t *testing.T) {
	b := newBed(t, "", Policy{})
	_, err := b.Refresh(t.Context(), 0)
	wantReason(t, err, protocol.ReasonNotSignedIn)
	wantAsks(t, b, 0)
}

func TestCloseEndsTheRefresh(t *testing.T) {
	inBubble(t, Policy{}, func(t *testing.T, b *bed, first *Snapshot) {
		w := b.wait(t.Context(), first.Generation)
		synctest.Wait()
		b.Close()
		b.Close()
		wantReason(t, (<-w).err, ReasonClosed)
		_, err := b.Refresh(t.Context(), first.Generation)
		wantReason(t, err, ReasonClosed)
		wantAsks(t, b, 1)
		if b.Snapshot() != first {
			t.Error("the snapshot changed")
		}
	})
}

// panicking is a refresher with a fault.
type panicking struct{}

func (panicking) RefreshExternal(context.Context, protocol.ChatgptAuthTokensRefreshParams) (jsontext.Value, error) {
	panic("access-one")
}

func TestRefreshSurvivesPanic(t *testing.T) {
	par := newParent()
	m := NewManager(Options{Home: t.TempDir(), Ask: panicking{}, Notify: par})
	defer m.Close()
	if _, _, _, err := m.Login(t.Context(), external(idShape(ada("1").jwt(), "access-one"))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := m.Refresh(t.Context(), m.Snapshot().Generation)
		wantReason(t, err, protocol.ReasonInternal)
	}
}

// Many of everything at once, for the race detector; the end state must be a
// sign-in that some call made.
func TestConcurrentUse(t *testing.T) {
	inBubble(t, Policy{}, func(t *testing.T, b *bed, _ *Snapshot) {
		const n = 20
		done := make(chan struct{}, 4*n)
		run := func(f func()) { go func() { f(); done <- struct{}{} }() }
		feed, stop := context.WithCancel(t.Context())
		go func() {
			for {
				select {
				case b.parent.reply <- reply{result: answer(newTokens())}:
				case <-feed.Done():
					return
				}
			}
		}()
		for i := range n {
			run(func() { _, _, _, _ = b.Login(t.Context(), external(idShape(ada("x").jwt(), fmt.Sprint("access-", i)))) })
			run(func() { _, _, _ = b.Logout(t.Context(), nil) })
			run(func() { _, _, _, _ = b.Read(t.Context(), &protocol.GetAccountParams{}) })
			run(func() {
				if s := b.Snapshot(); s != nil {
					_, _ = b.Refresh(t.Context(), s.Generation)
				}
			})
		}
		for range 4 * n {
			<-done
		}
		stop()
		b.signIn(external(idShape(ada("last").jwt(), "access-last")))
		synctest.Wait()
		if s := b.Snapshot(); s.Token.Reveal() != "access-last" {
			t.Errorf("snapshot %+v", s)
		}
	})
}
