package account

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestParseClaims(t *testing.T) {
	full := identity{email: "a@example.com", plan: "galactic", user: "u", account: "org"}
	b := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	tests := []struct {
		name, token string
		want        claims
		bad         bool
	}{
		{"all", full.jwt(), claims{"a@example.com", "galactic", "u", "org"}, false},
		{"none", rawJWT(`{}`), claims{}, false},
		{"profile email", identity{profileEmail: "p@example.com"}.jwt(), claims{email: "p@example.com"}, false},
		{"top email wins", identity{email: "t@example.com", profileEmail: "p@example.com"}.jwt(), claims{email: "t@example.com"}, false},
		{"user_id", identity{altUser: "alt"}.jwt(), claims{userID: "alt"}, false},
		{"chatgpt_user_id wins", identity{user: "u", altUser: "alt"}.jwt(), claims{userID: "u"}, false},
		{"null claims", rawJWT(`{"email":null,"https://api.openai.com/profile":null,"https://api.openai.com/auth":null}`), claims{}, false},
		{"unknown claims", rawJWT(`{"email":"a","exp":"soon","aud":7,"x":{}}`), claims{email: "a"}, false},
		{"names are compared with case", rawJWT(`{"Email":"a"}`), claims{}, false},
		{"expired is fine", rawJWT(`{"exp":1000}`), claims{}, false},
		{"header that is no JSON", "x." + b(`{}`) + ".y", claims{}, false},
		{"signature that is no base64", "x." + b(`{}`) + ".!", claims{}, false},
		{"a fourth part", full.jwt() + ".more", claims{"a@example.com", "galactic", "u", "org"}, false},
		{"empty", "", claims{}, true},
		{"text", "not-a-jwt", claims{}, true},
		{"two parts", "a.b", claims{}, true},
		{"dots", "..", claims{}, true},
		{"payload no base64", "a.b.c", claims{}, true},
		{"payload padded", "a." + b(`{} `) + "=.c", claims{}, true},
		{"payload no JSON", "aGVhZA." + b("not-json") + ".c2ln", claims{}, true},
		{"payload null", rawJWT(`null`), claims{}, true},
		{"payload list", rawJWT(`[]`), claims{}, true},
		{"payload cut", rawJWT(`{"email":"a"`), claims{}, true},
		{"two payloads", rawJWT(`{}{}`), claims{}, true},
		{"email a number", rawJWT(`{"email":5}`), claims{}, true},
		{"auth a text", rawJWT(`{"https://api.openai.com/auth":"x"}`), claims{}, true},
		{"account a list", rawJWT(`{"https://api.openai.com/auth":{"chatgpt_account_id":["org"]}}`), claims{}, true},
		{"account twice", rawJWT(`{"https://api.openai.com/auth":{"chatgpt_account_id":"a","chatgpt_account_id":"b"}}`), claims{}, true},
		{"invalid UTF-8", rawJWT("{\"email\":\"\xff\"}"), claims{}, true},
		{"line break in the payload", strings.Replace(full.jwt(), ".", ".\n", 1), claims{}, true},
		{"empty signature", "a." + b(`{}`) + ".", claims{}, true},
		{"empty header", "." + b(`{}`) + ".s", claims{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseClaims(tt.token)
			if (err != nil) != tt.bad || got != tt.want {
				t.Errorf("parseClaims = %+v, %v; want %+v, bad %v", got, err, tt.want, tt.bad)
			}
		})
	}
}

// FuzzClaims: no input makes the reader panic, and its errors are always the
// one that quotes nothing.
func FuzzClaims(f *testing.F) {
	f.Add(ada("1").jwt())
	f.Add("a.b.c")
	f.Add(rawJWT(`{"email":5}`))
	f.Fuzz(func(t *testing.T, token string) {
		c, err := parseClaims(token)
		if err != nil && (err != errNotJWT || c != (claims{})) {
			t.Errorf("parseClaims = %+v, %v", c, err)
		}
		// A payload of any bytes is either claims or an error as well.
		if _, err := parseClaims(rawJWT(token)); err != nil && err != errNotJWT {
			t.Errorf("payload: %v", err)
		}
	})
}
