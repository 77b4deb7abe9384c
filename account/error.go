package account

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// Reasons of a [RefreshError], beside protocol.ReasonNotSignedIn,
// ReasonUnauthorized (no refresh in this mode), ReasonInvalidToken,
// ReasonAccountMismatch, ReasonWorkspace, ReasonRestrictionBroken and
// ReasonInternal.
const (
	ReasonTimeout    = "refreshTimedOut"
	ReasonRefused    = "refreshRefused"         // the parent answered with an error
	ReasonMalformed  = "refreshAnswerMalformed" // the answer is no set of tokens
	ReasonParentGone = "parentGone"             // end of input
	ReasonClosed     = protocol.ReasonShuttingDown
	ReasonUnsent     = "refreshNotSent"
)

// RefreshError says why a request that the backend refused with 401 cannot be
// repeated. Its texts are for people and hold no tokens.
type RefreshError struct {
	// Reason is a stable word for programs.
	Reason string
	// Message is one short sentence. It names the refresh where one was made.
	Message string
	// Detail is error.data of the parent's answer; empty for none.
	Detail string
}

// Error returns Message and Detail.
func (e *RefreshError) Error() string {
	if e.Detail == "" {
		return e.Message
	}
	return e.Message + " (" + e.Detail + ")"
}

// refreshError makes a RefreshError whose message names the request.
func refreshError(reason, format string, args ...any) *RefreshError {
	return &RefreshError{Reason: reason, Message: protocol.MethodAccountChatgptAuthTokensRefresh + ": " + fmt.Sprintf(format, args...)}
}

func signedOut() *RefreshError {
	return &RefreshError{Reason: protocol.ReasonNotSignedIn, Message: "nobody is signed in any more"}
}

// notRecoverable is the end of a 401 in a mode without refresh.
func notRecoverable(mode protocol.AuthMode) *RefreshError {
	e := &RefreshError{Reason: protocol.ReasonUnauthorized, Message: "the backend refused the API key"}
	if mode == protocol.AuthModeChatGPT {
		e.Message = "the backend refused the stored ChatGPT sign-in, which has no refresh token; sign in again"
	}
	return e
}

// ErrParentGone is wrapped by the error of an [Asker] where the parent has
// closed its side and no answer can come.
var ErrParentGone = errors.New("the parent has closed its side")

// ParentError is the error of an [Asker] where the parent answered with an
// error. Message and Data are the parent's own; a Manager cleans them before
// they become part of a RefreshError, and so its Error does not show them.
type ParentError struct {
	Code    int64
	Message string
	Data    jsontext.Value
}

func (e *ParentError) Error() string { return fmt.Sprintf("the parent answered with error %d", e.Code) }
