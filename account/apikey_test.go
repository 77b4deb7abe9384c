package account

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"app-server/internal/oauth"
	"app-server/protocol"
)

// managedFile is an auth.json as the reference leaves it.
func managedFile(mode string) string {
	return `{` + mode + `"OPENAI_API_KEY":null,"tokens":{"id_token":"` + ada("m").jwt() +
		`","access_token":"managed-access","refresh_token":"managed-refresh","account_id":"org-a"},"last_refresh":"2026-11-25T00:00:00Z","later":{"x":1}}`
}

func TestAPIKeyLogin(t *testing.T) {
	home := filepath.Join(t.TempDir(), "not", "there", "yet")
	b := newBed(t, home, Policy{})
	r, after, _, err := b.Login(t.Context(), apiKey("sk-one"))
	if err != nil {
		t.Fatal(err)
	}
	after()
	if got := encode(t, r); got != `{"type":"apiKey"}` {
		t.Errorf("answer %s", got)
	}
	if d := cmp.Diff([]string{toldCompleted, toldUpdated("apikey", "null")}, b.parent.notifications()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff("{\n  \"auth_mode\": \"apikey\",\n  \"OPENAI_API_KEY\": \"sk-one\"\n}\n", readAuth(t, home)); d != "" {
		t.Error(d)
	}
	info, err := os.Stat(filepath.Join(home, oauth.AuthFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	wantSnapshot(t, b.Snapshot(), &Snapshot{Mode: protocol.AuthModeAPIKey, Token: protocol.NewSecret("sk-one")})

	again := newBed(t, home, Policy{})
	wantSnapshot(t, again.Snapshot(), b.Snapshot())
	_, err = again.Refresh(t.Context(), again.Snapshot().Generation)
	wantReason(t, err, protocol.ReasonUnauthorized)
	if n := len(again.parent.asks()); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

func TestAPIKeyTightensAnOpenFile(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, oauth.AuthFile)
	if err := os.WriteFile(path, []byte(managedFile("")), 0o644); err != nil {
		t.Fatal(err)
	}
	newBed(t, home, Policy{}).signIn(apiKey("sk-one"))
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// The lock stays, so that nobody locks a file that another has just removed.
	if left, err := filepath.Glob(filepath.Join(home, ".*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The end of the server does not wait for a store that another program holds.
func TestAPIKeyStoringGivenUp(t *testing.T) {
	b := newBed(t, "", Policy{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, _, err := b.Login(ctx, apiKey("sk-one"))
	if own, ok := errors.AsType[*protocol.Error](err); !ok || own.Reason != protocol.ReasonStorage {
		t.Errorf("error %v", err)
	}
	if b.Snapshot() != nil || readAuth(t, b.home) != "" {
		t.Error("signed in with a key that could not be stored")
	}
}

func TestAPIKeyUnfit(t *testing.T) {
	b := newBed(t, "", Policy{})
	for _, k := range []string{"", " ", "sk-a\n", "sk-\x00", "sk-é"} {
		b.refused(apiKey(k), protocol.CodeInvalidRequest, protocol.ReasonInvalidToken)
	}
	if readAuth(t, b.home) != "" {
		t.Error("auth.json was written")
	}
}

func TestAPIKeyStores(t *testing.T) {
	for _, store := range []string{"", "file", "auto"} {
		b := newBed(t, "", Policy{Store: store})
		b.signIn(apiKey("sk-x"))
		if readAuth(t, b.home) == "" {
			t.Errorf("store %q: nothing written", store)
		}
	}
	home := t.TempDir()
	writeAuth(t, home, `{"OPENAI_API_KEY":"sk-old"}`)
	b := newBed(t, home, Policy{Store: "ephemeral"})
	if b.Snapshot() != nil {
		t.Error("ephemeral reads the file")
	}
	b.signIn(apiKey("sk-x"))
	b.signOut()
	if got := readAuth(t, home); got != `{"OPENAI_API_KEY":"sk-old"}` {
		t.Errorf("ephemeral touched the file: %s", got)
	}
	newBed(t, "", Policy{Store: "keyring"}).refused(apiKey("sk-x"), protocol.CodeInternal, protocol.ReasonStorage)
	newBed(t, "", Policy{Store: "vault"}).refused(apiKey("sk-x"), protocol.CodeInvalidRequest, protocol.ReasonConfig)
}

// A file in the place of the home makes every write and removal fail, for root
// as well.
func TestStorageFails(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	if err := os.WriteFile(home, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBed(t, home, Policy{})
	b.refused(apiKey("sk-secret-key"), protocol.CodeInternal, protocol.ReasonStorage)

	home = t.TempDir()
	b = newBed(t, home, Policy{})
	s := b.signIn(apiKey("sk-x"))
	path := filepath.Join(home, oauth.AuthFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.parent.notifications()
	_, after, err := b.Logout(t.Context(), nil)
	wantError(t, err, protocol.CodeInternal, protocol.ReasonStorage)
	if after != nil || b.Snapshot() != s || len(b.parent.notifications()) != 0 {
		t.Error("a refused logout changed something")
	}
}

func TestStoredAtStart(t *testing.T) {
	managed := &Snapshot{Mode: protocol.AuthModeChatGPT, Token: protocol.NewSecret("managed-access"),
		AccountID: "org-a", UserID: "user-1", Email: "ada@example.com", Plan: "pro"}
	key := &Snapshot{Mode: protocol.AuthModeAPIKey, Token: protocol.NewSecret("sk-s")}
	tests := []struct {
		name, file string
		policy     Policy
		want       *Snapshot
		warns      bool
	}{
		{"none", "", Policy{}, nil, false},
		{"empty object", `{}`, Policy{}, nil, false},
		{"key", `{"auth_mode":"apikey","OPENAI_API_KEY":"sk-s","future":[1]}`, Policy{}, key, false},
		{"key of an older reference", `{"OPENAI_API_KEY":"sk-s"}`, Policy{}, key, false},
		{"key wins without a mode", strings.Replace(managedFile(""), "null", `"sk-s"`, 1), Policy{}, key, false},
		{"tokens win with their mode", strings.Replace(managedFile(`"auth_mode":"chatgpt",`), "null", `"sk-s"`, 1), Policy{}, managed, false},
		{"managed", managedFile(""), Policy{}, managed, false},
		{"managed, right workspace", managedFile(""), Policy{Workspaces: []string{"org-a"}}, managed, false},
		{"managed, wrong workspace", managedFile(""), Policy{Workspaces: []string{"org-b"}}, nil, true},
		{"managed, api forced", managedFile(""), Policy{Method: "api"}, nil, true},
		{"key, chatgpt forced", `{"OPENAI_API_KEY":"sk-s"}`, Policy{Method: "chatgpt"}, nil, true},
		{"managed without tokens", `{"auth_mode":"chatgpt","OPENAI_API_KEY":null}`, Policy{}, nil, true},
		{"key missing", `{"auth_mode":"apikey"}`, Policy{}, nil, true},
		{"key unfit", `{"OPENAI_API_KEY":"sk-secret\n"}`, Policy{}, nil, true},
		{"mode unknown", `{"auth_mode":"agent","OPENAI_API_KEY":"sk-secret"}`, Policy{}, nil, true},
		{"no JSON", `sk-secret`, Policy{}, nil, true},
		{"null", `null`, Policy{}, nil, true},
		{"wrong type", `{"OPENAI_API_KEY":["sk-secret"]}`, Policy{}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			home := t.TempDir()
			if tt.file != "" {
				writeAuth(t, home, tt.file)
			}
			core, logs := observer.New(zap.DebugLevel)
			b := newLoggedBed(t, home, tt.policy, zap.New(core))
			wantSnapshot(t, b.Snapshot(), tt.want)
			if got := logs.FilterLevelExact(zap.WarnLevel).Len() == 1; got != tt.warns {
				t.Errorf("warned %v: %v", got, logs.All())
			}
			for _, e := range logs.All() {
				if text := e.Message + encode(t, e.ContextMap()); strings.Contains(text, "sk-s") || strings.Contains(text, "managed-") {
					t.Errorf("logged %s", text)
				}
			}
			// External tokens win and leave the file as it is.
			if tt.policy.Method == "" && tt.policy.Workspaces == nil {
				b.signInAda()
				b.signOut()
			}
			if got := readAuth(t, home); got != tt.file {
				t.Errorf("auth.json is now %q", got)
			}
		})
	}
}

func TestAuthFileIsNoFile(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, oauth.AuthFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if s := newBed(t, home, Policy{}).Snapshot(); s != nil {
		t.Errorf("snapshot %+v", s)
	}
}
