package fake

import (
	"context"
	"fmt"
	"time"
)

// killPatience is how long a server that was killed may take. A function in this
// process cannot be killed, only asked, and fake time is free.
const killPatience = time.Minute

// patience is how long the line now played may take.
func (r *runner) patience(usual time.Duration) time.Duration {
	if r.within > 0 && (r.mode.Memory || r.within > usual) {
		return r.within
	}
	return usual
}

// bounded is a context that ends after d, and says so.
func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("waited %v", d))
}

// lookAgain is how long to wait between two looks at what tells nobody that it
// has changed: files, stderr, the process table.
const lookAgain = 20 * time.Millisecond

// soon makes a check again until it holds, or patience is over.
func (r *runner) soon(ctx context.Context, check func() error) error {
	ctx, cancel := bounded(ctx, r.patience(r.mode.Patience))
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}
