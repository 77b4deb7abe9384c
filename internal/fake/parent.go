package fake

import (
	"bufio"
	"context"
	"fmt"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Direction tells who sent a line.
type Direction string

// The two directions, as stories and the demo print them.
const (
	ToServer   Direction = "->"
	FromServer Direction = "<-"
)

// ParentOptions configure a [Parent]. All are optional. Handlers and callbacks
// for server messages run on the reading goroutine, handlers of requests on
// goroutines of their own.
type ParentOptions struct {
	// Requests answer the server's requests by method. A method that is not
	// here is answered with an error.
	Requests map[string]func(ctx context.Context, params jsontext.Value) (any, error)
	// Notification sees every notification in order. It must not call the server.
	Notification func(method string, params jsontext.Value)
	// Trace sees every line, without its line feed, before it is sent or handled.
	Trace func(d Direction, line []byte)
}

// RPCError is an error answer. A handler may return one to choose its code.
type RPCError struct {
	Code    int64          `json:"code"`
	Message string         `json:"message"`
	Data    jsontext.Value `json:"data,omitzero"`
}

func (e *RPCError) Error() string { return fmt.Sprintf("%s (code %d)", e.Message, e.Code) }

// codeMethodMissing is what this parent answers where it has no handler.
const codeMethodMissing = -32601

// Parent is a small parent application: it calls the server and answers the
// server's requests. It is safe for concurrent use.
type Parent struct {
	opts    ParentOptions
	process *Process
	send    *sender
	ctx     context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup // the reader and running handlers
	gone    chan struct{}  // closed when stdout has ended

	mu      sync.Mutex
	traceMu sync.Mutex // keeps traced lines in the order sent
	nextID  int64      // guarded by mu
	waiting map[int64]chan *wireMessage
}

// wireMessage is any message of the wire.
type wireMessage struct {
	ID     jsontext.Value `json:"id,omitzero"`
	Method string         `json:"method,omitzero"`
	Params jsontext.Value `json:"params,omitzero"`
	Result jsontext.Value `json:"result,omitzero"`
	Error  *RPCError      `json:"error,omitzero"`
}

// Spawn starts a server as a child process and speaks with it. The caller ends
// it with [Parent.Close].
func Spawn(l Launch, o ParentOptions) (*Parent, error) {
	p, err := StartChild(l)
	if err != nil {
		return nil, err
	}
	return NewParent(p, o), nil
}

// NewParent speaks with a server that runs already.
func NewParent(p *Process, o ParentOptions) *Parent {
	ctx, cancel := context.WithCancel(context.Background())
	parent := &Parent{opts: o, process: p, send: newSender(p.Stdin), ctx: ctx, cancel: cancel,
		gone: make(chan struct{}), waiting: map[int64]chan *wireMessage{}}
	parent.work.Add(1)
	go parent.read() // ends with the server's stdout
	return parent
}

// Call sends a request and decodes its result into result, which may be nil.
// An error answer is returned as *RPCError.
func (p *Parent) Call(ctx context.Context, method string, params, result any) error {
	encoded, err := json.Marshal(params, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("fake: %s: %w", method, err)
	}
	p.mu.Lock()
	p.nextID++
	id := p.nextID
	answer := make(chan *wireMessage, 1)
	p.waiting[id] = answer
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.waiting, id)
		p.mu.Unlock()
	}()
	p.write(&wireMessage{ID: fmt.Appendf(nil, "%d", id), Method: method, Params: encoded})
	select {
	case m := <-answer:
		return m.decode(method, result)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	case <-p.gone:
		select {
		case m := <-answer: // it came just before the end
			return m.decode(method, result)
		default:
			return fmt.Errorf("%s: %w", method, ErrServerGone)
		}
	}
}

func (m *wireMessage) decode(method string, result any) error {
	if m.Error != nil {
		return fmt.Errorf("%s: %w", method, m.Error)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(m.Result, result); err != nil {
		return fmt.Errorf("%s: result: %w", method, err)
	}
	return nil
}

// Notify sends a notification. With nil params it has none.
func (p *Parent) Notify(method string, params any) error {
	m := &wireMessage{Method: method}
	if params != nil {
		encoded, err := json.Marshal(params, json.Deterministic(true))
		if err != nil {
			return fmt.Errorf("fake: %s: %w", method, err)
		}
		m.Params = encoded
	}
	p.write(m)
	return nil
}

func (p *Parent) write(m *wireMessage) {
	line := mustJSON(m)
	p.traceMu.Lock()
	defer p.traceMu.Unlock()
	p.trace(ToServer, line)
	p.send.send(append(line, '\n'))
}

func (p *Parent) trace(d Direction, line []byte) {
	if p.opts.Trace != nil {
		p.opts.Trace(d, line)
	}
}

func (p *Parent) read() {
	defer p.work.Done()
	defer close(p.gone)
	in := bufio.NewReader(p.process.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		line = line[:len(line)-1]
		p.traceMu.Lock()
		p.trace(FromServer, line)
		p.traceMu.Unlock()
		m := &wireMessage{}
		if json.Unmarshal(line, m) == nil {
			p.handle(m)
		}
	}
}

func (p *Parent) handle(m *wireMessage) {
	switch {
	case m.Method != "" && m.ID != nil:
		p.work.Add(1)
		go p.answer(m) // ends with its handler
	case m.Method != "":
		if p.opts.Notification != nil {
			p.opts.Notification(m.Method, m.Params)
		}
	default:
		var id int64
		if json.Unmarshal(m.ID, &id) != nil {
			return
		}
		p.mu.Lock()
		answer := p.waiting[id]
		delete(p.waiting, id)
		p.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
}

func (p *Parent) answer(m *wireMessage) {
	defer p.work.Done()
	reply := &wireMessage{ID: m.ID}
	handler := p.opts.Requests[m.Method]
	if handler == nil {
		reply.Error = &RPCError{Code: codeMethodMissing, Message: "this parent does not serve " + m.Method}
		p.write(reply)
		return
	}
	result, err := handler(p.ctx, m.Params)
	if err == nil {
		reply.Result, err = json.Marshal(result, json.Deterministic(true))
	}
	if err != nil {
		rpcError, ok := err.(*RPCError)
		if !ok {
			rpcError = &RPCError{Code: -32000, Message: err.Error()}
		}
		reply.Result, reply.Error = nil, rpcError
	}
	p.write(reply)
}

// Gone is closed when the server's stdout has ended.
func (p *Parent) Gone() <-chan struct{} { return p.gone }

// Stderr returns what the server wrote to stderr so far.
func (p *Parent) Stderr() string { return p.process.Stderr.String() }

// Close ends the server by closing its stdin, waits until it has exited, and
// returns its exit code. When ctx ends first the server is killed.
func (p *Parent) Close(ctx context.Context) (int, error) {
	p.send.close()
	code, err := p.process.waitExit(ctx)
	if err != nil {
		p.process.Kill()
	}
	p.cancel()
	if err != nil {
		_ = p.process.Stdout.Close()
	}
	p.work.Wait()
	<-p.send.done
	_ = p.process.Stdout.Close()
	return code, err
}
