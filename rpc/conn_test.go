package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	if err := New(Options{In: strings.NewReader(in.String()), Out: out, Mux: echoMux(), Limits: patient}).Run(t.Context()); err != nil {
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
// Handlers that hang get their contexts cancelled, and those that do not care
// are answered for: Run is back within 2 s in any case.
// A drain that hangs or panics does not hold up the end.
// The notifications of the drain are the last lines, and reach the parent even
// over the mark.
// On cancellation what is running ends properly and what arrives is refused,
// with an answer.
// The reader may hang in a Read for ever; Run does not wait for it.
// An inline handler must not block; one that does costs its answer, not the
// end of the process.
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
// The same over a pipe that knows deadlines: the writer ends as well.
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
