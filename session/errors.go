package session

import (
	"context"
	"errors"
	"strings"

	"app-server/internal/backend"
	"app-server/protocol"
)

var (
	errShuttingDown = protocol.Invalid(protocol.ReasonShuttingDown, "The server is shutting down")
	errInternal     = protocol.Errorf(protocol.CodeInternal, protocol.ReasonInternal, "Internal error")
)

// ErrParentGone is wrapped by the error of [Parent].Ask, and by that of a [Model]
// that needs the parent, where no answer can come any more.
var ErrParentGone = errors.New("session: the parent has closed its side")

// errInterrupted ends a turn that was interrupted.
var errInterrupted = errors.New("session: turn interrupted")

// failure is an error that ends a turn with words of this package.
type failure struct {
	kind    protocol.ErrorKind
	message string
	cause   error
}

func (f *failure) Error() string { return f.message }

func (f *failure) Unwrap() error { return f.cause }

// interrupted reports whether a turn ended because its context did.
func interrupted(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() == nil {
		return false
	}
	var be *backend.Error
	return errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled) || errors.As(err, &be) && be.Kind == backend.KindCanceled
}

// turnError is what the parent is told of the error that ended a turn.
func turnError(err error) *protocol.TurnError {
	var be *backend.Error
	if errors.As(err, &be) {
		return backendError(be, infoOf(be))
	}
	var f *failure
	if errors.As(err, &f) {
		return &protocol.TurnError{Message: f.message, CodexErrorInfo: &protocol.CodexErrorInfo{Kind: f.kind}}
	}
	return &protocol.TurnError{Message: "An internal error ended the turn", CodexErrorInfo: &protocol.CodexErrorInfo{Kind: protocol.KindOther}}
}

// retryError is what the parent is told of an error that is tried again.
func retryError(be *backend.Error) *protocol.TurnError {
	return backendError(be, protocol.CodexErrorInfo{Kind: protocol.KindResponseStreamDisconnected, HTTPStatus: statusOf(be)})
}

func backendError(be *backend.Error, info protocol.CodexErrorInfo) *protocol.TurnError {
	e := &protocol.TurnError{Message: be.Message, CodexErrorInfo: &info}
	if d := strings.TrimSpace(be.Details); d != "" {
		e.AdditionalDetails = &d
	}
	return e
}

// infoOf maps kinds. Where the reference says "other" although the cause is
// known (a refused credential, a bad request, no connection), the wire's own
// kind for that cause is used, so that a parent can offer a sign-in or tell the
// user what to mend.
func infoOf(be *backend.Error) protocol.CodexErrorInfo {
	plain := map[backend.ErrorKind]protocol.ErrorKind{
		backend.KindUnauthorized:  protocol.KindUnauthorized,
		backend.KindNotSignedIn:   protocol.KindUnauthorized,
		backend.KindBadRequest:    protocol.KindBadRequest,
		backend.KindContextWindow: protocol.KindContextWindowExceeded,
		backend.KindUsageLimit:    protocol.KindUsageLimitExceeded,
		backend.KindOverloaded:    protocol.KindServerOverloaded,
		backend.KindCyberPolicy:   protocol.KindCyberPolicy,
		backend.KindServer:        protocol.KindInternalServerError,
	}
	withStatus := map[backend.ErrorKind]protocol.ErrorKind{
		backend.KindTooManyRequests:    protocol.KindResponseTooManyFailedAttempts,
		backend.KindConnectFailed:      protocol.KindHTTPConnectionFailed,
		backend.KindStreamDisconnected: protocol.KindResponseStreamDisconnected,
	}
	if k, ok := plain[be.Kind]; ok {
		return protocol.CodexErrorInfo{Kind: k}
	}
	if k, ok := withStatus[be.Kind]; ok {
		return protocol.CodexErrorInfo{Kind: k, HTTPStatus: statusOf(be)}
	}
	return protocol.CodexErrorInfo{Kind: protocol.KindOther}
}

func statusOf(be *backend.Error) *int {
	if be.Status == 0 {
		return nil
	}
	s := be.Status
	return &s
}
