package main

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/fake"
)

var (
	chromium    = flag.String("chromium", "", "a Chromium or Chrome to try the sign-in pages in")
	screenshots = flag.String("screenshots", "", "folder for its screenshots")
)

// chromiumPatience is how long one run of the browser may take.
const chromiumPatience = time.Minute

// The sign-in pages in a real browser: it is sent to the provider, comes back,
// and shows what happened. Needs -chromium; `make chromium` gives it.
func TestChromium(t *testing.T) {
	if *chromium == "" {
		t.Skip("no -chromium")
	}
	server := serverBinary(t)
	tokens := &fake.IssuedTokens{Refresh: "refresh-of-the-browser",
		ID:     fake.Identity{Email: "m@example.com", Plan: "pro", Account: "org-m"}.Token(),
		Access: fake.Identity{Account: "org-m"}.Token()}
	for _, c := range []struct {
		name   string
		issue  *fake.IssuedTokens
		change func(authURL string) string // where the browser is sent
		want   string                      // stands on the page
		ends   bool                        // whether the login is over then
		good   bool
	}{
		{name: "signed-in", issue: tokens, want: "You are signed in", ends: true, good: true},
		{name: "refused", want: "nothing is left to issue", ends: true},
		{name: "wrong-state", issue: tokens, want: "does not belong to the sign-in",
			change: func(u string) string { return strings.Replace(u, "state=", "state=x", 1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			backend := fake.NewBackend()
			backend.Provider = &fake.Provider{Next: func() *fake.IssuedTokens { return c.issue }}
			defer backend.Close()
			endpoint, err := backend.ListenLoopback()
			if err != nil {
				t.Fatal(err)
			}
			defer endpoint.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 2*chromiumPatience)
			defer cancel()

			home := t.TempDir()
			completed := make(chan bool, 1)
			parent, err := fake.Spawn(fake.Launch{Path: server, Dir: home,
				Env: []string{"CODEX_HOME=" + home, "HOME=" + home, "CODEX_APP_SERVER_LOGIN_ISSUER=" + endpoint.URL}},
				fake.ParentOptions{Notification: func(method string, params jsontext.Value) {
					var n struct {
						Success bool `json:"success"`
					}
					if method == "account/login/completed" && json.Unmarshal(params, &n) == nil {
						completed <- n.Success
					}
				}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _, _ = parent.Close(ctx) }()
			if err := parent.Call(ctx, "initialize", map[string]any{"clientInfo": map[string]string{"name": "chromium", "version": "1"}}, nil); err != nil {
				t.Fatal(err)
			}
			var login struct {
				AuthURL string `json:"authUrl"`
			}
			if err := parent.Call(ctx, "account/login/start", map[string]string{"type": "chatgpt"}, &login); err != nil {
				t.Fatal(err)
			}
			address := login.AuthURL
			if c.change != nil {
				// The provider hands on what it was given.
				address = c.change(address)
			}
			page := browse(t, ctx, address, c.name)
			if !strings.Contains(page, c.want) {
				t.Errorf("the page does not say %q:\n%s", c.want, page)
			}
			if !c.ends {
				select {
				case <-completed:
					t.Error("the login has ended")
				default:
				}
				return
			}
			select {
			case got := <-completed:
				if got != c.good {
					t.Errorf("success %v", got)
				}
			case <-ctx.Done():
				t.Error("the login has not ended")
			}
		})
	}
}

// browse opens an address and returns what the page says in the end. The
// screenshot is of the same page.
func browse(t *testing.T, ctx context.Context, address, name string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, chromiumPatience)
	defer cancel()
	args := []string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--user-data-dir=" + t.TempDir(),
		"--window-size=900,600", "--timeout=15000", "--dump-dom"}
	if *screenshots != "" {
		if err := os.MkdirAll(*screenshots, 0o755); err != nil {
			t.Fatal(err)
		}
		path, err := filepath.Abs(filepath.Join(*screenshots, name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "--screenshot="+path)
	}
	out, err := exec.CommandContext(ctx, *chromium, append(args, address)...).Output()
	if err != nil {
		t.Fatalf("%s: %v", *chromium, err)
	}
	return string(out)
}
