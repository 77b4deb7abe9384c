package backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

// gate answers 401 to every bearer but one.
func gate(t *testing.T, accepted string) *server {
	return serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+accepted {
			w.Header().Set("X-Request-Id", "req-7")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":{"message":"the token ` + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") + ` has expired","code":"token_invalidated"}}`))
			return
		}
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte(`{"plan_type":"pro"}`))
			return
		}
		good(w)
	})
}

func newToken(bearer string) func(context.Context, Token) (Token, error) {
	return func(_ context.Context, used Token) (Token, error) {
		return Token{Bearer: protocol.NewSecret(bearer), AccountID: "org-b", ChatGPT: true, Recoverable: true, Generation: used.Generation + 1}, nil
	}
}

func TestRefreshAfter401(t *testing.T) {
	s := gate(t, secondToken)
	l := signedInAs(firstToken)
	var used Token
	l.refresh = func(ctx context.Context, u Token) (Token, error) {
		used = u
		return newToken(secondToken)(ctx, u)
	}
	r := s.request()
	r.Instructions = strings.Repeat("long ", 50_000)
	mustComplete(t, client(t, Options{Credentials: l}), r)

	all := s.requests()
	if len(all) != 2 || l.asked != 1 {
		t.Fatalf("%d requests, %d refreshes", len(all), l.asked)
	}
	if used.Bearer.Reveal() != firstToken || used.Generation != 1 {
		t.Error("Refresh was not told the token used")
	}
	if all[0].Body != all[1].Body {
		t.Error("the body changed")
	}
	if got := all[1].Header; got.Get("Authorization") != "Bearer "+secondToken || got.Get("Chatgpt-Account-Id") != "org-b" {
		t.Errorf("second request: %s, %s", got.Get("Authorization"), got.Get("Chatgpt-Account-Id"))
	}
	same := func(h http.Header) http.Header {
		h = h.Clone()
		h.Del("Authorization")
		h.Del("Chatgpt-Account-Id")
		return h
	}
	if diff := cmp.Diff(same(all[0].Header), same(all[1].Header)); diff != "" {
		t.Error(diff)
	}
}

func TestSecond401IsFinal(t *testing.T) {
	s := gate(t, "no such token")
	l := signedInAs(firstToken)
	l.refresh = newToken(secondToken)
	r := s.request()
	r.Provider.RequestMaxRetries, r.Provider.StreamMaxRetries = 3, 3
	fail := mustFail(t, client(t, Options{Credentials: l}), r)
	if len(s.requests()) != 2 || l.asked != 1 {
		t.Errorf("%d requests, %d refreshes", len(s.requests()), l.asked)
	}
	if fail.Kind != KindUnauthorized || fail.Retry != RetryNever || fail.Status != 401 || fail.Details != "request id req-7" {
		t.Errorf("%+v", fail)
	}
	if strings.Contains(fail.Message, "token-") || !strings.Contains(fail.Message, "[redacted] has expired") {
		t.Error(fail.Message)
	}
}

func TestEachExchangeRefreshesOnce(t *testing.T) {
	// 401, refresh, 500, silent repeat, 401 again: no second question.
	s := serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader([]int{401, 500, 401}[n])
	})
	l := signedInAs(firstToken)
	l.refresh = newToken(secondToken)
	r := s.request()
	r.Provider.RequestMaxRetries = 2
	c := client(t, Options{Credentials: l})
	if fail := mustFail(t, c, r); fail.Kind != KindUnauthorized || l.asked != 1 || len(s.requests()) != 3 {
		t.Errorf("%v, %d refreshes, %d requests", fail, l.asked, len(s.requests()))
	}
}

func TestRefreshFails(t *testing.T) {
	s := gate(t, secondToken)
	l := signedInAs(firstToken)
	cause := errors.New("the parent answered -32001: relogin needed for " + firstToken)
	l.refresh = func(context.Context, Token) (Token, error) { return Token{}, cause }
	r := s.request()
	r.Provider.RequestMaxRetries = 3
	fail := mustFail(t, client(t, Options{Credentials: l}), r)
	if fail.Kind != KindUnauthorized || fail.Retry != RetryNever || !errors.Is(fail, cause) || len(s.requests()) != 1 || l.asked != 1 {
		t.Errorf("%+v, %d requests", fail, len(s.requests()))
	}
	if want := "The sign-in could not be refreshed: the parent answered -32001: relogin needed for [redacted]"; fail.Message != want {
		t.Error(fail.Message)
	}
}

func TestRefreshGivesUnfitToken(t *testing.T) {
	s := gate(t, secondToken)
	l := signedInAs(firstToken)
	l.refresh = newToken("a\r\nb")
	if fail := mustFail(t, client(t, Options{Credentials: l}), s.request()); fail.Kind != KindUnauthorized || len(s.requests()) != 1 {
		t.Errorf("%+v", fail)
	}
}

func TestCancelDuringRefresh(t *testing.T) {
	s := gate(t, secondToken)
	l := signedInAs(firstToken)
	ctx, cancel := context.WithCancel(t.Context())
	l.refresh = func(ctx context.Context, _ Token) (Token, error) {
		cancel()
		<-ctx.Done()
		return Token{}, ctx.Err()
	}
	_, fail := collect(t, client(t, Options{Credentials: l}), ctx, s.request())
	if fail == nil || fail.Kind != KindCanceled || !errors.Is(fail, context.Canceled) {
		t.Errorf("%+v", fail)
	}
}

func TestNoRefresh(t *testing.T) {
	for name, test := range map[string]struct {
		status      int
		recoverable bool
		provider    Provider
		kind        ErrorKind
		message     string
	}{
		"api key":                 {401, false, Provider{RequiresAuth: true}, KindUnauthorized, "The backend refused the sign-in (401 Unauthorized): m"},
		"key of the provider":     {401, true, Provider{Bearer: protocol.NewSecret("key-key-key")}, KindUnauthorized, `The backend refused the key of model provider "mock" (401 Unauthorized): m`},
		"provider without a key":  {401, true, Provider{}, KindUnauthorized, `The backend of model provider "mock" asks for a credential and none is configured (401 Unauthorized): m`},
		"403":                     {403, true, Provider{RequiresAuth: true}, KindOther, ""},
		"407":                     {407, true, Provider{RequiresAuth: true}, KindOther, ""},
		"400":                     {400, true, Provider{RequiresAuth: true}, KindBadRequest, ""},
		"429":                     {429, true, Provider{RequiresAuth: true}, KindTooManyRequests, ""},
		"500":                     {500, true, Provider{RequiresAuth: true}, KindServer, ""},
		"redirect to another one": {302, true, Provider{RequiresAuth: true}, KindOther, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(`{"error":{"message":"m"}}`))
			})
			l := signedInAs(firstToken)
			l.token.Recoverable = test.recoverable
			r := s.request()
			test.provider.ID, test.provider.BaseURL = "mock", r.Provider.BaseURL
			r.Provider = test.provider
			fail := mustFail(t, client(t, Options{Credentials: l}), r)
			if fail.Kind != test.kind || l.asked != 0 || len(s.requests()) != 1 {
				t.Errorf("%+v, %d refreshes, %d requests", fail, l.asked, len(s.requests()))
			}
			if test.message != "" && fail.Message != test.message {
				t.Error(fail.Message)
			}
		})
	}
}

func TestUsageSharesThe401Rule(t *testing.T) {
	s := gate(t, secondToken)
	l := signedInAs(firstToken)
	l.refresh = newToken(secondToken)
	limits, err := client(t, Options{Credentials: l}).Usage(t.Context(), s.URL+"/backend-api/")
	if err != nil || limits.Plan != "pro" || l.asked != 1 {
		t.Fatal(limits, err, l.asked)
	}
	all := s.requests()
	if len(all) != 2 || all[1].Path != "/backend-api/wham/usage" || all[1].Header.Get("Chatgpt-Account-Id") != "org-b" || all[1].Header.Get("Content-Type") != "" {
		t.Errorf("%+v", all)
	}
}

// 256 turns at once, each with its own answer, over connections that are kept.
func TestManyAtOnce(t *testing.T) {
	const turns = 256
	var arrived sync.WaitGroup
	bubble(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < turns { // nobody is answered before all have asked
			arrived.Done()
			arrived.Wait()
		}
		good(w)
	}, func(t *testing.T, c *Client, r *Request) {
		arrived.Add(turns)
		var fresh atomic.Int32
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
			if !i.Reused {
				fresh.Add(1)
			}
		}})
		for range 2 {
			var all sync.WaitGroup
			for range turns {
				all.Go(func() {
					for _, err := range c.Stream(ctx, r) {
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			synctest.Wait() // all connections have come back
		}
		if n := fresh.Load(); n != turns {
			t.Errorf("%d connections for twice %d turns", n, turns)
		}
	})
}

// A token that was only come upon may be as old as the one before: a 401 to it
// is worth one more refresh, and no third.
func TestFoundTokenIsWorthAnother(t *testing.T) {
	for _, c := range []struct {
		name  string
		found int // how many refreshes only come upon something
		asked int
		good  bool
	}{{"fetched", 0, 1, false}, {"found, then fetched", 1, 2, true}, {"found for ever", 99, 2, false}} {
		s := gate(t, "token-fetched-2")
		l := signedInAs(firstToken)
		n := 0
		l.refresh = func(ctx context.Context, used Token) (Token, error) {
			n++
			next, err := newToken(fmt.Sprintf("token-fetched-%d", n))(ctx, used)
			next.Found = n <= c.found
			if next.Found {
				next.Bearer = protocol.NewSecret("token-found")
			}
			return next, err
		}
		r := s.request()
		_, fail := collect(t, client(t, Options{Credentials: l}), t.Context(), r)
		if l.asked != c.asked || (fail == nil) != c.good || len(s.requests()) != c.asked+1 {
			t.Errorf("%s: %v, %d refreshes, %d requests", c.name, fail, l.asked, len(s.requests()))
		}
	}
}

func TestNudgeCredits(t *testing.T) {
	for status, want := range map[int]NudgeStatus{200: NudgeSent, 202: NudgeSent, 429: NudgeCooldown, 403: "", 500: ""} {
		s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		got, err := client(t, Options{Credentials: signedInAs(firstToken)}).NudgeCredits(t.Context(), s.URL, "credits")
		if got != want || (err == nil) != (want != "") || len(s.requests()) != 1 {
			t.Errorf("%d: %q, %v, %d requests", status, got, err, len(s.requests()))
		}
	}
	s := serve(t, func(int, http.ResponseWriter, *http.Request) {})
	key := signedInAs("sk-a-key")
	key.token.ChatGPT = false
	if _, err := client(t, Options{Credentials: key}).NudgeCredits(t.Context(), s.URL, "credits"); err == nil || len(s.requests()) != 0 {
		t.Errorf("%v, %d requests", err, len(s.requests()))
	}
}
