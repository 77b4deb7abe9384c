package account

import (
	"errors"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

const (
	toldCompleted = `account/login/completed {"loginId":null,"success":true,"error":null}`
	toldSignedOut = `account/updated {"authMode":null,"planType":null}`
)

func toldUpdated(mode, plan string) string {
	if plan != "null" {
		plan = `"` + plan + `"`
	}
	return `account/updated {"authMode":"` + mode + `","planType":` + plan + `}`
}

func TestLoginExternal(t *testing.T) {
	b := newBed(t, "", Policy{})
	r, after, _, err := b.Login(t.Context(), external(idShape(ada("1").jwt(), "access-one")))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(protocol.LoginAccountResponse{Type: protocol.LoginChatGPTAuthTokens}, r); d != "" {
		t.Error(d)
	}
	if told := b.parent.notifications(); len(told) != 0 {
		t.Errorf("sent before the response: %q", told)
	}
	after()
	if d := cmp.Diff([]string{toldCompleted, toldUpdated("chatgptAuthTokens", "pro")}, b.parent.notifications()); d != "" {
		t.Error(d)
	}
	if s := b.Snapshot(); s.Generation != 1 || !s.Recoverable() || !s.ChatGPT() || s.Token.Reveal() != "access-one" {
		t.Errorf("snapshot %+v", s)
	}
	if readAuth(t, b.home) != "" {
		t.Error("external tokens were written")
	}
}

func TestLoginTellsItsOwnPlan(t *testing.T) {
	b := newBed(t, "", Policy{})
	for _, tt := range [][2]string{{"team", "team"}, {"weird", "unknown"}, {"PRO", "pro"}, {"-", "pro"}} {
		_, after, _, err := b.Login(t.Context(), external(tokens("-", ada("1").jwt(), "org-a", tt[0])))
		if err != nil {
			t.Fatal(err)
		}
		after()
		if d := cmp.Diff([]string{toldCompleted, toldUpdated("chatgptAuthTokens", tt[1])}, b.parent.notifications()); d != "" {
			t.Errorf("plan %s: %s", tt[0], d)
		}
	}
}

func TestLoginAgainReplaces(t *testing.T) {
	b := newBed(t, "", Policy{})
	first := b.signInAda()
	second := b.signIn(external(tokens("-", identity{email: "two@example.com", account: "org-b"}.jwt(), "org-b", "team")))
	if second.Generation <= first.Generation || second.AccountID != "org-b" || second.Email != "two@example.com" {
		t.Errorf("snapshot %+v", second)
	}
	b.refused(external(idShape("bad", "x")), protocol.CodeInvalidRequest, protocol.ReasonInvalidToken)
}

func TestLoginMissingMembers(t *testing.T) {
	b := newBed(t, "", Policy{})
	id, access := ada("1").jwt(), ada("2").jwt()
	for _, p := range []*protocol.LoginAccountParams{
		external(tokens(id, "-", "-", "-")), external(tokens("-", access, "-", "pro")),
		external(tokens("-", "-", "org-a", "-")), {Type: protocol.LoginAPIKey},
	} {
		b.refused(p, protocol.CodeInvalidRequest, protocol.ReasonInvalidParams)
	}
}

func TestLoginRefusedWhileExternal(t *testing.T) {
	b := newBed(t, "", Policy{})
	b.signInAda()
	for _, p := range []*protocol.LoginAccountParams{apiKey("sk-x"), {Type: protocol.LoginChatGPT}, {Type: protocol.LoginChatGPTDeviceCode}} {
		b.refused(p, protocol.CodeInvalidRequest, protocol.ReasonExternalAuth)
	}
	if readAuth(t, b.home) != "" {
		t.Error("auth.json was written")
	}
	b.signOut()
	if s := b.signIn(apiKey("sk-x")); s.Mode != protocol.AuthModeAPIKey {
		t.Errorf("snapshot %+v", s)
	}
}

func TestLoginForcedMethod(t *testing.T) {
	b := newBed(t, "", Policy{Method: "api"})
	b.refused(external(idShape(ada("1").jwt(), "x")), protocol.CodeInvalidRequest, protocol.ReasonLoginMethod)
	b.refused(&protocol.LoginAccountParams{Type: protocol.LoginChatGPT}, protocol.CodeInvalidRequest, protocol.ReasonLoginMethod)
	b.signIn(apiKey("sk-x"))

	b = newBed(t, "", Policy{Method: "chatgpt"})
	b.refused(apiKey("sk-x"), protocol.CodeInvalidRequest, protocol.ReasonLoginMethod)
	if readAuth(t, b.home) != "" {
		t.Error("auth.json was written")
	}
	b.signInAda()
}

func TestLoginForcedWorkspace(t *testing.T) {
	b := newBed(t, "", Policy{Workspaces: []string{"org-a", "org-c"}})
	other := identity{account: "org-b"}.jwt()
	b.refused(external(idShape(other, "x")), protocol.CodeInvalidRequest, protocol.ReasonWorkspace)
	b.refused(external(idShape(identity{}.jwt(), "x")), protocol.CodeInvalidRequest, protocol.ReasonWorkspace)
	b.refused(external(tokens("-", other, "org-a", "-")), protocol.CodeInvalidRequest, protocol.ReasonAccountMismatch)
	b.signInAda()
	b.refused(external(idShape(other, "x")), protocol.CodeInvalidRequest, protocol.ReasonWorkspace)
	b.signIn(external(tokens("-", identity{}.jwt(), "org-c", "-")))
}

func TestLoginUnreadableRestriction(t *testing.T) {
	b := newBed(t, "", Policy{WorkspacesErr: errors.New("a number")})
	b.refused(external(idShape(ada("1").jwt(), "x")), protocol.CodeInvalidRequest, protocol.ReasonRestrictionBroken)
	b.signIn(apiKey("sk-x")) // no workspace governs a key
	b = newBed(t, "", Policy{MethodErr: errors.New("a number")})
	b.refused(external(idShape(ada("1").jwt(), "x")), protocol.CodeInvalidRequest, protocol.ReasonRestrictionBroken)
	b.refused(apiKey("sk-x"), protocol.CodeInvalidRequest, protocol.ReasonRestrictionBroken)
}

func TestCancelLogin(t *testing.T) {
	b := newBed(t, "", Policy{})
	r, _, err := b.CancelLogin(t.Context(), &protocol.CancelLoginAccountParams{LoginID: "11111111-2222-4333-8444-555555555555"})
	if err != nil || r.Status != protocol.CancelLoginNotFound {
		t.Errorf("CancelLogin = %+v, %v", r, err)
	}
	for _, id := range []string{"", "zzz", "11111111-2222-4333-8444"} {
		_, _, err := b.CancelLogin(t.Context(), &protocol.CancelLoginAccountParams{LoginID: id})
		wantError(t, err, protocol.CodeInvalidRequest, protocol.ReasonInvalidParams)
	}
}

func TestLogout(t *testing.T) {
	const stored = `{"auth_mode":"apikey","OPENAI_API_KEY":"sk-stored","extra":1}`
	tests := []struct {
		name  string
		setup func(b *bed)
		file  string // what is left
	}{
		{"external leaves the file", func(b *bed) { b.signInAda() }, stored},
		{"external twice leaves the file", func(b *bed) { b.signInAda(); b.signOut() }, stored},
		{"stored key", func(*bed) {}, ""},
		{"new key", func(b *bed) { b.signIn(apiKey("sk-new")) }, ""},
		{"new key after external", func(b *bed) { b.signInAda(); b.signOut(); b.signIn(apiKey("sk-new")) }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			home := t.TempDir()
			writeAuth(t, home, stored)
			b := newBed(t, home, Policy{})
			tt.setup(b)
			before := b.Snapshot()
			b.parent.notifications()
			_, after, err := b.Logout(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if told := b.parent.notifications(); len(told) != 0 {
				t.Errorf("sent before the response: %q", told)
			}
			after()
			if d := cmp.Diff([]string{toldSignedOut}, b.parent.notifications()); d != "" {
				t.Error(d)
			}
			if b.Snapshot() != nil {
				t.Error("still signed in")
			}
			if got := readAuth(t, home); got != tt.file {
				t.Errorf("auth.json %q, want %q", got, tt.file)
			}
			if before != nil {
				_, err = b.Refresh(t.Context(), before.Generation)
				wantReason(t, err, protocol.ReasonNotSignedIn)
			}
			// Nothing brings the old sign-in back within the process.
			if r, _, _, _ := b.Read(t.Context(), &protocol.GetAccountParams{RefreshToken: true}); r.Account != nil {
				t.Errorf("account %+v", r.Account)
			}
		})
	}
}

func TestLogoutWhileSignedOut(t *testing.T) {
	b := newBed(t, "", Policy{})
	b.signOut()
	b.signOut()
	if d := cmp.Diff([]string{toldSignedOut, toldSignedOut}, b.parent.notifications()); d != "" {
		t.Error(d)
	}
}

func TestRead(t *testing.T) {
	tests := []struct {
		name  string
		login *protocol.LoginAccountParams
		want  string
	}{
		{"signed out", nil, `{"account":null,"requiresOpenaiAuth":true}`},
		{"key", apiKey("sk-x"), `{"account":{"type":"apiKey"},"requiresOpenaiAuth":true}`},
		{"external", external(idShape(ada("1").jwt(), "x")), `{"account":{"type":"chatgpt","email":"ada@example.com","planType":"pro"},"requiresOpenaiAuth":true}`},
		{"no claims", external(idShape(identity{}.jwt(), "x")), `{"account":{"type":"chatgpt","email":"","planType":"unknown"},"requiresOpenaiAuth":true}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			needed := true
			b := newBed(t, "", Policy{RequiresOpenAIAuth: func() bool { return needed }})
			if tt.login != nil {
				b.signIn(tt.login)
			}
			for _, refresh := range []bool{false, true} {
				r, _, _, err := b.Read(t.Context(), &protocol.GetAccountParams{RefreshToken: refresh})
				if err != nil {
					t.Fatal(err)
				}
				if got := encode(t, r); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			}
			if n := len(b.parent.asks()); n != 0 {
				t.Errorf("asked %d times", n)
			}
			needed = false
			r, _, _, _ := b.Read(t.Context(), &protocol.GetAccountParams{})
			if got := encode(t, r); got != `{"account":null,"requiresOpenaiAuth":false}` {
				t.Errorf("provider without auth: %s", got)
			}
		})
	}
}

func TestAuthStatus(t *testing.T) {
	tests := []struct {
		name         string
		login        *protocol.LoginAccountParams
		plain, token string
	}{
		{"signed out", nil, `null,"authToken":null`, `null,"authToken":null`},
		{"key", apiKey("sk-x"), `"apikey","authToken":null`, `"apikey","authToken":"sk-x"`},
		{"external", external(idShape(ada("1").jwt(), "acc")), `"chatgptAuthTokens","authToken":null`, `"chatgptAuthTokens","authToken":"acc"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			needed := true
			b := newBed(t, "", Policy{RequiresOpenAIAuth: func() bool { return needed }})
			if tt.login != nil {
				b.signIn(tt.login)
			}
			check := func(p protocol.GetAuthStatusParams, want string) {
				t.Helper()
				r, _, _, err := b.AuthStatus(t.Context(), &p)
				if got := encode(t, r); err != nil || got != want {
					t.Errorf("got %s, %v; want %s", got, err, want)
				}
			}
			plain := `{"authMethod":` + tt.plain + `,"requiresOpenaiAuth":true}`
			check(protocol.GetAuthStatusParams{}, plain)
			check(protocol.GetAuthStatusParams{IncludeToken: new(false), RefreshToken: new(true)}, plain)
			check(protocol.GetAuthStatusParams{IncludeToken: new(true), RefreshToken: new(true)}, `{"authMethod":`+tt.token+`,"requiresOpenaiAuth":true}`)
			needed = false
			check(protocol.GetAuthStatusParams{IncludeToken: new(true)}, `{"authMethod":null,"authToken":null,"requiresOpenaiAuth":false}`)
		})
	}
}

// encode writes v as the wire has it, members in the order of the type.
func encode(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
