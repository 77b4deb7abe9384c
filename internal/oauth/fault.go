package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/oauth2"

	"app-server/internal/redact"
)

// Reasons of a [Fault].
const (
	// The refresh token is worth nothing any more. Asking again is of no use:
	// the person has to sign in.
	ReasonExpired = "refreshTokenExpired"
	ReasonReused  = "refreshTokenReused"
	ReasonRevoked = "refreshTokenRevoked"
	ReasonRefused = "refreshTokenRefused"
	// The provider could not be asked, or could not answer. It may later.
	ReasonUnavailable = "tokenEndpointUnavailable"
	// The answer cannot be used.
	ReasonAnswer = "tokenAnswerMalformed"
	// The provider, or the person there, refused the sign-in.
	ReasonDenied = "loginDenied"
	// Nobody finished the sign-in in time.
	ReasonTimeout = "loginTimedOut"
	// The provider does not offer device codes.
	ReasonNoDeviceCode = "deviceCodeNotOffered"
)

// Fault is why the provider gave nothing. Its Message is one short sentence for
// people, without capital and full stop, and holds no secret.
type Fault struct {
	// Reason is one of the Reason constants.
	Reason string
	// Status is that of the answer, 0 where there was none.
	Status  int
	Message string
	// Err is what is behind it, or nil.
	Err error
}

// Error returns Message.
func (f *Fault) Error() string { return f.Message }

// Unwrap returns Err.
func (f *Fault) Unwrap() error { return f.Err }

// Permanent reports whether the refresh token is worth nothing any more.
func (f *Fault) Permanent() bool {
	switch f.Reason {
	case ReasonExpired, ReasonReused, ReasonRevoked, ReasonRefused:
		return true
	}
	return false
}

// unreachable is the fault of a request without an answer. Of the error only
// what it was about is told: its text names the address, which may be private.
func unreachable(err error) *Fault {
	f := &Fault{Reason: ReasonUnavailable, Message: "the sign-in provider cannot be reached", Err: err}
	var u *url.Error
	switch {
	case errors.Is(err, context.Canceled):
		f.Message = "the request to the sign-in provider was given up"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &u) && u.Timeout():
		f.Message = "the sign-in provider did not answer in time"
	}
	return f
}

// said is what the body of a refusal says. Three shapes are about: an object
// under error, a word under error beside a description, and a bare code.
type said struct{ code, description string }

func readRefusal(body []byte, r redact.Redactor) said {
	var a struct {
		Error       jsontext.Value `json:"error"`
		Description string         `json:"error_description"`
		Code        string         `json:"code"`
	}
	if decode(body, &a) != nil {
		return said{}
	}
	s := said{code: a.Code, description: a.Description}
	switch a.Error.Kind() {
	case '"':
		_ = decode(a.Error, &s.code)
	case '{':
		var inner struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		}
		if decode(a.Error, &inner) == nil {
			s = said{inner.Code, inner.Message}
		}
	}
	return said{strings.ToLower(plain(s.code, r)), plain(s.description, r)}
}

// maxSaid is how many bytes of a provider's words are passed on.
const maxSaid = 300

// plain makes one short line without secrets of what a provider wrote.
func plain(s string, r redact.Redactor) string {
	s = strings.Join(strings.FieldsFunc(r.Text(s), func(c rune) bool { return c <= ' ' || c == 0x7f || c == 0x2028 || c == 0x2029 }), " ")
	return redact.Shorten(s, maxSaid)
}

// refusals are the codes that end a refresh token. The first four are measured
// with the reference, which of 0.125 takes them only with status 401 and of
// 0.169 with any; invalid_grant is the standard's word for all of them.
var refusals = map[string]*Fault{
	"refresh_token_expired":     {Reason: ReasonExpired, Message: "the stored sign-in has expired; sign in again"},
	"refresh_token_reused":      {Reason: ReasonReused, Message: "the stored sign-in was used by another program; sign in again"},
	"refresh_token_invalidated": {Reason: ReasonRevoked, Message: "the stored sign-in was revoked; sign in again"},
	"invalid_grant":             {Reason: ReasonRefused, Message: "the stored sign-in is no longer valid; sign in again"},
}

// refusedRefresh is the fault of a refresh that was answered with a status.
func refusedRefresh(status int, body []byte, r redact.Redactor) *Fault {
	s := readRefusal(body, r)
	if known, ok := refusals[s.code]; ok && status/100 == 4 {
		return &Fault{Reason: known.Reason, Status: status, Message: known.Message}
	}
	if status == http.StatusUnauthorized {
		known := refusals["invalid_grant"]
		return &Fault{Reason: known.Reason, Status: status, Message: known.Message}
	}
	f := &Fault{Reason: ReasonUnavailable, Status: status, Message: fmt.Sprintf("the token endpoint answered with status %d", status)}
	if s.code != "" {
		f.Message += " (" + s.code + ")"
	}
	return f
}

// failedExchange is the fault of a code that gave no tokens.
func failedExchange(err error, r redact.Redactor) *Fault {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		if errors.As(err, new(*url.Error)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return unreachable(err)
		}
		// The library's other errors quote the body.
		return &Fault{Reason: ReasonAnswer, Message: "the token endpoint's answer is not a set of tokens"}
	}
	f := &Fault{Reason: ReasonDenied, Message: "the token endpoint refused the code"}
	if refused.Response != nil {
		f.Status = refused.Response.StatusCode
		f.Message += fmt.Sprintf(" with status %d", f.Status)
	}
	s := readRefusal(refused.Body, r)
	if word := s.description; word != "" {
		f.Message += ": " + word
	} else if s.code != "" {
		f.Message += ": " + s.code
	}
	return f
}
