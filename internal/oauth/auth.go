package oauth

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// Auth is a stored sign-in: the content of auth.json, in the reference's
// format. It is not changed after it was made.
type Auth struct {
	// Mode is apikey or chatgpt; empty in files of older references.
	Mode protocol.AuthMode
	// APIKey is empty where there is none. The reference may leave one beside
	// the tokens; Mode says which counts.
	APIKey protocol.Secret
	// Tokens is nil where there are none.
	Tokens *StoredTokens
	// LastRefresh is when the tokens came; zero where the file does not say.
	LastRefresh time.Time

	rest *members // of the file
}

// members are those of an object that are not known here. They may be secret as
// well, so they hang behind a pointer, which nothing prints through.
type members struct{ value jsontext.Value }

// StoredTokens are the tokens of an [Auth].
type StoredTokens struct {
	Tokens
	AccountID string

	rest *members
}

// Refreshed is a with the tokens of a refresh; what the answer left out stays.
// The account stays, too: it is what the sign-in was made for.
func (a *Auth) Refreshed(t Tokens, now time.Time) *Auth {
	next, tokens := *a, *a.Tokens
	for _, pair := range []struct{ old, new *protocol.Secret }{
		{&tokens.ID, &t.ID}, {&tokens.Access, &t.Access}, {&tokens.Refresh, &t.Refresh},
	} {
		if !pair.new.IsEmpty() {
			*pair.old = *pair.new
		}
	}
	next.Tokens, next.LastRefresh = &tokens, now
	return &next
}

// authFile is how an Auth is written. Members that are not known here pass
// through: a newer reference keeps facts of its own there.
type authFile struct {
	Mode        protocol.AuthMode `json:"auth_mode,omitzero"`
	APIKey      *protocol.Secret  `json:"OPENAI_API_KEY"`
	Tokens      *tokensFile       `json:"tokens,omitzero"`
	LastRefresh string            `json:"last_refresh,omitzero"`
	Rest        jsontext.Value    `json:",embed"`
}

type tokensFile struct {
	ID        protocol.Secret `json:"id_token"`
	Access    protocol.Secret `json:"access_token"`
	Refresh   protocol.Secret `json:"refresh_token"`
	AccountID *string         `json:"account_id"`
	Rest      jsontext.Value  `json:",embed"`
}

// errFormat says no more, since what is wrong may be a part of a token.
var errFormat = errors.New("is not in the expected format")

// decodeAuth reads the content of auth.json. An object without any sign-in, as
// it is left where a file could only be emptied, is nil and no error.
func decodeAuth(raw []byte) (*Auth, error) {
	var f authFile
	if jsontext.Value(raw).Kind() != '{' || json.Unmarshal(raw, &f) != nil {
		return nil, errFormat
	}
	a := &Auth{Mode: f.Mode, rest: &members{f.Rest}}
	if f.APIKey != nil {
		a.APIKey = *f.APIKey
	}
	if t := f.Tokens; t != nil {
		a.Tokens = &StoredTokens{Tokens: Tokens{ID: t.ID, Access: t.Access, Refresh: t.Refresh}, rest: &members{t.Rest}}
		if t.AccountID != nil {
			a.Tokens.AccountID = *t.AccountID
		}
	}
	if a.Mode == "" && a.APIKey.IsEmpty() && a.Tokens == nil {
		return nil, nil
	}
	// A time that cannot be read is one that is not known.
	a.LastRefresh, _ = time.Parse(time.RFC3339Nano, f.LastRefresh)
	return a, nil
}

// reveal writes secrets as they are. This file and the store behind it are the
// place for them.
var reveal = json.WithMarshalers(json.MarshalToFunc(func(e *jsontext.Encoder, s protocol.Secret) error {
	return e.WriteToken(jsontext.String(s.Reveal()))
}))

// encode is the content of auth.json.
func (a *Auth) encode() ([]byte, error) {
	f := authFile{Mode: a.Mode}
	if a.rest != nil {
		f.Rest = a.rest.value
	}
	if !a.APIKey.IsEmpty() {
		f.APIKey = &a.APIKey
	}
	if t := a.Tokens; t != nil {
		f.Tokens = &tokensFile{ID: t.ID, Access: t.Access, Refresh: t.Refresh}
		if t.rest != nil {
			f.Tokens.Rest = t.rest.value
		}
		if t.AccountID != "" {
			f.Tokens.AccountID = &t.AccountID
		}
	}
	if !a.LastRefresh.IsZero() {
		f.LastRefresh = a.LastRefresh.UTC().Format(time.RFC3339Nano)
	}
	raw, err := json.Marshal(&f, reveal, jsontext.WithIndent("  "))
	if err != nil {
		return nil, errors.New("the credentials are not valid text") // the encoder's error may quote them
	}
	return append(raw, '\n'), nil
}

// holds reports whether a is a ChatGPT sign-in with that refresh token.
func (a *Auth) holds(refresh protocol.Secret) bool {
	return a != nil && a.Tokens != nil && a.Tokens.Refresh.Equal(refresh)
}
