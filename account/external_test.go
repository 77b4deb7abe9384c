package account

import (
	"errors"
	"strings"
	"testing"

	"app-server/protocol"
)

func TestReadExternal(t *testing.T) {
	id := ada("1").jwt()
	otherAccess := identity{email: "x@example.com", plan: "team", account: "org-b", user: "user-2"}.jwt()
	ownAccess := identity{email: "token@example.com", plan: "team", account: "org-a", user: "user-9"}.jwt()
	bare := identity{}.jwt()
	snap := func(token, account, user, email, plan string) *Snapshot {
		return &Snapshot{Mode: protocol.AuthModeChatGPTAuthTokens, Token: protocol.NewSecret(token),
			AccountID: account, UserID: user, Email: email, Plan: plan}
	}
	tests := []struct {
		name   string
		tokens protocol.ExternalTokens
		want   *Snapshot
		code   int64
		reason string
	}{
		{"id shape, opaque access", tokens(id, "opaque", "-", "-"), snap("opaque", "org-a", "user-1", "ada@example.com", "pro"), 0, ""},
		{"id shape, claims of the ID token win", tokens(id, ownAccess, "-", "-"), snap(ownAccess, "org-a", "user-1", "ada@example.com", "pro"), 0, ""},
		{"id shape, no claims", tokens(bare, "opaque", "-", "-"), snap("opaque", "", "", "", ""), 0, ""},
		{"id shape, unknown plan stays", tokens(identity{plan: "galactic"}.jwt(), "opaque", "-", "-"), snap("opaque", "", "", "", "galactic"), 0, ""},
		{"access shape", tokens("-", ownAccess, "org-a", "-"), snap(ownAccess, "org-a", "user-9", "token@example.com", "team"), 0, ""},
		{"access shape, plan given", tokens("-", ownAccess, "org-a", "plus"), snap(ownAccess, "org-a", "user-9", "token@example.com", "plus"), 0, ""},
		{"access shape, plan empty", tokens("-", ownAccess, "org-a", ""), snap(ownAccess, "org-a", "user-9", "token@example.com", "team"), 0, ""},
		{"access shape, token names no account", tokens("-", bare, "org-a", "-"), snap(bare, "org-a", "", "", ""), 0, ""},
		{"all members", tokens(id, ownAccess, "org-a", "edu"), snap(ownAccess, "org-a", "user-1", "ada@example.com", "edu"), 0, ""},
		{"all members, ID token names no account", tokens(bare, "opaque", "org-a", "edu"), snap("opaque", "org-a", "", "", "edu"), 0, ""},

		{"bad ID token", tokens("nope", "opaque", "-", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonInvalidToken},
		{"bad ID token, all members", tokens("nope", ownAccess, "org-a", "pro"), nil, protocol.CodeInvalidRequest, protocol.ReasonInvalidToken},
		{"empty ID token", tokens("", "opaque", "-", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonInvalidToken},
		{"opaque access token alone", tokens("-", "opaque", "org-a", "-"), nil, protocol.CodeInternal, protocol.ReasonInvalidToken},
		{"empty access token alone", tokens("-", "", "org-a", "-"), nil, protocol.CodeInternal, protocol.ReasonInvalidToken},
		{"empty access token", tokens(id, "", "-", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonInvalidToken},
		{"line break in the access token", tokens(id, "acc\r\nX-Evil: 1", "-", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonInvalidToken},
		{"line break in a JWT", tokens("-", bare+"\n", "org-a", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonInvalidToken},
		{"empty account", tokens("-", ownAccess, "", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonInvalidToken},
		{"empty account beside an ID token", tokens(id, "opaque", "", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonInvalidToken},
		{"account with a line break", tokens("-", bare, "org\r\nx", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonInvalidToken},
		{"claimed account with a line break", tokens(identity{account: "org\nx"}.jwt(), "opaque", "-", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonInvalidToken},

		{"account contradicts the access token", tokens("-", otherAccess, "org-a", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonAccountMismatch},
		{"account contradicts the ID token", tokens(id, "opaque", "org-b", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonAccountMismatch},
		{"account agrees with the ID token only", tokens(id, otherAccess, "org-a", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonAccountMismatch},
		{"account agrees with the access token only", tokens(id, otherAccess, "org-b", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonAccountMismatch},
		{"the tokens contradict each other", tokens(id, otherAccess, "-", "-"), nil, protocol.CodeInvalidRequest, protocol.ReasonAccountMismatch},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readExternal(&tt.tokens, nil, &Policy{})
			if tt.want == nil {
				wantError(t, err, tt.code, tt.reason)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantSnapshot(t, got, tt.want)
		})
	}
}

func TestReadExternalKeepsWhatIsKnown(t *testing.T) {
	known := &Snapshot{Mode: protocol.AuthModeChatGPTAuthTokens, Token: protocol.NewSecret("old"),
		AccountID: "org-a", UserID: "user-1", Email: "ada@example.com", Plan: "pro"}
	tests := []struct {
		name                       string
		tokens                     protocol.ExternalTokens
		account, user, email, plan string
	}{
		{"nothing named", idShape(identity{}.jwt(), "new"), "org-a", "user-1", "ada@example.com", "pro"},
		{"all named", idShape(identity{email: "n@example.com", plan: "team", user: "user-2", account: "org-b"}.jwt(), "new"), "org-b", "user-2", "n@example.com", "team"},
		{"another account inherits nothing", idShape(identity{account: "org-b"}.jwt(), "new"), "org-b", "", "", ""},
		{"another user inherits nothing", idShape(identity{account: "org-a", user: "user-2"}.jwt(), "new"), "org-a", "user-2", "", ""},
		{"the other shape without e-mail", tokens("-", identity{account: "org-a"}.jwt(), "org-a", "-"), "org-a", "user-1", "ada@example.com", "pro"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readExternal(&tt.tokens, known, &Policy{})
			if err != nil {
				t.Fatal(err)
			}
			wantSnapshot(t, got, &Snapshot{Mode: known.Mode, Token: *tt.tokens.AccessToken,
				AccountID: tt.account, UserID: tt.user, Email: tt.email, Plan: tt.plan})
		})
	}
	t.Run("the kept account contradicts the access token", func(t *testing.T) {
		mixed := idShape(identity{}.jwt(), identity{account: "org-b"}.jwt())
		_, err := readExternal(&mixed, known, &Policy{})
		wantError(t, err, protocol.CodeInvalidRequest, protocol.ReasonAccountMismatch)
	})
	t.Run("a forced workspace must be named", func(t *testing.T) {
		silent := idShape(identity{}.jwt(), "new")
		_, err := readExternal(&silent, known, &Policy{Workspaces: []string{"org-a"}})
		wantError(t, err, protocol.CodeInvalidRequest, protocol.ReasonWorkspace)
	})
}

func TestFitsHeader(t *testing.T) {
	for _, v := range []string{"a", "abc.DEF-_~", "a b", "a\tb", "!"} {
		if !fitsHeader(v) {
			t.Errorf("%q does not fit", v)
		}
	}
	for _, v := range []string{"", " ", " a", "a ", "\ta", "a\t", "a\nb", "a\rb", "a\x00", "a\x7f", "é", "a\u2028b"} {
		if fitsHeader(v) {
			t.Errorf("%q fits", v)
		}
	}
}

func TestPolicyWorkspaces(t *testing.T) {
	broken := errors.New("a number stands there")
	tests := []struct {
		name    string
		policy  Policy
		account string
		reason  string // "" for allowed
	}{
		{"no restriction", Policy{}, "org-a", ""},
		{"no restriction, no account", Policy{}, "", ""},
		{"the one", Policy{Workspaces: []string{"org-a"}}, "org-a", ""},
		{"one of a list", Policy{Workspaces: []string{"org-a", "org-b"}}, "org-b", ""},
		{"another", Policy{Workspaces: []string{"org-a", "org-b"}}, "org-c", protocol.ReasonWorkspace},
		{"case counts", Policy{Workspaces: []string{"org-a"}}, "ORG-A", protocol.ReasonWorkspace},
		{"none named", Policy{Workspaces: []string{"org-a"}}, "", protocol.ReasonWorkspace},
		{"an empty id allows nobody", Policy{Workspaces: []string{""}}, "", protocol.ReasonWorkspace},
		{"an empty list allows nobody", Policy{Workspaces: []string{}}, "org-a", protocol.ReasonWorkspace},
		{"unreadable", Policy{WorkspacesErr: broken}, "org-a", protocol.ReasonRestrictionBroken},
		{"unreadable with a value", Policy{Workspaces: []string{"org-a"}, WorkspacesErr: broken}, "org-a", protocol.ReasonRestrictionBroken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.policy.checkWorkspace(tt.account)
			if tt.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, protocol.CodeInvalidRequest, tt.reason)
			if tt.reason == protocol.ReasonRestrictionBroken && !strings.Contains(err.Error(), broken.Error()) {
				t.Errorf("%q does not say why", err)
			}
		})
	}
}

func TestPolicyMethod(t *testing.T) {
	kinds := []protocol.LoginType{protocol.LoginAPIKey, protocol.LoginChatGPT, protocol.LoginChatGPTDeviceCode, protocol.LoginChatGPTAuthTokens}
	tests := []struct {
		name    string
		policy  Policy
		allowed [4]bool // in the order of kinds
		reason  string
	}{
		{"any", Policy{}, [4]bool{true, true, true, true}, ""},
		{"chatgpt", Policy{Method: "chatgpt"}, [4]bool{false, true, true, true}, protocol.ReasonLoginMethod},
		{"api", Policy{Method: "api"}, [4]bool{true, false, false, false}, protocol.ReasonLoginMethod},
		{"unknown", Policy{Method: "magic"}, [4]bool{}, protocol.ReasonLoginMethod},
		{"unreadable", Policy{MethodErr: errors.New("x")}, [4]bool{}, protocol.ReasonRestrictionBroken},
	}
	for _, tt := range tests {
		for i, k := range kinds {
			t.Run(tt.name+" "+string(k), func(t *testing.T) {
				err := tt.policy.checkMethod(k)
				if tt.allowed[i] {
					if err != nil {
						t.Error(err)
					}
					return
				}
				wantError(t, err, protocol.CodeInvalidRequest, tt.reason)
			})
		}
	}
}
