package main

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"app-server/internal/backend"
	"app-server/protocol"
	"app-server/rpc"
)

// wireError turns any error of a handler into what the parent gets. It is the
// one place that does: packages return typed errors and know no codes of
// transports other than the protocol's. The text of an error that is not typed
// may quote anything, so it goes into the log and not to the parent.
func (s *server) wireError(err error) *rpc.Error {
	var p *protocol.Error
	var b *backend.Error
	switch {
	case errors.As(err, &p):
	case errors.As(err, &b):
		p = backendError(b)
	case errors.Is(err, context.Canceled), errors.Is(err, rpc.ErrClosed):
		p = protocol.Errorf(protocol.CodeInternal, protocol.ReasonShuttingDown, "The server is shutting down")
	default:
		s.log.Error("a request failed for an unforeseen reason", zap.Error(err))
		p = protocol.Errorf(protocol.CodeInternal, protocol.ReasonInternal, "Internal error")
	}
	data := map[string]any{"reason": p.Reason}
	for k, v := range p.Data {
		data[k] = v
	}
	raw, err := json.Marshal(data, json.Deterministic(true))
	if err != nil {
		raw = nil // the error goes out without its data
	}
	return &rpc.Error{Code: p.Code, Message: p.Message, Data: raw}
}

// backendError is what a call to the backend outside of a turn ends with.
func backendError(err *backend.Error) *protocol.Error {
	switch err.Kind {
	case backend.KindUnauthorized:
		return protocol.Errorf(protocol.CodeInternal, protocol.ReasonUnauthorized, "%s", err.Message)
	case backend.KindNotSignedIn:
		return protocol.Invalid(protocol.ReasonNotSignedIn, "%s", err.Message)
	}
	return protocol.Errorf(protocol.CodeInternal, protocol.ReasonBackend, "%s", err.Message)
}

// unknownMethod tells a method that this server does not serve yet from one
// that nobody knows, which is refused as such even before the handshake. The
// reference answers both with the same code.
func (p *parent) unknownMethod(method string) error {
	if notServed[method] {
		if err := p.gate(method); err != nil {
			return err
		}
		return protocol.Invalid(protocol.ReasonNotServed, "Method `%s` is not served by this server yet", method)
	}
	return protocol.Invalid(protocol.ReasonUnknownMethod, "Invalid request: unknown method `%.100s`", method)
}
