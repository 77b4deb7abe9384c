package session

import (
	"context"
	"iter"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/backend"
)

// Parent is the application on the other end of the wire. Both methods are safe
// for concurrent use.
type Parent interface {
	// Notify sends a notification. It encodes params before it returns and may
	// wait while the parent reads too slowly; ctx ends that wait.
	Notify(ctx context.Context, method string, params any) error
	// Ask sends a request and waits for its answer. It returns the request's id
	// too, also with an error; -1 where the request was never sent. The error wraps
	// [ErrParentGone] where no answer can come any more.
	Ask(ctx context.Context, method string, params any) (id int64, answer jsontext.Value, err error)
}

// Model is the backend: one attempt of one response at a time. The error that
// the sequence may yield is a *[backend.Error], and the last thing it yields.
type Model interface {
	Stream(ctx context.Context, r *backend.Request) iter.Seq2[backend.Event, error]
}
