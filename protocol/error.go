package protocol

import "fmt"

// Error codes of the wire. The reference answers every fault of a request's
// shape with CodeInvalidRequest, unknown methods included; -32601 is not used.
const (
	CodeParseError     int64 = -32700
	CodeInvalidRequest int64 = -32600
	CodeInvalidParams  int64 = -32602 // input over a limit, and nothing else
	CodeInternal       int64 = -32603
	CodeOverloaded     int64 = -32001 // the parent should send it again later
)

// Reasons are stable words for programs, sent as error.data.reason. The texts
// beside them are for people and may change.
const (
	ReasonParse             = "parseError"
	ReasonInvalidRequest    = "invalidRequest"
	ReasonInvalidParams     = "invalidParams"
	ReasonUnknownMethod     = "unknownMethod"
	ReasonNotServed         = "methodNotServed"
	ReasonNotInitialized    = "notInitialized"
	ReasonInitialized       = "alreadyInitialized"
	ReasonExperimental      = "experimentalApiRequired"
	ReasonOverloaded        = "overloaded"
	ReasonInternal          = "internal"
	ReasonShuttingDown      = "shuttingDown"
	ReasonConfig            = "configInvalid"
	ReasonThreadNotFound    = "threadNotFound"
	ReasonThreadInUse       = "threadInUse"
	ReasonThreadEphemeral   = "threadEphemeral"
	ReasonThreadArchived    = "threadArchived"
	ReasonTurnRunning       = "turnRunning"
	ReasonTurnNotFound      = "turnNotFound"
	ReasonTurnMismatch      = "turnMismatch"
	ReasonTurnNotSteerable  = "turnNotSteerable"
	ReasonInputTooLarge     = "inputTooLarge"
	ReasonUnknownProvider   = "unknownModelProvider"
	ReasonInvalidToken      = "invalidToken"
	ReasonAccountMismatch   = "accountMismatch"
	ReasonWorkspace         = "workspaceNotAllowed"
	ReasonLoginMethod       = "loginMethodNotAllowed"
	ReasonExternalAuth      = "externalAuthActive"
	ReasonNotSignedIn       = "notSignedIn"
	ReasonUnauthorized      = "unauthorized"
	ReasonBackend           = "backendFailed"
	ReasonRestrictionBroken = "restrictionUnreadable"
	ReasonNotAllowed        = "notAllowed"
	ReasonStorage           = "storageFailed"
	ReasonLogin             = "loginFailed"
	ReasonNoDiff            = "noDiff"
)

// Error is an error that the parent gets as the answer to a request.
type Error struct {
	Code    int64
	Message string
	// Reason is one of the Reason constants; it becomes data.reason.
	Reason string
	// Data are further members of error.data; nil for none.
	Data map[string]any
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error with the code and reason given.
func Errorf(code int64, reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes the error for a request that cannot be taken as it is.
func Invalid(reason, format string, args ...any) *Error {
	return Errorf(CodeInvalidRequest, reason, format, args...)
}
