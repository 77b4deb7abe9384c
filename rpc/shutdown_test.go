package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestEndOfInputWaitsForHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		var order []string
		p := start(t, gateMux(g), func(o *Options) {
			o.Drain = func(context.Context) { order = append(order, "drain") }
		})
		p.send(req(1, "keyed", "a", "1"), req(2, "keyed", "a", "2"), req(3, "loose", "", "3"))
		p.in.Close()
		time.Sleep(300 * time.Millisecond)
		for _, text := range []string{"1", "3", "2"} {
			g.let(text)
			synctest.Wait()
		}
		p.finish()
		p.want(res(1, "1"), res(3, "3"), res(2, "2"))
		if strings.Join(order, "") != "drain" {
			t.Errorf("drain: %v", order)
		}
	})
}

func TestHangingHandlersEnd(t *testing.T) {
	for _, signal := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			never := make(chan struct{})
			g := newGate()
			mux := gateMux(g)
			Handle(mux, "deaf", func(p *echoParams) string { return p.Key }, func(context.Context, *echoParams) (echoResult, error) {
				<-never
				return echoResult{"too late"}, nil
			})
			p := start(t, mux, func(o *Options) {
				o.Drain = func(ctx context.Context) { <-ctx.Done() }
			})
			p.send(req(1, "keyed", "a", "x"), req(2, "deaf", "b", ""), req(3, "echo", "b", ""), req(4, "keyed", "b", "waits"))
			p.want(res(3, ""))
			began := time.Now()
			if signal {
				p.cancel()
			} else {
				p.in.Close()
			}
			time.Sleep(DefaultGrace - 1)
			p.want() // undisturbed
			time.Sleep(time.Nanosecond)
			p.want(`{"error":{"code":-32603,"message":"Internal error","data":{"reason":"internal"}},"id":1}`)
			if err := <-p.result; err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took >= 2*time.Second {
				t.Errorf("it took %v", took)
			}
			down := `{"error":{"code":-32603,"message":"The server is shutting down","data":{"reason":"shuttingDown"}},"id":%d}`
			p.want(fmt.Sprintf(down, 2), fmt.Sprintf(down, 4))
			close(never)
			synctest.Wait()
			p.want()
			p.in.Close()
			p.cancel()
		})
	}
}

func TestDrainIsBounded(t *testing.T) {
	for name, drain := range map[string]func(context.Context, chan struct{}){
		"hangs": func(_ context.Context, never chan struct{}) { <-never }, "panics": func(context.Context, chan struct{}) { panic("x") },
	} {
		synctest.Test(t, func(t *testing.T) {
			never := make(chan struct{})
			p := start(t, echoMux(), func(o *Options) { o.Drain = func(ctx context.Context) { drain(ctx, never) } })
			began := time.Now()
			p.send(alive)
			p.finish()
			p.want(aliveOK)
			if took := time.Since(began); took > DefaultTotal {
				t.Errorf("%s: took %v", name, took)
			}
			close(never)
		})
	}
}

// TestDrainGetsTheTimeLeft: where no handler runs, a drain that takes long comes to
// its end, and what it tells then is sent.
func TestDrainGetsTheTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *parent
		p = newParent(t, echoMux(), func(o *Options) {
			o.Drain = func(ctx context.Context) {
				time.Sleep(DefaultGrace + DefaultStop + DefaultInterrupt - time.Millisecond)
				if err := ctx.Err(); err != nil {
					t.Errorf("the context has ended: %v", err)
				}
				if err := p.conn.Notify(ctx, "turn/completed", nil); err != nil {
					t.Errorf("Notify: %v", err)
				}
			}
		})
		p.run()
		p.send(alive)
		p.finish()
		p.want(aliveOK, `{"method":"turn/completed"}`)
	})
}

func TestDrainNotifies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *parent
		var ask error
		p = newParent(t, echoMux(), func(o *Options) {
			o.Limits.OutboxMark = 10
			o.Drain = func(ctx context.Context) {
				_, _, ask = p.conn.Ask(ctx, "ask/it", nil)
				for i := range 3 {
					if err := p.conn.Notify(ctx, "turn/completed", i); err != nil {
						t.Errorf("Notify: %v", err)
					}
				}
			}
		})
		p.run()
		letGo := p.out.hold()
		p.send(alive)
		p.in.Close()
		time.Sleep(time.Second)
		letGo()
		p.finish()
		p.want(aliveOK, `{"method":"turn/completed","params":0}`, `{"method":"turn/completed","params":1}`, `{"method":"turn/completed","params":2}`)
		if !errors.Is(ask, ErrClosed) {
			t.Errorf("Ask: %v", ask)
		}
		if err := p.conn.Notify(t.Context(), "x", nil); !errors.Is(err, ErrClosed) {
			t.Errorf("Notify afterwards: %v", err)
		}
		if err := p.conn.Run(t.Context()); err == nil {
			t.Error("Run ran twice")
		}
	})
}

func TestCancelRefusesNewRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		mux := gateMux(g)
		HandleInline(mux, "inline", func(context.Context, *echoParams) (int, Then, error) { return 1, nil, nil })
		p := start(t, mux, nil)
		p.send(req(1, "keyed", "a", "x"))
		p.cancel()
		synctest.Wait()
		down := `{"error":{"code":-32603,"message":"The server is shutting down","data":{"reason":"shuttingDown"}},"id":%d}`
		p.send(req(2, "keyed", "a", "x"), req(3, "inline", "", ""), `{"id":4,"method":"no/such"}`, `{"method":"n"}`, "junk")
		p.want(fmt.Sprintf(down, 2), fmt.Sprintf(down, 3), fmt.Sprintf(down, 4), parseErr)
		g.let("x")
		if err := <-p.result; err != nil {
			t.Error(err)
		}
		p.want(res(1, "x"))
		p.in.Close()
	})
}

func TestCancelWhileReadHangs(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- New(Options{In: r, Out: io.Discard, Mux: echoMux()}).Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestHangingInlineHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		mux := echoMux()
		HandleInline(mux, "hang", func(context.Context, *echoParams) (int, Then, error) {
			<-never
			return 1, nil, nil
		})
		p := start(t, mux, nil)
		p.send(alive, req(1, "hang", "", ""))
		began := time.Now()
		p.cancel()
		if err := <-p.result; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took >= 2*time.Second {
			t.Errorf("it took %v", took)
		}
		p.want(aliveOK)
		close(never)
		p.in.Close()
	})
}

func TestFlushIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, echoMux(), nil)
		letGo := p.out.hold()
		p.send(alive)
		began := time.Now()
		if err := p.end(); !errors.Is(err, ErrNotFlushed) {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(began); took >= 2*time.Second || took < time.Second {
			t.Errorf("it took %v", took)
		}
		letGo()
	})
}

// slowToWrite is a result that takes longer to encode than a shutdown may take.
type slowToWrite struct{}

func (slowToWrite) MarshalJSON() ([]byte, error) {
	time.Sleep(time.Minute)
	return []byte(`{}`), nil
}

// A result that is not written in time is no answer: the request gets another one.
func TestResultTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := echoMux()
		Handle(mux, "slow", Fixed[echoParams]("x"), func(context.Context, *echoParams) (slowToWrite, error) { return slowToWrite{}, nil })
		p := start(t, mux, nil)
		p.send(req(1, "slow", "", ""))
		p.finish()
		p.want(`{"error":{"code":-32603,"message":"The server is shutting down","data":{"reason":"shuttingDown"}},"id":1}`)
		time.Sleep(time.Hour)
		p.want()
	})
}

func TestFlushUsesWriteDeadline(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	var c *Conn
	tell := func(ctx context.Context) {
		if err := c.Notify(ctx, "more", echoParams{Text: strings.Repeat("x", 1<<20)}); err != nil {
			t.Error(err)
		}
	}
	c = New(Options{In: strings.NewReader(""), Out: w, Mux: echoMux(), Drain: tell, Limits: Limits{Total: time.Second}})
	if err := c.Run(t.Context()); !errors.Is(err, ErrNotFlushed) {
		t.Errorf("Run: %v", err)
	}
	select {
	case <-c.box.done:
	default:
		t.Error("the writer is left behind")
	}
}
