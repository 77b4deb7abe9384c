package backend

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"app-server/internal/redact"
)

// ErrorKind says what went wrong, so that a caller can map it without reading
// texts.
type ErrorKind string

// Kinds of failures.
const (
	// KindUnauthorized: the credential was refused, or could not be refreshed.
	KindUnauthorized ErrorKind = "unauthorized"
	// KindNotSignedIn: the provider needs a sign-in and there is none; nothing
	// was sent.
	KindNotSignedIn ErrorKind = "notSignedIn"
	// KindBadRequest: the backend calls the request itself wrong.
	KindBadRequest ErrorKind = "badRequest"
	// KindInvalidPrompt: the backend refuses the content.
	KindInvalidPrompt ErrorKind = "invalidPrompt"
	// KindCyberPolicy: the backend takes the request for an attack on computers.
	KindCyberPolicy ErrorKind = "cyberPolicy"
	// KindContextWindow: the input is longer than the model can take.
	KindContextWindow ErrorKind = "contextWindow"
	// KindUsageLimit: the plan's limit or the quota is used up.
	KindUsageLimit ErrorKind = "usageLimit"
	// KindOverloaded: the model has no capacity left.
	KindOverloaded ErrorKind = "overloaded"
	// KindTooManyRequests: a 429 that a pause may cure.
	KindTooManyRequests ErrorKind = "tooManyRequests"
	// KindServer: a 5xx.
	KindServer ErrorKind = "server"
	// KindConnectFailed: no connection could be made.
	KindConnectFailed ErrorKind = "connectFailed"
	// KindStreamDisconnected: the answer broke off, went silent, or the model's
	// response failed in a way that another try may cure.
	KindStreamDisconnected ErrorKind = "streamDisconnected"
	// KindIncomplete: the backend ended the response before it was whole.
	KindIncomplete ErrorKind = "incomplete"
	// KindCanceled: the caller's context ended; Err unwraps to its error.
	KindCanceled ErrorKind = "canceled"
	// KindOther: everything else, a 403 or 404 for instance.
	KindOther ErrorKind = "other"
)

// RetryClass says whether another attempt makes sense.
type RetryClass int

const (
	// RetryNever: another attempt would end the same way.
	RetryNever RetryClass = iota
	// RetryStream: the whole stream may be tried again, after
	// [Error.RetryAfter] where that is set, else after [Backoff].
	RetryStream
)

// Error is the only error type that [Client] methods give. It is immutable
// once returned.
type Error struct {
	Kind ErrorKind
	// Status is the HTTP status that ended the attempt, 0 where there was none.
	Status int
	// Message is for people: our own words, with the backend's message where it
	// sent one. It never holds a token or a raw body.
	Message string
	// Details holds what helps to trace the failure: the cause of a broken
	// connection, the request id. It may be empty.
	Details string
	Retry   RetryClass
	// RetryAfter is the pause that the backend asks for; 0 for none.
	RetryAfter time.Duration
	// Limits are the rate limits that came with the failure; nil for none.
	Limits *RateLimits
	// Err is the cause, for errors.Is; it may be nil.
	Err error

	// silent marks failures that request_max_retries covers.
	silent bool
	// said is the backend's own message, tidied; empty for none.
	said string
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	// errIdle is the cause with which an attempt is cancelled when its peer has
	// been silent for too long.
	errIdle = errors.New("backend: silent for too long")
	// errSlowBody ends the reading of an error's body.
	errSlowBody = errors.New("backend: the body took too long")
)

// canceled is the error for a caller that has gone.
func canceled(ctx context.Context) *Error {
	return &Error{Kind: KindCanceled, Message: "The request was cancelled", Err: ctx.Err()}
}

// maxMessage is how much of a backend's message an error carries, in bytes.
// Real ones are a sentence or two.
const maxMessage = 1000

// tidy makes a text of the backend fit for one line of an error: no control
// characters, no secrets, bounded.
func tidy(text string, secrets redact.Redactor) string {
	return redact.Shorten(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.TrimSpace(secrets.Text(text))), maxMessage)
}
