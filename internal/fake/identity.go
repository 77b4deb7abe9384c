package fake

import (
	"encoding/base64"
	"maps"
	"time"

	"github.com/go-json-experiment/json"
)

// Claim names that the reference reads out of ID and access tokens.
const (
	claimAuth    = "https://api.openai.com/auth"
	claimProfile = "https://api.openai.com/profile"
)

// Identity are the claims of a test token. Zero fields leave their claim out.
type Identity struct {
	Email        string         `json:"email,omitzero"`
	ProfileEmail string         `json:"profileEmail,omitzero"` // e-mail inside the profile claim
	Plan         string         `json:"plan,omitzero"`         // chatgpt_plan_type
	User         string         `json:"user,omitzero"`         // chatgpt_user_id
	LegacyUser   string         `json:"legacyUser,omitzero"`   // user_id, the older name
	Account      string         `json:"account,omitzero"`      // chatgpt_account_id
	Expires      int64          `json:"exp,omitzero"`          // Unix seconds
	Serial       string         `json:"jti,omitzero"`          // makes two tokens of one person differ
	Claims       map[string]any `json:"-"`                     // further claims, as they are
}

// payload returns the claims as a token carries them.
func (i Identity) payload() map[string]any {
	auth := map[string]any{}
	put := func(m map[string]any, name, value string) {
		if value != "" {
			m[name] = value
		}
	}
	put(auth, "chatgpt_plan_type", i.Plan)
	put(auth, "chatgpt_user_id", i.User)
	put(auth, "user_id", i.LegacyUser)
	put(auth, "chatgpt_account_id", i.Account)

	claims := maps.Clone(i.Claims)
	if claims == nil {
		claims = map[string]any{}
	}
	put(claims, "email", i.Email)
	put(claims, "jti", i.Serial)
	if i.ProfileEmail != "" {
		claims[claimProfile] = map[string]any{"email": i.ProfileEmail}
	}
	if len(auth) > 0 {
		claims[claimAuth] = auth
	}
	if i.Expires != 0 {
		claims["exp"] = i.Expires
	}
	return claims
}

// Token returns an unsigned JSON Web Token (alg none) with these claims. Its
// third part is not empty, because the reference wants three parts with
// content. Equal identities give equal tokens.
func (i Identity) Token() string {
	return segment(map[string]any{"alg": "none", "typ": "JWT"}) + "." + segment(i.payload()) + "." +
		base64.RawURLEncoding.EncodeToString([]byte("signature"))
}

func segment(v map[string]any) string {
	return base64.RawURLEncoding.EncodeToString(mustJSON(v))
}

// mustJSON encodes values that this package made itself and that cannot fail.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic("fake: encode: " + err.Error())
	}
	return b
}

// APIKeyAuth returns an auth.json as the reference writes it for an API key.
func APIKeyAuth(key string) []byte {
	return mustJSON(map[string]any{"auth_mode": "apikey", "OPENAI_API_KEY": key})
}

// ManagedTokens are the tokens that an auth.json of managed ChatGPT mode holds.
type ManagedTokens struct {
	ID, Access, Refresh string
	Account             string
	LastRefresh         time.Time
}

// ChatGPTAuth returns an auth.json as the reference writes it after a browser
// login.
func ChatGPTAuth(t ManagedTokens) []byte {
	return mustJSON(map[string]any{
		"auth_mode":      "chatgpt",
		"OPENAI_API_KEY": nil,
		"tokens": map[string]any{
			"id_token": t.ID, "access_token": t.Access, "refresh_token": t.Refresh, "account_id": t.Account,
		},
		"last_refresh": t.LastRefresh.UTC().Format(time.RFC3339Nano),
	})
}

// identityMembers are the names that [Identity] has of its own.
var identityMembers = []string{"email", "profileEmail", "plan", "user", "legacyUser", "account", "exp", "jti"}

// buildToken makes a token from the JSON form of an [Identity], with its name
// as serial so that tokens of different names differ. Other members become
// claims as they are.
func buildToken(name, text string) (string, error) {
	if text == "" {
		text = "{}"
	}
	identity := Identity{Serial: name}
	if err := json.Unmarshal([]byte(text), &identity); err != nil {
		return "", err
	}
	if err := json.Unmarshal([]byte(text), &identity.Claims); err != nil {
		return "", err
	}
	for _, member := range identityMembers {
		delete(identity.Claims, member)
	}
	return identity.Token(), nil
}
