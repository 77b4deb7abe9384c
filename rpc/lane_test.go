package rpc

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap/zapcore"
)

// gate is a handler that waits until it is told to go on.
type gate struct {
	mu      sync.Mutex
	started []string
	open    map[string]chan struct{}
}

func newGate() *gate { return &gate{open: map[string]chan struct{}{}} }

func (g *gate) channel(text string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open[text] == nil {
		g.open[text] = make(chan struct{})
	}
	return g.open[text]
}

func (g *gate) handle(ctx context.Context, p *echoParams) (echoResult, error) {
	g.mu.Lock()
	g.started = append(g.started, p.Text)
	g.mu.Unlock()
	select {
	case <-g.channel(p.Text):
		return echoResult{p.Text}, nil
	case <-ctx.Done():
		return echoResult{}, ctx.Err()
	}
}

func (g *gate) let(text string) { close(g.channel(text)) }

func (g *gate) begun() string {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := strings.Join(g.started, " ")
	g.started = nil
	return s
}

func gateMux(g *gate) *Mux {
	m := echoMux()
	Handle(m, "keyed", func(p *echoParams) string { return p.Key }, g.handle)
	Handle(m, "loose", nil, g.handle)
	return m
}

func req(id int, method, key, text string) string {
	return fmt.Sprintf(`{"id":%d,"method":%q,"params":{"key":%q,"text":%q}}`, id, method, key, text)
}

func res(id int, text string) string { return fmt.Sprintf(`{"id":%d,"result":{"text":%q}}`, id, text) }

// TestOpens: what follows the response of a request that makes something comes before
// whatever is asked of that, however long it takes.
func TestOpens(t *testing.T) {
	for name, after := range map[string][]string{"used": {`{"method":"made"}`, res(2, "u1"), res(3, "u2")}, "ended": {`{"method":"made"}`}} {
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			mux := gateMux(g)
			var p *parent
			slow := make(chan struct{})
			HandleThen(mux, "make", nil, func(_ context.Context, in *echoParams) (echoResult, Then, error) {
				return echoResult{in.Text}, func() {
					<-slow
					if err := p.conn.Notify(t.Context(), "made", nil); err != nil {
						t.Error(err)
					}
				}, nil
			})
			Opens(mux, "make", func(r *echoResult) string { return r.Text })
			p = newParent(t, mux, nil)
			p.run()
			p.send(req(1, "make", "", "new"))
			p.want(res(1, "new"))
			if name == "used" {
				p.send(req(2, "keyed", "new", "u1"), req(3, "keyed", "new", "u2"), req(4, "keyed", "other", "o"))
				if got := g.begun(); got != "o" {
					t.Errorf("started %q", got)
				}
				g.let("o")
				p.want(res(4, "o"))
				g.let("u1")
				g.let("u2")
			}
			close(slow)
			p.want(after...)
			p.send(req(5, "keyed", "new", "later"))
			g.let("later")
			p.want(res(5, "later"))
			p.finish()
		})
	}
}

func TestLanesKeepOrderByKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		p := start(t, gateMux(g), nil)
		p.send(req(1, "keyed", "a", "a1"), req(2, "keyed", "a", "a2"), req(3, "keyed", "b", "b1"), req(4, "keyed", "a", "a3"))
		if got := g.begun(); got != "a1 b1" && got != "b1 a1" {
			t.Errorf("started %q", got)
		}
		g.let("a2") // not its turn yet
		p.want()
		g.let("b1")
		p.want(res(3, "b1"))
		g.let("a1")
		p.want(res(1, "a1"), res(2, "a2"))
		if got := g.begun(); got != "a2 a3" {
			t.Errorf("started %q", got)
		}
		g.let("a3")
		p.want(res(4, "a3"))
		if n := len(p.conn.lanes.byKey) + len(p.conn.lanes.active); n != 0 {
			t.Errorf("%d lanes left over", n)
		}
		p.finish()
	})
}

func TestNoLaneRunsSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		p := start(t, gateMux(g), nil)
		p.send(req(1, "loose", "", "x"), req(2, "loose", "", "y"), alive)
		p.want(aliveOK)
		g.let("y")
		p.want(res(2, "y"))
		g.let("x")
		p.want(res(1, "x"))
		p.finish()
	})
}

// A busy lane has one goroutine, however many requests wait in it.
func TestBusyLaneHasOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		p := start(t, gateMux(g), nil)
		p.send(req(0, "keyed", "a", "0"))
		before := runtime.NumGoroutine()
		for i := 1; i < 500; i++ {
			p.send(req(i, "keyed", "a", fmt.Sprint(i)))
		}
		if after := runtime.NumGoroutine(); after > before+5 {
			t.Errorf("%d goroutines became %d", before, after)
		}
		for i := range 500 {
			g.let(fmt.Sprint(i))
		}
		p.finish()
		for i, line := range p.out.take() {
			if line != res(i, fmt.Sprint(i)) {
				t.Fatalf("line %d: %s", i, line)
			}
		}
	})
}

const overloaded = `{"error":{"code":-32001,"message":"Too many requests are waiting; send it again later","data":{"reason":"overloaded"}},"id":%d}`

func TestWaitingRequestsAreCapped(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		limits       Limits
	}{
		{"number, one lane", "keyed", Limits{Requests: 3}},
		{"number, no lane", "loose", Limits{Requests: 3}},
		{"bytes", "keyed", Limits{RequestBytes: 3*59 + 10}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate()
				p := start(t, gateMux(g), func(o *Options) { o.Limits = tt.limits })
				for i := range 5 {
					p.send(req(i, tt.method, "a", fmt.Sprint(i)))
				}
				p.want(fmt.Sprintf(overloaded, 3), fmt.Sprintf(overloaded, 4))
				g.let("0")
				p.want(res(0, "0"))
				p.send(req(6, tt.method, "a", "6"), req(7, tt.method, "a", "7"))
				p.want(fmt.Sprintf(overloaded, 7))
				for _, i := range []int{1, 2, 6} {
					g.let(fmt.Sprint(i))
					p.want(res(i, fmt.Sprint(i)))
				}
				if p.conn.lanes.calls != 0 || p.conn.lanes.bytes != 0 {
					t.Errorf("left over: %d calls, %d bytes", p.conn.lanes.calls, p.conn.lanes.bytes)
				}
				p.finish()
			})
		})
	}
}

// One request larger than the cap is served, if it is alone.
func TestOneLargeRequestIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, echoMux(), func(o *Options) { o.Limits.RequestBytes = 10 })
		p.send(req(1, "echo", "", "large"))
		p.want(res(1, "large"))
		p.finish()
	})
}

func TestPanics(t *testing.T) {
	const internal = `{"error":{"code":-32603,"message":"Internal error","data":{"reason":"internal"}},"id":%d}`
	synctest.Test(t, func(t *testing.T) {
		boom := func() { panic("SECRET") }
		mux := NewMux(Hooks{
			Gate: func(m string) error {
				if m == "gate" {
					boom()
				}
				return nil
			},
			Check: func(m string, _ any) error {
				if m == "check" {
					boom()
				}
				return nil
			},
			Unknown: func(m string) error {
				if m == "unknown!" {
					boom()
				}
				return errUnknown
			},
			Error: func(err error) *Error {
				if err == errTest {
					boom()
				}
				if err == errUnknown {
					return nil
				}
				return defaultError(err)
			},
		})
		lane := Fixed[echoParams]("one")
		Handle(mux, "echo", lane, echo)
		for _, m := range []string{"gate", "check", "hook", "error", "goexit", "encode", "panics", "handler"} {
			Handle(mux, m, lane, func(_ context.Context, p *echoParams) (any, error) {
				switch m {
				case "handler":
					boom()
				case "hook":
					var none []int
					none[len(p.Text)] = 1
				case "error":
					return nil, errTest
				case "goexit":
					runtime.Goexit()
				case "encode":
					return make(chan int), nil
				case "panics":
					return panicky{}, nil
				}
				return 1, nil
			})
		}
		Handle(mux, "lane", func(*echoParams) string { panic(1) }, echo)
		HandleThen(mux, "then", lane, func(_ context.Context, p *echoParams) (echoResult, Then, error) {
			return echoResult{"then"}, boom, nil
		})
		HandleInline(mux, "inline", func(_ context.Context, p *echoParams) (echoResult, Then, error) {
			panic(errTest)
		})
		HandleInline(mux, "inline/then", func(_ context.Context, p *echoParams) (echoResult, Then, error) {
			return echoResult{"inline"}, boom, nil
		})
		HandleNotification(mux, "note", func(context.Context, *echoParams) { boom() })
		p := start(t, mux, nil)
		for i, m := range []string{"handler", "gate", "check", "hook", "lane", "error", "goexit", "encode", "panics", "inline", "unknown!", "unknown"} {
			p.send(req(i, m, "", ""), req(100+i, "echo", "", "after"))
			want := []string{fmt.Sprintf(internal, i), res(100+i, "after")}
			p.want(want...)
		}
		p.send(req(1, "then", "", ""), req(2, "echo", "", "after"))
		p.want(res(1, "then"), res(2, "after"))
		p.send(req(1, "inline/then", "", ""), `{"method":"note"}`, alive)
		p.want(res(1, "inline"), aliveOK)
		p.finish()
		stacks := 0
		for _, e := range p.logs.FilterLevelExact(zapcore.ErrorLevel).All() {
			for k, v := range e.ContextMap() {
				text := fmt.Sprint(v)
				if b, ok := v.([]byte); ok {
					text = string(b)
				}
				if strings.Contains(text, "SECRET") {
					t.Errorf("the panic's value is in the log: %s", e.Message)
				}
				if k == "stack" && strings.Contains(text, "lane_test.go") {
					stacks++
				}
			}
		}
		if stacks < 10 {
			t.Errorf("%d stacks in the log", stacks)
		}
	})
}

type panicky struct{}

func (panicky) MarshalJSON() ([]byte, error) { panic("SECRET") }

func TestRequestsWaitingBehindGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		mux := gateMux(g)
		Handle(mux, "goexit", func(p *echoParams) string { return p.Key }, func(context.Context, *echoParams) (int, error) {
			<-g.channel("exit")
			runtime.Goexit()
			return 0, nil
		})
		p := start(t, mux, nil)
		g.let("x")
		p.send(req(1, "goexit", "a", ""), req(2, "keyed", "a", "x"), req(3, "goexit", "a", ""), req(4, "keyed", "a", "x"))
		g.let("exit")
		p.finish()
		got := p.out.take()
		if len(got) != 4 || got[1] != res(2, "x") || got[3] != res(4, "x") {
			t.Errorf("got %q", got)
		}
	})
}

// The response comes first, then what Then sends, then the next response of
// the lane.
func TestResponseBeforeThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := echoMux()
		var conn *Conn
		note := func(ctx context.Context, p *echoParams) (echoResult, Then, error) {
			return echoResult{p.Text}, func() {
				for i := range 3 {
					conn.Notify(ctx, "note", map[string]int{"i": i})
				}
			}, nil
		}
		HandleThen(mux, "then", Fixed[echoParams]("one"), note)
		HandleThen(mux, "then/free", nil, note)
		HandleInline(mux, "then/inline", note)
		HandleThen(mux, "then/fails", Fixed[echoParams]("one"), func(ctx context.Context, p *echoParams) (echoResult, Then, error) {
			_, then, _ := note(ctx, p)
			return echoResult{}, then, &Error{Code: -1, Message: "no"}
		})
		p := start(t, mux, nil)
		conn = p.conn
		notes := []string{`{"method":"note","params":{"i":0}}`, `{"method":"note","params":{"i":1}}`, `{"method":"note","params":{"i":2}}`}
		var want []string
		var lines []string
		for i := range 20 {
			lines = append(lines, req(i, "then", "", "x"))
			want = append(append(want, res(i, "x")), notes...)
		}
		p.send(lines...)
		p.want(want...)
		for _, m := range []string{"then/free", "then/inline"} {
			p.send(req(1, m, "", "x"))
			p.want(append([]string{res(1, "x")}, notes...)...)
		}
		p.send(req(1, "then/fails", "", "x"))
		p.want(`{"error":{"code":-1,"message":"no"},"id":1}`)
		p.finish()
	})
}

// An inline handler has taken effect when the next line is looked at: the
// handshake state in Gate.
func TestInlineTakesEffectBeforeTheNextLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ready atomic.Bool
		var seen []string
		mux := NewMux(Hooks{Gate: func(m string) error {
			seen = append(seen, m)
			if m != "init" && !ready.Load() {
				return &Error{Code: -32600, Message: "Not initialized"}
			}
			return nil
		}})
		HandleInline(mux, "init", func(context.Context, *echoParams) (struct{}, Then, error) {
			ready.Store(true)
			return struct{}{}, nil, nil
		})
		HandleNotification(mux, "initialized", func(context.Context, *echoParams) { seen = append(seen, "noted") })
		Handle(mux, "echo", nil, echo)
		p := start(t, mux, nil)
		p.send(req(1, "echo", "", ""), `{"method":"initialized"}`, `{"id":2,"method":"init"}`, `{"method":"initialized"}`, `{"method":"initialized","params":[]}`, req(3, "echo", "", "x"), `{"id":4,"method":"initialized"}`)
		p.finish()
		want := `{"error":{"code":-32600,"message":"Not initialized"},"id":1} {"id":2,"result":{}} {"error":{"code":-32600,"message":"Invalid request: unknown method","data":{"reason":"unknownMethod"}},"id":4} ` + res(3, "x")
		got := p.out.take()
		if len(got) == 4 && got[2] == res(3, "x") {
			got[2], got[3] = got[3], got[2] // the free lane may be quicker
		}
		if strings.Join(got, " ") != want {
			t.Errorf("got %q", got)
		}
		if s := strings.Join(seen, " "); s != "echo initialized init initialized noted initialized echo" {
			t.Errorf("seen %q", s)
		}
	})
}

// Params reach the hook as they came: order, spaces, numbers, duplicates.
func TestParamsPassUnchanged(t *testing.T) {
	for _, params := range []string{`{"z":1,"a":{"y":[1.50e3, 12345678901234567890],"b":"\u00e9<&>\/"},"z":2}`, `null`, `[1, 2]`, `7`, `"x"`, ``} {
		synctest.Test(t, func(t *testing.T) {
			var got []string
			mux := NewMux(Hooks{Decode: func(p jsontext.Value, into any) error {
				got = append(got, fmt.Sprintf("%v %s", p == nil, []byte(p)))
				return nil
			}})
			Handle(mux, "m", nil, echo)
			p := start(t, mux, nil)
			line := `{"id":1,"method":"m"}`
			if params != "" {
				line = `{"params": ` + params + ` ,"id":1,"method":"m"}`
			}
			p.send(line)
			p.finish()
			if want := fmt.Sprintf("%v %s", params == "", params); len(got) != 1 || got[0] != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestMuxRefusesDoubles(t *testing.T) {
	mux := echoMux()
	for name, register := range map[string]func(){
		"Handle": func() { Handle(mux, "echo", nil, echo) },
		"HandleInline": func() {
			HandleInline(mux, "echo", func(context.Context, *echoParams) (int, Then, error) { return 0, nil, nil })
		},
		"HandleNotification": func() { HandleNotification(mux, "echo", func(context.Context, *echoParams) {}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s took a name twice", name)
				}
			}()
			register()
		}()
	}
}
