package rollout

import (
	"errors"
	"fmt"
)

// ErrInUse says that another writer, of this server or another one, has the
// thread's file.
var ErrInUse = errors.New("the thread is in use by another server")

// ErrNotFound says that there is no file of that thread.
var ErrNotFound = errors.New("no such thread is stored")

// ErrCursor says that a cursor is none of this list, or of another order.
var ErrCursor = errors.New("this is no cursor of this list")

// WriteError says that lines could not be written or synced. The thread can go
// on: see [Writer.Append].
type WriteError struct {
	Path string
	Err  error
	// Repeated is set on all errors of a row of failures but the first. A
	// caller that tells a user tells him of the first.
	Repeated bool
	// GaveUp says that too much waits to be written: what waited and all that
	// follows is dropped. The file stays a true beginning of the thread.
	GaveUp bool
}

func (e *WriteError) Error() string {
	if e.GaveUp {
		return fmt.Sprintf("rollout: %s is not written any more: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("rollout: write %s: %v", e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *WriteError) Unwrap() error { return e.Err }
