package fake

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func claims(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[2] == "" {
		t.Fatalf("token %q has not three parts", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}

func TestIdentityToken(t *testing.T) {
	tests := []struct {
		name string
		in   Identity
		want string
	}{
		{"nothing", Identity{}, `{}`},
		{"e-mail", Identity{Email: "a@example.com"}, `{"email":"a@example.com"}`},
		{"profile", Identity{ProfileEmail: "a@example.com"}, `{"https://api.openai.com/profile":{"email":"a@example.com"}}`},
		{"auth", Identity{Plan: "pro", User: "u", Account: "o"},
			`{"https://api.openai.com/auth":{"chatgpt_account_id":"o","chatgpt_plan_type":"pro","chatgpt_user_id":"u"}}`},
		{"old user name", Identity{LegacyUser: "u"}, `{"https://api.openai.com/auth":{"user_id":"u"}}`},
		{"expiry and more", Identity{Expires: 12, Claims: map[string]any{"x": true}}, `{"exp":12,"x":true}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, claims(t, tt.in.Token())); d != "" {
				t.Errorf("claims (-want +got):\n%s", d)
			}
		})
	}
}

func TestBuildToken(t *testing.T) {
	one, err := buildToken("T1", `{"email":"a@example.com","aud":5}`)
	if err != nil {
		t.Fatal(err)
	}
	if want, got := `{"aud":5,"email":"a@example.com","jti":"T1"}`, claims(t, one); got != want {
		t.Errorf("claims %s, want %s", got, want)
	}
	two, err := buildToken("T2", `{"email":"a@example.com","aud":5}`)
	if err != nil || one == two {
		t.Errorf("tokens of two names are equal (%v)", err)
	}
	if _, err := buildToken("T3", `{"email":5}`); err == nil {
		t.Error("a wrong claim is taken")
	}
}

func TestAuthFiles(t *testing.T) {
	if want, got := `{"OPENAI_API_KEY":"sk-x","auth_mode":"apikey"}`, string(APIKeyAuth("sk-x")); got != want {
		t.Errorf("API key: %s, want %s", got, want)
	}
	got := string(ChatGPTAuth(ManagedTokens{ID: "i", Access: "a", Refresh: "r", Account: "o", LastRefresh: time.Unix(0, 0)}))
	want := `{"OPENAI_API_KEY":null,"auth_mode":"chatgpt","last_refresh":"1970-01-01T00:00:00Z",` +
		`"tokens":{"access_token":"a","account_id":"o","id_token":"i","refresh_token":"r"}}`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("ChatGPT (-want +got):\n%s", d)
	}
}
