package session

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"app-server/internal/backend"
	"app-server/internal/tools"
	"app-server/protocol"
)

// TestInterrupt interrupts a turn in each of its states. The turn ends at that
// moment, all items are closed, and the next request is one that the backend
// takes.
func TestInterrupt(t *testing.T) {
	never := make(chan struct{})
	retry := &backend.Error{Kind: backend.KindServer, Retry: backend.RetryStream, RetryAfter: time.Minute, Message: "later"}
	hang := []tools.Tool{tool("hang", func(ctx context.Context, _ *tools.Turn, _ tools.Call) tools.Output {
		<-ctx.Done()
		return tools.Output{Text: "stopped"}
	})}
	for name, c := range map[string]struct {
		script reply
		want   []string // what the next request holds, after "user: q"
	}{
		"waiting for the backend": {reply{never}, nil},
		"streaming":               {reply{messageAdded("m"), delta("m", "par"), never}, nil},
		"after a whole item":      {reply{messageDone("m", "said"), never}, []string{"assistant: said"}},
		"waiting for a retry":     {reply{retry}, nil},
		"a call not yet run": {
			reply{call("c", "hang", "{}"), never},
			[]string{"function_call c", "function_call_output c: The call was aborted because the user interrupted the turn."},
		},
		"in a tool, with another call waiting": {
			reply{call("c", "hang", "{}"), call("d", "hang", "{}"), completed()},
			[]string{"function_call c", "function_call d", "function_call_output c: stopped", "function_call_output d: The call was aborted because the user interrupted the turn."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := make(chan struct{})
				script := reply{}
				for _, step := range c.script {
					if step == any(never) {
						step = gate // a channel of this bubble
					}
					script = append(script, step)
				}
				w := newWorldTools(t, testConfig, hang, script)
				defer w.Shutdown(t.Context())
				w.start(`{}`)
				id := w.begin("q")
				synctest.Wait()
				began := time.Now()
				if err := w.interrupt(id); err != nil {
					t.Errorf("interrupt = %v", err)
				}
				// A user who hits the key twice: the turn may have ended by then.
				if err := w.interrupt(id); err != nil && reason(err) != protocol.ReasonTurnNotFound {
					t.Errorf("second interrupt = %v", err)
				}
				end := w.parent.until(t, protocol.MethodTurnCompleted)
				if got := end.get("turn.status") + " " + end.get("turn.error"); got != "interrupted null" || time.Since(began) > 0 {
					t.Errorf("ended as %s after %v", got, time.Since(began))
				}
				if d := cmp.Diff(map[string]bool{}, openItems(w.parent)); d != "" {
					t.Errorf("items left open: %s", d)
				}
				if got := reason(w.interrupt(id)); got != protocol.ReasonTurnNotFound {
					t.Errorf("interrupt of an ended turn: %s", got)
				}
				count := len(w.parent.all())
				w.ok("again")
				for _, n := range w.parent.all()[count:] {
					if n.get("turnId") == id {
						t.Errorf("late %s", n.Method)
					}
				}
				want := append(append([]string{"user: q"}, c.want...), "user: ABORTED", "user: again")
				if d := cmp.Diff(want, said(w.model.request(-1))); d != "" {
					t.Error(d)
				}
				if n := len(w.parent.all(protocol.MethodTurnCompleted)); n != 2 {
					t.Errorf("%d turns completed", n)
				}
			})
		})
	}
}

func TestInterruptRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		w := newWorld(t, testConfig, reply{gate, messageDone("m", "x"), completed()})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		if got := reason(w.interrupt("x")); got != protocol.ReasonTurnNotFound {
			t.Errorf("idle: %s", got)
		}
		w.begin("q")
		if got := reason(w.interrupt("x")); got != protocol.ReasonTurnMismatch {
			t.Errorf("wrong turn: %s", got)
		}
		close(gate)
		if end := w.parent.until(t, protocol.MethodTurnCompleted); end.get("turn.status") != "completed" {
			t.Errorf("the wrong interrupt ended the turn: %s", end.Params)
		}
	})
}

// TestInterruptBeforeStart comes between the response and its follow-up.
func TestInterruptBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		r, then, err := w.StartTurn(t.Context(), &protocol.TurnStartParams{ThreadID: w.thread, Input: text("q")})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.interrupt(r.Turn.ID); err != nil {
			t.Fatal(err)
		}
		then()
		end := w.parent.until(t, protocol.MethodTurnCompleted)
		if end.get("turn.status") != "interrupted" || len(w.parent.all(protocol.MethodTurnStarted)) != 1 || w.model.count() != 0 {
			t.Errorf("ended as %s with %d requests", end.Params, w.model.count())
		}
		w.ok("again")
	})
}

// TestResponsesFirst: what a request causes in a turn that runs, the end of the turn
// before all else, comes after the response to it.
func TestResponsesFirst(t *testing.T) {
	for name, test := range map[string]struct {
		ask  func(w *world, turn string) (then func(), err error)
		ends string
	}{
		"interrupt": {func(w *world, turn string) (func(), error) {
			_, then, err := w.InterruptTurn(w.t.Context(), &protocol.TurnInterruptParams{ThreadID: w.thread, TurnID: turn})
			return then, err
		}, "interrupted"},
		"steer": {func(w *world, turn string) (func(), error) {
			_, then, err := w.SteerTurn(w.t.Context(), &protocol.TurnSteerParams{ThreadID: w.thread, ExpectedTurnID: turn, Input: text("more")})
			return then, err
		}, "completed"},
		"start": {func(w *world, turn string) (func(), error) {
			r, then, err := w.StartTurn(w.t.Context(), &protocol.TurnStartParams{ThreadID: w.thread, Input: text("more")})
			if r.Turn.ID != turn {
				w.t.Errorf("turn %s, want the running one", r.Turn.ID)
			}
			return then, err
		}, "completed"},
		"compact": {func(w *world, _ string) (func(), error) {
			_, then, err := w.CompactThread(w.t.Context(), &protocol.ThreadCompactStartParams{ThreadID: w.thread})
			return then, err
		}, "interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := make(chan struct{})
				w := newWorld(t, testConfig, reply{gate, messageDone("m", "a"), completed()}, say("b"))
				defer w.Shutdown(t.Context())
				w.start(`{}`)
				id := w.begin("q")
				synctest.Wait()
				then, err := test.ask(w, id)
				if err != nil {
					t.Fatal(err)
				}
				if test.ends == "completed" {
					close(gate)
				}
				synctest.Wait()
				for _, n := range w.parent.all(protocol.MethodTurnCompleted, protocol.MethodItemStarted) {
					if n.Method == protocol.MethodTurnCompleted || strings.Contains(n.get("item.content"), "more") {
						t.Errorf("before the response came %s %s", n.Method, n.Params)
					}
				}
				then()
				if end := w.parent.until(t, protocol.MethodTurnCompleted); end.get("turn.id") != id || end.get("turn.status") != test.ends {
					t.Errorf("the turn ended as %s", end.Params)
				}
			})
		})
	}
}

// TestSlowParent: a parent that does not read slows its turn and nothing else.
func TestSlowParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, reply{messageAdded("m"), delta("m", "a"), delta("m", "b"), messageDone("m", "ab"), completed()})
		defer w.Shutdown(t.Context())
		open := make(chan struct{})
		var blocked atomic.Bool
		w.parent.hold = func(ctx context.Context, method string) error {
			if method != protocol.MethodItemAgentMessageDelta && !blocked.Load() {
				return nil
			}
			blocked.Store(true)
			select {
			case <-open:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		w.start(`{}`)
		id := w.begin("q")
		synctest.Wait()
		if !blocked.Load() {
			t.Fatal("the turn does not wait")
		}
		began := time.Now()
		r, err := w.ReadThread(t.Context(), &protocol.ThreadReadParams{ThreadID: w.thread, IncludeTurns: true})
		if err != nil || r.Thread.Status.Type != protocol.StatusActive || len(r.Thread.Turns) != 1 {
			t.Errorf("ReadThread = %+v, %v", r, err)
		}
		if _, err := w.ListThreads(t.Context(), &protocol.ThreadListParams{}); err != nil {
			t.Errorf("ListThreads = %v", err)
		}
		if err := w.interrupt(id); err != nil {
			t.Errorf("interrupt = %v", err)
		}
		// A new turn is accepted and comes after the one that is still ending.
		next := w.begin("next")
		if err := w.steer(next, "more"); err != nil {
			t.Errorf("steer = %v", err)
		}
		if next == id || time.Since(began) > 0 {
			t.Errorf("turn %s after %v", next, time.Since(began))
		}
		w.begin("third")
		close(open)
		var ends []string
		for range 2 {
			n := w.parent.until(t, protocol.MethodTurnCompleted)
			ends = append(ends, n.get("turn.id")+" "+n.get("turn.status"))
		}
		if d := cmp.Diff([]string{id + " interrupted", next + " completed"}, ends); d != "" {
			t.Error(d)
		}
		got := strings.Join(said(w.model.request(-1)), ", ")
		if !strings.HasSuffix(got, "user: next, user: more, user: third") {
			t.Errorf("the model was told %s", got)
		}
		started := w.parent.all(protocol.MethodTurnStarted, protocol.MethodTurnCompleted)
		for i, n := range started {
			if (n.Method == protocol.MethodTurnStarted) != (i%2 == 0) {
				t.Errorf("turns overlap: %v", started)
			}
		}
	})
}

// TestInterruptWithInjectedItems: a call that was not run gets one output, although
// items of the parent's came meanwhile, whose calls are looked at as well.
func TestInterruptWithInjectedItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := tool("hang", func(ctx context.Context, _ *tools.Turn, _ tools.Call) tools.Output {
			<-ctx.Done()
			return tools.Output{Text: "stopped"}
		})
		w := newWorldTools(t, testConfig, []tools.Tool{hang}, reply{call("c", "hang", "{}"), call("d", "hang", "{}"), completed()})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		id := w.begin("q")
		synctest.Wait()
		items := decode[protocol.ThreadInjectItemsParams](t, `{"threadId":"`+w.thread+`","items":[{"type":"message","role":"user","content":[{"type":"input_text","text":"injected"}]}]}`)
		if _, err := w.InjectItems(t.Context(), items); err != nil {
			t.Fatal(err)
		}
		if err := w.interrupt(id); err != nil {
			t.Fatal(err)
		}
		w.parent.until(t, protocol.MethodTurnCompleted)
		w.ok("again")
		want := []string{
			"user: q", "function_call c", "function_call d", "function_call_output c: stopped",
			"function_call_output d: The call was aborted because the user interrupted the turn.", "user: injected", "user: ABORTED", "user: again",
		}
		if d := cmp.Diff(want, said(w.model.request(-1))); d != "" {
			t.Error(d)
		}
	})
}
