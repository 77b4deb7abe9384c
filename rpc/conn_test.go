package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Input that ends at once: every request is still answered, in order.
func TestPipedInputIsAnswered(t *testing.T) {
	const n = 5000
	var in strings.Builder
	for i := range n {
		in.WriteString(req(i, "echo", "", "x") + "\n")
	}
	out := &sink{}
	if err := New(Options{In: strings.NewReader(in.String()), Out: out, Mux: echoMux()}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := out.take()
	if len(got) != n {
		t.Fatalf("%d answers", len(got))
	}
	for i, line := range got {
		if line != res(i, "x") {
			t.Fatalf("line %d: %s", i, line)
		}
	}
}

// Lines that wait while the parent is not reading leave in one write.
func TestWaitingLinesLeaveTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, echoMux(), nil)
		letGo := p.out.hold()
		const n = 100
		for i := range n {
			p.send(req(i, "echo", "", "x"))
		}
		letGo()
		synctest.Wait()
		// The first one was on its way when the others came.
		if got := len(p.out.take()); got != n || p.out.writes != 2 {
			t.Errorf("%d lines in %d writes", got, p.out.writes)
		}
		p.finish()
	})
}

// Requests of every kind that take a while are answered before Run returns.
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

// Handlers that hang get their contexts cancelled, and those that do not care
// are answered for: Run is back within 2 s in any case.
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

// A drain that hangs or panics does not hold up the end.
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
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s: took %v", name, took)
			}
			close(never)
		})
	}
}

// The notifications of the drain are the last lines, and reach the parent even
// over the mark.
func TestDrainNotifies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *parent
		var ask error
		p = newParent(t, echoMux(), func(o *Options) {
			o.Limits.OutboxMark = 10
			o.Drain = func(ctx context.Context) {
				_, ask = p.conn.Ask(ctx, "ask/it", nil)
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

// On cancellation what is running ends properly and what arrives is refused,
// with an answer.
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

// The reader may hang in a Read for ever; Run does not wait for it.
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

// An inline handler must not block; one that does costs its answer, not the
// end of the process.
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

// A parent that does not read: notifications wait at the mark, everything else
// goes on, and nothing is lost.
func TestPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, echoMux(), func(o *Options) { o.Limits.OutboxMark = 2000 })
		letGo := p.out.hold()
		var sent atomic.Int64
		var group sync.WaitGroup
		const turns, notes = 4, 50
		for turn := range turns {
			group.Go(func() {
				for i := range notes {
					if err := p.conn.Notify(t.Context(), "delta", []int{turn, i}); err != nil {
						t.Errorf("Notify: %v", err)
					}
					sent.Add(1)
				}
			})
		}
		synctest.Wait()
		if n := sent.Load(); n < 10 || n > 70 {
			t.Errorf("%d notifications sent to a parent that does not read", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.conn.Notify(ctx, "delta", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Notify with a deadline: %v", err)
		}
		// Requests are read and answered, asks are sent and answered.
		ch := p.ask(t.Context(), "ask/it", nil)
		for i := range 100 {
			p.send(req(i, "echo", "", "x"))
		}
		p.send(`{"id":0,"result":1}`)
		p.outcome(ch, outcome{Result: "1"})
		letGo()
		group.Wait()
		p.finish()
		next := map[byte]int{}
		answers, deltas := 0, 0
		for _, line := range p.out.take() {
			switch {
			case strings.HasPrefix(line, `{"method":"delta"`):
				deltas++
				var turn, i int
				if _, err := fmt.Sscanf(line, `{"method":"delta","params":[%d,%d]}`, &turn, &i); err != nil || i != next[byte(turn)] {
					t.Fatalf("%s: not in order (%v)", line, err)
				}
				next[byte(turn)]++
			case strings.HasPrefix(line, `{"id":`):
				answers++
			}
		}
		if deltas != turns*notes || answers != 100 {
			t.Errorf("%d deltas, %d answers", deltas, answers)
		}
	})
}

// An inline handler never waits for the parent: the reader would.
func TestInlineNotifyDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := echoMux()
		var conn *Conn
		HandleInline(mux, "init", func(ctx context.Context, _ *echoParams) (int, Then, error) {
			return 1, func() { conn.Notify(ctx, "configWarning", nil) }, nil
		})
		p := start(t, mux, func(o *Options) { o.Limits.OutboxMark = 10 })
		conn = p.conn
		letGo := p.out.hold()
		p.send(alive)
		p.send(req(1, "init", "", ""))
		p.send(alive)
		letGo()
		p.want(aliveOK, `{"id":1,"result":1}`, `{"method":"configWarning"}`, aliveOK)
		p.finish()
	})
}

func TestWaitersAreReleased(t *testing.T) {
	for _, how := range []string{"input ends", "cancel", "output breaks"} {
		synctest.Test(t, func(t *testing.T) {
			p := start(t, echoMux(), func(o *Options) {
				o.Limits.OutboxMark = 10
				// The owners of those who wait are waited for here.
				o.Drain = func(context.Context) { time.Sleep(time.Millisecond) }
			})
			letGo := p.out.hold()
			p.send(alive)
			errs := make(chan error, 1)
			go func() { errs <- p.conn.Notify(t.Context(), "x", nil) }()
			synctest.Wait()
			var want error
			switch how {
			case "input ends":
				p.in.Close()
			case "cancel":
				p.cancel()
			case "output breaks":
				p.out.mu.Lock()
				p.out.err = io.ErrClosedPipe
				p.out.mu.Unlock()
				letGo()
				want = ErrClosed
			}
			synctest.Wait()
			select {
			case err := <-errs:
				// Nothing drains here, so that the end may win the race.
				if !errors.Is(err, want) && !errors.Is(err, ErrClosed) {
					t.Errorf("%s: Notify: %v", how, err)
				}
			default:
				t.Fatalf("%s: Notify still waits", how)
			}
			if want == nil {
				letGo()
			}
			p.end()
		})
	}
}

// EPIPE ends Run with an error, cancels handlers, and still drains.
func TestBrokenOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		drained := false
		p := start(t, gateMux(g), func(o *Options) { o.Drain = func(context.Context) { drained = true } })
		ch := p.ask(t.Context(), "before", nil)
		p.send(req(1, "keyed", "a", "x"))
		p.out.err = io.ErrClosedPipe
		began := time.Now()
		p.send(alive)
		err := <-p.result
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("Run: %v", err)
		}
		if time.Since(began) != 0 || !drained {
			t.Errorf("took %v, drained %v", time.Since(began), drained)
		}
		p.outcome(ch, outcome{Other: ErrClosed.Error()})
		if err := p.conn.Notify(t.Context(), "x", nil); !errors.Is(err, ErrClosed) {
			t.Errorf("Notify: %v", err)
		}
		p.in.Close()
		p.cancel()
	})
}

type shortWriter struct{}

func (shortWriter) Write(b []byte) (int, error) { return len(b) - 1, nil }

func TestShortWriteBreaks(t *testing.T) {
	err := New(Options{In: strings.NewReader(alive), Out: shortWriter{}, Mux: echoMux()}).Run(t.Context())
	if !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Run: %v", err)
	}
}

// A parent that asks and never reads is gone at the bound; what was queued is
// let go of.
func TestOutboxBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, echoMux(), func(o *Options) { o.Limits.OutboxBound = 5000 })
		letGo := p.out.hold()
		synctest.Wait()
		text := strings.Repeat("x", 1000)
		var lines []string
		for i := range 8 {
			lines = append(lines, req(i, "echo", "", text))
		}
		p.send(lines...) // in one write: nobody reads after the end
		p.conn.box.mu.Lock()
		if p.conn.box.queue != nil {
			t.Error("the queue is kept")
		}
		p.conn.box.mu.Unlock()
		err := <-p.result
		if !errors.Is(err, ErrParentGone) {
			t.Errorf("Run: %v", err)
		}
		letGo()
		p.in.Close()
		p.cancel()
	})
}

// One answer larger than the bound passes, if the queue is not full already.
func TestLargeAnswerPassesTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, echoMux(), func(o *Options) { o.Limits.OutboxBound = 5000 })
		text := strings.Repeat("x", 100_000)
		p.send(req(1, "echo", "", text))
		p.send(alive)
		p.want(res(1, text), aliveOK)
		p.finish()
	})
}

// A parent that neither reads nor goes away: Run gives up in time, though the
// writer hangs.
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

// The same over a pipe that knows deadlines: the writer ends as well.
func TestFlushUsesWriteDeadline(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	in := strings.NewReader(req(1, "echo", "", strings.Repeat("x", 1<<20)))
	c := New(Options{In: in, Out: w, Mux: echoMux(), Limits: Limits{Total: 50 * time.Millisecond}})
	if err := c.Run(t.Context()); !errors.Is(err, ErrNotFlushed) {
		t.Errorf("Run: %v", err)
	}
	select {
	case <-c.box.done:
	default:
		t.Error("the writer is left behind")
	}
}

// Notify and Ask may be called before Run.
func TestCallsBeforeRunWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParent(t, echoMux(), nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.conn.Notify(ctx, "x", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("Notify: %v", err)
		}
		go p.conn.Notify(t.Context(), "x", nil)
		synctest.Wait()
		p.run()
		p.want(`{"method":"x"}`)
		p.finish()
	})
}

// What handlers and turns send stays one line of valid UTF-8 each.
func TestOutputIsClean(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := NewMux(Hooks{})
		Handle(mux, "dirty", Fixed[echoParams]("one"), func(_ context.Context, p *echoParams) (any, error) {
			switch p.Text {
			case "error":
				return nil, &Error{Code: 1, Message: "a\nb\xff", Data: []byte("{\n\"a\": 1,\n\"a\":2}")}
			case "bad data":
				return nil, &Error{Code: 1, Message: "m", Data: []byte("{")}
			}
			return map[string]any{"text": "a\nb\xff<>&", "raw": rawText("{\n \"b\":\"\xff\", \"a\": 1}"), "none": []int(nil)}, nil
		})
		p := start(t, mux, nil)
		p.send(req(1, "dirty", "", ""), req(2, "dirty", "", "error"), req(3, "dirty", "", "bad data"))
		p.want(`{"id":1,"result":{"none":[],"raw":{"b":"`+"\ufffd"+`","a":1},"text":"a\nb`+"\ufffd"+`<>&"}}`,
			`{"error":{"code":1,"message":"a\nb`+"\ufffd"+`","data":{"a":1,"a":2}},"id":2}`,
			`{"error":{"code":1,"message":"m"},"id":3}`)
		p.conn.Notify(t.Context(), "odd\"\xff", rawText("{\n}"))
		p.want(`{"method":"odd\"` + "\ufffd" + `","params":{}}`)
		p.finish()
	})
}

type rawText string

func (r rawText) MarshalJSON() ([]byte, error) { return []byte(r), nil }
