package rpc

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// Codes that this package answers with by itself. All other codes come from
// [Hooks].Error.
const (
	codeParse      int64 = -32700
	codeInvalid    int64 = -32600
	codeInternal   int64 = -32603
	codeOverloaded int64 = -32001
)

// Error is the error member of an answer, in both directions.
type Error struct {
	Code    int64
	Message string
	// Data is the data member as it came or goes; nil for none.
	Data jsontext.Value
}

func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("error %d without a message", e.Code)
	}
	return e.Message
}

// ErrClosed is returned by Notify and Ask once the connection is closed, and
// by Ask once the input has ended, because no answer can come any more.
var ErrClosed = errors.New("rpc: connection is closed")

// ErrParentGone is in the error of Run where the parent left so much output
// unread that the bound of the outbox was passed.
var ErrParentGone = errors.New("rpc: the parent has stopped reading")

// ErrNotFlushed is in the error of Run where output was still unwritten when
// the time of the shutdown was over.
var ErrNotFlushed = errors.New("rpc: output was not read in time")

// own makes an error of this package. The reason is a stable word for
// programs, as in every other error that the product sends.
func own(code int64, reason, message string) *Error {
	return &Error{Code: code, Message: message, Data: jsontext.Value(`{"reason":"` + reason + `"}`)}
}

// The errors that this package answers with by itself.
var (
	errNotJSON     = own(codeParse, "parseError", "Parse error: the line is not JSON")
	errNotUTF8     = own(codeParse, "parseError", "Parse error: the line is not UTF-8")
	errBadUTF8     = own(codeInvalid, "invalidRequest", "Invalid request: the line is not UTF-8")
	errNotObject   = own(codeInvalid, "invalidRequest", "Invalid request: the line is not a JSON object")
	errNoMessage   = own(codeInvalid, "invalidRequest", "Invalid request: no method of type string")
	errDuplicate   = own(codeInvalid, "invalidRequest", "Invalid request: a member occurs twice")
	errIDType      = own(codeInvalid, "invalidRequest", "Invalid request: id must be a string or a 64-bit integer")
	errLineTooLong = own(codeInvalid, "invalidRequest", "Invalid request: the line is too long")
	errUnknown     = own(codeInvalid, "unknownMethod", "Invalid request: unknown method")
	errParams      = own(codeInvalid, "invalidRequest", "Invalid request: params do not fit the method")
	errOverloaded  = own(codeOverloaded, "overloaded", "Too many requests are waiting; send it again later")
	errDraining    = own(codeInternal, "shuttingDown", "The server is shutting down")
	errInternal    = own(codeInternal, "internal", "Internal error")
)

// defaultError is what stands in for Hooks.Error: an *Error in the chain goes
// out as it is, the text of anything else stays inside.
func defaultError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return errInternal
}
