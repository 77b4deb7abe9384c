package session

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"app-server/protocol"
)

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		w := newWorld(t, testConfig, reply{messageAdded("m"), gate})
		w.start(`{}`)
		id := w.begin("q")
		synctest.Wait()
		idle := w.thread
		w.start(`{}`)
		began := time.Now()
		w.Shutdown(t.Context())
		ends := w.parent.all(protocol.MethodTurnCompleted)
		if len(ends) != 1 || ends[0].get("turn.id") != id || ends[0].get("turn.status") != "interrupted" || time.Since(began) > 0 {
			t.Errorf("ends %v after %v", ends, time.Since(began))
		}
		if d := openItems(w.parent); len(d) != 0 {
			t.Errorf("items left open: %v", d)
		}
		_, _, err := w.StartThread(t.Context(), w.config(), &protocol.ThreadStartParams{})
		_, _, err2 := w.StartTurn(t.Context(), &protocol.TurnStartParams{ThreadID: idle, Input: text("q")})
		for _, err := range []error{err, err2, w.interrupt(id)} {
			if reason(err) != protocol.ReasonShuttingDown {
				t.Errorf("after the end: %v", err)
			}
		}
		w.Shutdown(t.Context())
	})
}

// TestShutdownUnanswered: requests that could not be answered, since the parent is
// gone, hold up the end of no turn.
func TestShutdownUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, reply{messageAdded("m"), make(chan struct{})})
		w.start(`{}`)
		id := w.begin("q")
		synctest.Wait()
		if _, _, err := w.ShellCommand(t.Context(), &protocol.ThreadShellCommandParams{ThreadID: w.thread, Command: "true"}); err != nil {
			t.Fatal(err)
		}
		_, then, err := w.InterruptTurn(t.Context(), &protocol.TurnInterruptParams{ThreadID: w.thread, TurnID: id})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := time.Now()
		w.Shutdown(t.Context())
		if ends := w.parent.all(protocol.MethodTurnCompleted); len(ends) != 1 || time.Since(began) > 0 {
			t.Errorf("ends %v after %v", ends, time.Since(began))
		}
		then() // is harmless
	})
}

// TestShutdownBeforeStart: a turn whose response never left is dropped, and
// its follow-up is harmless however late it comes.
func TestShutdownBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		w.start(`{}`)
		_, then, err := w.StartTurn(t.Context(), &protocol.TurnStartParams{ThreadID: w.thread, Input: text("q")})
		if err != nil {
			t.Fatal(err)
		}
		w.Shutdown(t.Context())
		then()
		if got := w.parent.all(protocol.MethodTurnStarted); got != nil {
			t.Errorf("the turn ran: %v", got)
		}
	})
}

// TestShutdownWithNext: a turn that waits for the end of another one ends too.
func TestShutdownWithNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, open := make(chan struct{}), make(chan struct{})
		w := newWorld(t, testConfig, reply{gate})
		w.parent.hold = func(ctx context.Context, method string) error {
			if method == protocol.MethodTurnCompleted {
				<-open
			}
			return nil
		}
		w.start(`{}`)
		first := w.begin("q")
		synctest.Wait()
		if err := w.interrupt(first); err != nil {
			t.Fatal(err)
		}
		second := w.begin("next")
		var wg sync.WaitGroup
		wg.Go(func() { w.Shutdown(t.Context()) })
		synctest.Wait()
		close(open)
		wg.Wait()
		ends := w.parent.all(protocol.MethodTurnCompleted)
		if len(ends) != 2 || ends[1].get("turn.id") != second || ends[1].get("turn.status") != "interrupted" {
			t.Errorf("ends %v", ends)
		}
	})
}

// TestShutdownDeadline: a parent that reads nothing cannot keep the server.
func TestShutdownDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		w.parent.hold = func(ctx context.Context, method string) error {
			if method == protocol.MethodThreadStarted {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		w.start(`{}`)
		w.begin("q")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		w.Shutdown(ctx)
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestNotifyFails: a parent that is gone does not keep a turn from its end.
func TestNotifyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		w.parent.hold = func(context.Context, string) error { return errors.New("gone") }
		w.start(`{}`)
		w.begin("q")
		synctest.Wait()
		r, err := w.ReadThread(t.Context(), &protocol.ThreadReadParams{ThreadID: w.thread, IncludeTurns: true})
		if err != nil || r.Thread.Turns[0].Status != protocol.TurnCompleted {
			t.Errorf("ReadThread = %+v, %v", r, err)
		}
	})
}

// TestStress runs everything at once, for the race detector.
func TestStress(t *testing.T) {
	w := newWorld(t, testConfig)
	w.model.forever = reply{messageAdded("m"), delta("m", "a"), messageDone("m", "a"), call("c", "nope", "{}"), time.Duration(0), completed()}
	var wg sync.WaitGroup
	for range 4 {
		r, then, err := w.StartThread(t.Context(), w.config(), &protocol.ThreadStartParams{})
		if err != nil {
			t.Fatal(err)
		}
		then()
		id := r.Thread.ID
		var mu sync.Mutex
		current := ""
		wg.Go(func() {
			for range 50 {
				r, then, err := w.StartTurn(t.Context(), &protocol.TurnStartParams{ThreadID: id, Input: text("q")})
				if err != nil {
					continue // an interrupted turn is still ending
				}
				mu.Lock()
				current = r.Turn.ID
				mu.Unlock()
				if then != nil {
					then()
				}
			}
		})
		wg.Go(func() {
			for i := range 100 {
				mu.Lock()
				turn := current
				mu.Unlock()
				if _, then, err := w.SteerTurn(t.Context(), &protocol.TurnSteerParams{ThreadID: id, ExpectedTurnID: turn, Input: text("s")}); err == nil {
					then()
				}
				if i%3 == 0 {
					if _, then, err := w.InterruptTurn(t.Context(), &protocol.TurnInterruptParams{ThreadID: id, TurnID: turn}); err == nil {
						then()
					}
				}
				_, _ = w.ReadThread(t.Context(), &protocol.ThreadReadParams{ThreadID: id, IncludeTurns: true})
				_, _ = w.ListThreads(t.Context(), &protocol.ThreadListParams{})
			}
		})
	}
	wg.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	w.Shutdown(ctx)
	started, ended := map[string]int{}, map[string]int{}
	for _, n := range w.parent.all(protocol.MethodTurnStarted, protocol.MethodTurnCompleted) {
		if n.Method == protocol.MethodTurnStarted {
			started[n.get("turn.id")]++
		} else {
			ended[n.get("turn.id")]++
		}
	}
	for id := range started {
		if started[id] != 1 || ended[id] != 1 {
			t.Errorf("turn %s started %d times and ended %d times", id, started[id], ended[id])
		}
	}
	if len(started) == 0 || len(started) != len(ended) {
		t.Errorf("%d turns started, %d ended", len(started), len(ended))
	}
}
