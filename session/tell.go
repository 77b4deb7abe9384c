package session

import (
	"context"
	"sync"
	"time"

	"app-server/protocol"
)

// tell sends a notification about the thread, unless the parent does not want to
// hear of it. Its status and what belongs to the account are told all the same,
// as in the reference.
func (t *thread) tell(ctx context.Context, method string, params any) {
	if t.silent.Load() && method != protocol.MethodThreadStatusChanged && method != protocol.MethodAccountRateLimitsUpdated {
		return
	}
	if over := t.pause.running(); over != nil {
		select {
		case <-over:
		case <-ctx.Done():
		case <-t.m.ending.Done(): // no response is on its way any more
		}
	}
	t.m.notify(ctx, method, params)
}

// answering runs work on the thread's goroutine for a request whose response comes
// before what it causes in the thread is told. The func returned is for when the
// response is on its way; it does what work returns, if anything.
func (t *thread) answering(ctx context.Context, work func() (then func(), err error)) (func(), error) {
	var then func()
	var err error
	end := t.pause.begin()
	if doErr := t.do(ctx, func() { then, err = work() }); doErr != nil {
		end()
		return nil, doErr
	}
	if err != nil {
		end()
		return nil, err
	}
	return func() {
		if then != nil {
			then()
		}
		end()
	}, nil
}

// pause keeps what is told of a thread back while a response about it is on its way:
// a parent that has heard of a turn's end must not get an older view of the thread
// after it, nor be told then that its words went into that turn. The zero value keeps
// nothing back.
type pause struct {
	mu sync.Mutex
	// Guarded by mu: how many responses there are, and what is closed when there is
	// none left.
	n    int
	over chan struct{}
}

// longestPause bounds the wait for a response that is never sent. Others take as
// long as it takes to read a file.
const longestPause = 10 * time.Second

// begin comes before the view is made, and end follows the response. What is being
// told already is in the view, since all is recorded before it is told.
func (p *pause) begin() (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		p.over = make(chan struct{})
	}
	p.n++
	once := sync.OnceFunc(p.end)
	timer := time.AfterFunc(longestPause, once)
	return func() {
		timer.Stop()
		once()
	}
}

func (p *pause) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n--; p.n == 0 {
		close(p.over)
		p.over = nil
	}
}

// running is closed when nothing is kept back any more; nil where nothing is.
func (p *pause) running() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}
