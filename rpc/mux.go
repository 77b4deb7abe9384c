package rpc

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Hooks are what a Mux does not know by itself. Each may be nil. All but Error
// run on the dispatcher, in order of arrival, and must not block.
type Hooks struct {
	// Gate is asked before a request or a known notification is decoded; an
	// error refuses it.
	Gate func(method string) error
	// Decode fills into, a pointer to the handler's type, from params, which
	// are nil where the member is absent. It must not keep params.
	Decode func(params jsontext.Value, into any) error
	// Check looks at decoded parameters; an error refuses the request.
	Check func(method string, params any) error
	// Error turns any error, of a hook or a handler, into what is sent. Without
	// it only an *Error shows its text.
	Error func(error) *Error
	// Unknown makes the error for a request whose method is not registered.
	Unknown func(method string) error
}

// Then is what a handler wants to have done after its response is in the
// outbox: send the notifications that the request causes. It runs on the
// request's lane. It is not run where there is no response.
type Then = func()

// Lane finds the key of a request: requests with the same key run one after
// the other in order of arrival, requests with different keys side by side. It
// runs on the dispatcher. A nil Lane gives every request a goroutine of its
// own, without order.
type Lane[P any] func(*P) string

// Fixed is the lane with the same key for all requests.
func Fixed[P any](key string) Lane[P] { return func(*P) string { return key } }

// Rest makes the answer of a request that has left its lane; see [HandleSlow].
type Rest[R any] = func(context.Context) (R, Then, error)

// rest is a Rest without its type.
type rest func(context.Context) (any, Then, error)

// Mux is the method table. It is filled once, before [Conn.Run], and only read
// from then on.
type Mux struct {
	hooks   Hooks
	entries map[string]*entry
}

// entry is one method, its types hidden in closures. Parameters are passed as
// the pointer that the handler gets.
type entry struct {
	method string
	fresh  func() any                                          // new parameters
	key    func(params any) string                             // nil: no order
	run    func(context.Context, any) (any, Then, rest, error) // request
	note   func(context.Context, any)                          // notification
	opens  func(result any) string                             // lane that waits for Then; nil: none
	inline bool
}

// NewMux makes an empty table.
func NewMux(h Hooks) *Mux {
	if h.Decode == nil {
		h.Decode = func(params jsontext.Value, into any) error {
			if params == nil {
				return nil
			}
			if err := json.Unmarshal(params, into); err != nil {
				return errParams // the library's text may quote the input
			}
			return nil
		}
	}
	if h.Error == nil {
		h.Error = defaultError
	}
	if h.Unknown == nil {
		h.Unknown = func(string) error { return errUnknown }
	}
	return &Mux{hooks: h, entries: map[string]*entry{}}
}

func (m *Mux) add(e *entry) {
	if _, ok := m.entries[e.method]; ok {
		panic(fmt.Sprintf("rpc: method %q is registered twice", e.method))
	}
	m.entries[e.method] = e
}

// Handle registers a request handler. A name that is registered already
// panics. The context of a handler is cancelled at shutdown, after a grace.
func Handle[P, R any](m *Mux, method string, lane Lane[P], h func(context.Context, *P) (R, error)) {
	HandleThen(m, method, lane, func(ctx context.Context, p *P) (R, Then, error) {
		r, err := h(ctx, p)
		return r, nil, err
	})
}

// HandleThen is Handle for handlers that have something to do after the
// response; see [Then].
func HandleThen[P, R any](m *Mux, method string, lane Lane[P], h func(context.Context, *P) (R, Then, error)) {
	e := requestEntry(method, h)
	setLane(e, lane)
	m.add(e)
}

// HandleSlow is HandleThen for handlers that at times wait for something that
// the requests behind them must not wait for, too. Such a handler does on its
// lane what depends on the order, and returns a Rest: that makes the answer on a
// goroutine of its own, while the lane goes on. Without a Rest all is as with
// HandleThen.
func HandleSlow[P, R any](m *Mux, method string, lane Lane[P], h func(context.Context, *P) (R, Then, Rest[R], error)) {
	e := &entry{
		method: method,
		fresh:  func() any { return new(P) },
		run: func(ctx context.Context, p any) (any, Then, rest, error) {
			r, then, more, err := h(ctx, p.(*P))
			if err != nil || more == nil {
				return r, then, nil, err
			}
			return nil, nil, func(ctx context.Context) (any, Then, error) {
				r, then, err := more(ctx)
				return r, then, err
			}, nil
		},
	}
	setLane(e, lane)
	m.add(e)
}

// Opens says that a request that is registered makes something new, whose requests
// have the lane that key finds: they wait until the Then of the request is done. A
// parent may send them as soon as it has the response.
func Opens[R any](m *Mux, method string, key func(*R) string) {
	m.entries[method].opens = func(result any) string {
		r := result.(R)
		return key(&r)
	}
}

func setLane[P any](e *entry, lane Lane[P]) {
	if lane != nil {
		e.key = func(p any) string { return lane(p.(*P)) }
	}
}

// HandleInline registers a handler that runs on the dispatcher: it is done,
// Then included, before the next line is looked at. It must not block; a
// Notify with the context that it gets does not wait.
func HandleInline[P, R any](m *Mux, method string, h func(context.Context, *P) (R, Then, error)) {
	e := requestEntry(method, h)
	e.inline = true
	m.add(e)
}

// HandleNotification registers a handler for a notification. It runs inline as
// in [HandleInline]. Notifications without a handler, refused by a hook, or
// with parameters that do not decode are dropped.
func HandleNotification[P any](m *Mux, method string, h func(context.Context, *P)) {
	m.add(&entry{
		method: method,
		fresh:  func() any { return new(P) },
		note:   func(ctx context.Context, p any) { h(ctx, p.(*P)) },
		inline: true,
	})
}

func requestEntry[P, R any](method string, h func(context.Context, *P) (R, Then, error)) *entry {
	return &entry{
		method: method,
		fresh:  func() any { return new(P) },
		run: func(ctx context.Context, p any) (any, Then, rest, error) {
			r, then, err := h(ctx, p.(*P))
			return r, then, nil, err
		},
	}
}

// prepare passes a message through the hooks up to decoded parameters.
func (m *Mux) prepare(e *entry, params []byte) (any, error) {
	if m.hooks.Gate != nil {
		if err := m.hooks.Gate(e.method); err != nil {
			return nil, err
		}
	}
	p := e.fresh()
	if err := m.hooks.Decode(params, p); err != nil {
		return nil, err
	}
	if m.hooks.Check != nil {
		if err := m.hooks.Check(e.method, p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// failure is what is sent for err.
func (m *Mux) failure(err error) *Error {
	if e := m.hooks.Error(err); e != nil {
		return e
	}
	return errInternal
}
