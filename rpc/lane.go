package rpc

import (
	"context"
	"sync"
)

// call is one request from its arrival to its answer.
type call struct {
	entry  *entry
	id     []byte // JSON text as it came
	params any
	size   int64 // bytes of the line

	mu       sync.Mutex // held while the answer is queued
	answered bool

	// rest is what is left to do once the call has left its lane; leaves says
	// that it is to do so now. Both belong to the goroutine that serves the call.
	rest   rest
	leaves bool
}

// respond queues the answer, unless there is one. Whoever finds one here can rely
// on it: it is in the outbox.
func (c *call) respond(queue func()) (first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answered {
		return false
	}
	c.answered = true
	queue()
	return true
}

func (c *call) isAnswered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answered
}

// run runs the handler, or what it left to do.
func (c *call) run(ctx context.Context) (result any, then Then, err error) {
	if c.rest != nil {
		return c.rest(ctx)
	}
	result, then, c.rest, err = c.entry.run(ctx, c.params)
	c.params = nil // may be large, and what follows may take long
	c.leaves = c.rest != nil
	return result, then, err
}

// lanes runs requests: those with equal keys one after the other on one
// goroutine, which lives as long as its queue is not empty. It owns these
// goroutines; the channel from drain says that all have ended.
type lanes struct {
	serve    func(*call) // runs on the lane's goroutine
	maxCalls int
	maxBytes int64

	mu       sync.Mutex
	byKey    map[string]*lane
	active   map[*lane]struct{} // all with a goroutine, keyed or not
	calls    int                // waiting and running
	bytes    int64              // of their lines
	draining bool
	idle     chan struct{} // closed when draining and nothing is left
}

// lane is one queue. Its fields are guarded by lanes.mu.
type lane struct {
	key     string
	keyed   bool
	queue   []*call
	current *call
}

func newLanes(maxCalls int, maxBytes int64, serve func(*call)) *lanes {
	return &lanes{serve: serve, maxCalls: maxCalls, maxBytes: maxBytes,
		byKey: map[string]*lane{}, active: map[*lane]struct{}{}, idle: make(chan struct{})}
}

// add queues a request. It refuses while draining, and when too many requests,
// or bytes of them, are waiting; a request alone is never too large.
func (s *lanes) add(c *call, key string, keyed bool) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return errDraining
	case s.calls >= s.maxCalls, s.calls > 0 && s.bytes+c.size > s.maxBytes:
		return errOverloaded
	}
	s.calls++
	s.bytes += c.size
	if keyed {
		if l := s.byKey[key]; l != nil {
			l.queue = append(l.queue, c)
			return nil
		}
	}
	l := &lane{key: key, keyed: keyed, current: c}
	s.active[l] = struct{}{}
	if keyed {
		s.byKey[key] = l
	}
	go s.run(l)
	return nil
}

// run serves the lane until its queue is empty. A handler that ends its
// goroutine (runtime.Goexit) takes this one along; another goes on in its
// place.
func (s *lanes) run(l *lane) {
	clean := false
	defer func() {
		if !clean && s.next(l) != nil {
			go s.run(l)
		}
	}()
	s.mu.Lock()
	c := l.current
	s.mu.Unlock()
	for c != nil {
		s.serve(c)
		if c.leaves {
			s.leave(c)
		}
		c = s.next(l)
	}
	clean = true
}

// leave gives a request a lane of its own, without order. It counts as before.
func (s *lanes) leave(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.leaves = false
	s.calls++
	s.bytes += c.size
	l := &lane{current: c}
	s.active[l] = struct{}{}
	go s.run(l)
}

// hold makes the requests with a key wait behind a call of another lane, until
// release is called. A key that has a lane already is left alone.
func (s *lanes) hold(c *call, key string) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[key] != nil {
		return func() {}
	}
	s.calls++
	s.bytes += c.size
	l := &lane{key: key, keyed: true, current: c}
	s.active[l], s.byKey[key] = struct{}{}, l
	return func() {
		if s.next(l) != nil {
			go s.run(l)
		}
	}
}

// next accounts for the request that was served and takes the next one. With
// none left the lane is gone.
func (s *lanes) next(l *lane) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doneLocked(l.current)
	l.current = nil
	if len(l.queue) > 0 {
		l.current, l.queue[0] = l.queue[0], nil
		l.queue = l.queue[1:]
		return l.current
	}
	delete(s.active, l)
	if l.keyed {
		delete(s.byKey, l.key)
	}
	s.idleLocked()
	return nil
}

func (s *lanes) doneLocked(c *call) {
	s.calls--
	s.bytes -= c.size
}

func (s *lanes) idleLocked() {
	if s.draining && len(s.active) == 0 {
		close(s.idle)
	}
}

// drain takes no more requests. The channel is closed once all lanes have
// ended. It is called once.
func (s *lanes) drain() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	s.idleLocked()
	return s.idle
}

// strand gives up on what has not ended: it takes all waiting requests off
// their queues and returns them together with the running ones, so that they
// can be answered. Goroutines whose handlers hang are left behind.
func (s *lanes) strand() []*call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var stranded []*call
	for l := range s.active {
		stranded = append(stranded, l.current)
		for _, c := range l.queue {
			stranded = append(stranded, c)
			s.doneLocked(c)
		}
		l.queue = nil
	}
	return stranded
}
