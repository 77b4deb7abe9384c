package account

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

// errNotJWT never says more: what was wrong with a token is part of the token.
var errNotJWT = errors.New("not a readable JWT")

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
	parts := strings.SplitN(token, ".", 4)
	if len(parts) < 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return claims{}, errNotJWT
	}
	// Go's base64 decoder skips line breaks, which no token may contain.
	if strings.ContainsAny(parts[1], "\r\n") {
		return claims{}, errNotJWT
	}
	// ParseUnverified would refuse tokens that the reference takes (a header
	// that is no JSON, an unknown alg), so only the library's decoder is used.
	raw, err := jwt.NewParser(jwt.WithStrictDecoding()).DecodeSegment(parts[1])
	if err != nil || jsontext.Value(raw).Kind() != '{' {
		return claims{}, errNotJWT
	}
	var p payload
	if json.Unmarshal(raw, &p) != nil {
		return claims{}, errNotJWT
	}
	return claims{
		email:     firstOf(p.Email, p.Profile.Email),
		plan:      p.Auth.Plan,
		userID:    firstOf(p.Auth.ChatGPTUserID, p.Auth.UserID),
		accountID: p.Auth.AccountID,
	}, nil
}

// firstOf returns the first text that is not empty.
func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
