package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"app-server/internal/fake"
)

var rounds = flag.Int("rounds", 10, "rounds of TestTwoServersOneHome")

// Two servers share a home whose access token has expired and whose refresh
// token works once. Both need a new one at the same moment, round after round:
// no refresh token is ever used twice, and auth.json always holds one that is
// still good.
func TestTwoServersOneHome(t *testing.T) {
	server := serverBinary(t)
	var mu sync.Mutex
	issued, last := 0, ""
	identity := func(serial string, expires int64) string {
		return fake.Identity{Email: "m@example.com", Plan: "pro", Account: "org-m", Expires: expires, Serial: serial}.Token()
	}
	provider := &fake.Provider{Next: func() *fake.IssuedTokens {
		mu.Lock()
		defer mu.Unlock()
		issued++
		last = fmt.Sprintf("refresh-%06d", issued)
		return &fake.IssuedTokens{ID: identity(last, 0), Access: identity(last, time.Now().Add(time.Hour).Unix()), Refresh: last}
	}}
	backend := fake.NewBackend()
	backend.Provider = provider
	defer backend.Close()
	endpoint, err := backend.ListenLoopback()
	if err != nil {
		t.Fatal(err)
	}
	defer endpoint.Close()
	provider.Root = endpoint.URL

	ctx, cancel := context.WithTimeout(t.Context(), childLimit)
	defer cancel()
	for round := range *rounds {
		home := t.TempDir()
		first := fmt.Sprintf("refresh-of-round-%d", round)
		auth := fake.ChatGPTAuth(fake.ManagedTokens{ID: identity("old", 0), Access: identity("old", 1), Refresh: first, Account: "org-m", LastRefresh: time.Now()})
		if err := os.WriteFile(filepath.Join(home, "auth.json"), auth, 0o600); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if err := refreshOnce(ctx, server, home, endpoint.URL); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		var stored struct {
			Tokens struct {
				Refresh string `json:"refresh_token"`
			} `json:"tokens"`
		}
		raw, err := os.ReadFile(filepath.Join(home, "auth.json"))
		if err == nil {
			err = json.Unmarshal(raw, &stored)
		}
		if err != nil {
			t.Fatalf("round %d: auth.json: %v", round, err)
		}
		mu.Lock()
		good := stored.Tokens.Refresh == last
		mu.Unlock()
		if _, reused := provider.Counts(); reused > 0 || !good || t.Failed() {
			t.Fatalf("round %d: %d refresh tokens used twice; the stored one is the last one: %v", round, reused, good)
		}
	}
}

// refreshOnce starts a server, has it refresh twice at once, and ends it.
func refreshOnce(ctx context.Context, server, home, url string) error {
	process, err := fake.StartChild(fake.Launch{Path: server, Dir: home, Env: []string{
		"CODEX_HOME=" + home, "HOME=" + home, "GORACE=atexit_sleep_ms=0",
		"CODEX_REFRESH_TOKEN_URL_OVERRIDE=" + url + "/oauth/token",
	}})
	if err != nil {
		return err
	}
	parent := fake.NewParent(process, fake.ParentOptions{})
	defer func() { _, _ = parent.Close(ctx) }()
	hello := map[string]any{"clientInfo": map[string]string{"name": "rounds", "version": "1"}}
	if err := parent.Call(ctx, "initialize", hello, nil); err != nil {
		return err
	}
	var r struct {
		Account *struct {
			Email string `json:"email"`
		} `json:"account"`
	}
	if err := parent.Call(ctx, "account/read", map[string]bool{"refreshToken": true}, &r); err != nil {
		return err
	}
	if r.Account == nil || r.Account.Email != "m@example.com" {
		return fmt.Errorf("the account is gone: %+v", r.Account)
	}
	return nil
}
