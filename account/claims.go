package account

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

// errNotJWT never says more: what was wrong with a token is part of the token.
var errNotJWT = errors.New("not a readable JWT")

// expiryOf returns when a token ends; zero where it does not say, as an opaque
// one does not.
func expiryOf(token string) time.Time {
	var p struct {
		Exp float64 `json:"exp"`
	}
	if raw, ok := payloadOf(token); !ok || json.Unmarshal(raw, &p) != nil || p.Exp <= 0 || p.Exp > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(p.Exp), 0)
}

// claims are what a ChatGPT token says about its owner. Every one may be
// missing and is then empty.
type claims struct {
	email, plan, userID, accountID string
}

// payload is the part of a token's JSON that is looked at.
type payload struct {
	Email   string `json:"email"`
	Profile struct {
		Email string `json:"email"`
	} `json:"https://api.openai.com/profile"`
	Auth struct {
		Plan          string `json:"chatgpt_plan_type"`
		ChatGPTUserID string `json:"chatgpt_user_id"`
		UserID        string `json:"user_id"`
		AccountID     string `json:"chatgpt_account_id"`
	} `json:"https://api.openai.com/auth"`
}

// parseClaims reads the payload of a JWT. Signature, algorithm and expiry are
// not looked at: checking the signature is the duty of whoever got the token,
// and only the backend's 401 says that it is too old. As in the reference three
// parts must be there and not empty, a fourth is ignored, and a claim of a
// wrong type makes the whole token unreadable. A name that occurs twice does
// too: two readers could disagree about its value.
func parseClaims(token string) (claims, error) {
	raw, ok := payloadOf(token)
	if !ok {
		return claims{}, errNotJWT
	}
	var p payload
	if json.Unmarshal(raw, &p) != nil {
		return claims{}, errNotJWT
	}
	return claims{
		email:     cmp.Or(p.Email, p.Profile.Email),
		plan:      p.Auth.Plan,
		userID:    cmp.Or(p.Auth.ChatGPTUserID, p.Auth.UserID),
		accountID: p.Auth.AccountID,
	}, nil
}

// payloadOf returns the middle of a JWT, which is a JSON object.
func payloadOf(token string) (raw []byte, ok bool) {
	parts := strings.SplitN(token, ".", 4)
	if len(parts) < 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return nil, false
	}
	// Go's base64 decoder skips line breaks, which no token may contain.
	if strings.ContainsAny(parts[1], "\r\n") {
		return nil, false
	}
	// ParseUnverified would refuse tokens that the reference takes (a header
	// that is no JSON, an unknown alg), so only the library's decoder is used.
	raw, err := jwt.NewParser(jwt.WithStrictDecoding()).DecodeSegment(parts[1])
	if err != nil || jsontext.Value(raw).Kind() != '{' {
		return nil, false
	}
	return raw, true
}
