package session

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"app-server/internal/tools"
	"app-server/protocol"
)

// asker is a tool that puts one question and tells what came of it.
func asker(name string, flag protocol.ThreadActiveFlag) tools.Tool {
	t := tool(name, func(ctx context.Context, t *tools.Turn, c tools.Call) tools.Output {
		answer, err := t.Host.Ask(ctx, flag, "ask/"+c.ID, map[string]string{})
		if err != nil {
			return tools.Output{Text: "error: " + err.Error()}
		}
		return tools.Output{Text: string(answer)}
	})
	t.Parallel = true
	return t
}

// statusesAndQuestions are the notes about waiting, in order.
func statusesAndQuestions(p *fakeParent) (out []string) {
	for _, n := range p.all() {
		switch n.Method {
		case protocol.MethodThreadStatusChanged:
			out = append(out, n.get("status.type")+" "+n.get("status.activeFlags"))
		case protocol.MethodServerRequestResolved:
			out = append(out, "resolved "+n.get("requestId"))
		case "ask/a", "ask/b", "ask/c":
			out = append(out, n.Method)
		}
	}
	return out
}

func TestQuestionsShowInTheStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldTools(t, testConfig, []tools.Tool{
			asker("approve", protocol.FlagWaitingOnApproval), asker("own", ""),
		}, reply{call("a", "approve", "{}"), call("b", "own", "{}"), call("c", "approve", "{}"), completed()}, say("done"))
		defer w.Shutdown(t.Context())
		w.parent.answer = func(_ context.Context, method string) (string, error) {
			if method == "ask/c" {
				return "", errors.New("no")
			}
			return `"` + method + `"`, nil
		}
		w.start(`{}`)
		w.ok("q")
		want := []string{
			"active []", "active [\"waitingOnApproval\"]", "ask/a", "resolved 0", "active []",
			"ask/b",
			"active [\"waitingOnApproval\"]", "ask/c", "resolved 2", "active []", "idle ",
		}
		if d := cmp.Diff(want, statusesAndQuestions(w.parent)); d != "" {
			t.Error(d)
		}
		said := said(w.model.request(1))
		if d := cmp.Diff([]string{`function_call_output a: "ask/a"`, `function_call_output b: "ask/b"`, "function_call_output c: error: no"}, said[len(said)-3:]); d != "" {
			t.Error(d)
		}
	})
}

// TestParallelQuestions: a model that may call side by side has several
// questions open at once; the flag goes with the last of them, and the outputs
// keep the order of the calls.
func TestParallelQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldTools(t, testConfig, []tools.Tool{asker("approve", protocol.FlagWaitingOnApproval)},
			reply{call("a", "approve", "{}"), call("b", "approve", "{}"), completed()}, say("done"))
		defer w.Shutdown(t.Context())
		gates := map[string]chan struct{}{"ask/a": make(chan struct{}), "ask/b": make(chan struct{})}
		w.parent.answer = func(_ context.Context, method string) (string, error) {
			<-gates[method]
			return `"` + method + `"`, nil
		}
		w.start(`{"model":"gpt-5.4"}`)
		w.begin("q")
		synctest.Wait()
		close(gates["ask/b"])
		synctest.Wait()
		if got := w.parent.all(protocol.MethodThreadStatusChanged); len(got) != 2 {
			t.Errorf("statuses with one of two questions open: %v", got)
		}
		close(gates["ask/a"])
		w.parent.until(t, protocol.MethodTurnCompleted)
		said := said(w.model.request(1))
		if d := cmp.Diff([]string{`function_call_output a: "ask/a"`, `function_call_output b: "ask/b"`}, said[len(said)-2:]); d != "" {
			t.Error(d)
		}
		if got := w.parent.all(protocol.MethodThreadStatusChanged); len(got) != 4 {
			t.Errorf("statuses: %v", got)
		}
	})
}

// TestUnansweredQuestion: once the parent is gone, a question is not taken for
// declined: its turn ends, and the model is asked nothing more.
func TestUnansweredQuestion(t *testing.T) {
	for _, name := range []string{"approve", "own"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldTools(t, testConfig, []tools.Tool{asker("approve", protocol.FlagWaitingOnApproval), asker("own", "")},
					reply{call("a", name, "{}"), completed()}, say("done"))
				defer w.Shutdown(t.Context())
				w.parent.answer = func(context.Context, string) (string, error) {
					return "", fmt.Errorf("rpc: %w", ErrParentGone)
				}
				w.start(`{}`)
				w.begin("q")
				end := w.parent.until(t, protocol.MethodTurnCompleted)
				if end.get("turn.status") != "interrupted" {
					t.Errorf("ended as %s", end.Params)
				}
				if got := w.model.count(); got != 1 {
					t.Errorf("the model was asked %d times", got)
				}
			})
		})
	}
}

// TestInterruptedQuestion: an interrupt settles a question, and the parent is
// told so whatever the question was.
func TestInterruptedQuestion(t *testing.T) {
	for _, name := range []string{"approve", "own"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldTools(t, testConfig, []tools.Tool{asker("approve", protocol.FlagWaitingOnApproval), asker("own", "")},
					reply{call("a", name, "{}"), completed()}, say("done"))
				defer w.Shutdown(t.Context())
				w.parent.answer = func(ctx context.Context, _ string) (string, error) {
					<-ctx.Done()
					return "", ctx.Err()
				}
				w.start(`{}`)
				id := w.begin("q")
				synctest.Wait()
				if err := w.interrupt(id); err != nil {
					t.Fatal(err)
				}
				end := w.parent.until(t, protocol.MethodTurnCompleted)
				if end.get("turn.status") != "interrupted" {
					t.Errorf("ended as %s", end.Params)
				}
				if got := w.parent.all(protocol.MethodServerRequestResolved); len(got) != 1 || got[0].get("requestId") != "0" {
					t.Errorf("resolved: %v", got)
				}
				all := statusesAndQuestions(w.parent)
				if last := all[len(all)-1]; last != "idle " {
					t.Errorf("the last status is %q", last)
				}
			})
		})
	}
}

// TestToolInterrupts: the user's answer to a question can be to stop.
func TestToolInterrupts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldTools(t, testConfig, []tools.Tool{tool("stop", func(_ context.Context, t *tools.Turn, _ tools.Call) tools.Output {
			t.Host.Interrupt()
			return tools.Output{Text: "cancelled by the user"}
		})}, reply{call("a", "stop", "{}"), call("b", "stop", "{}"), completed()}, say("done"))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		if end := w.turn("q"); end.get("turn.status") != "interrupted" {
			t.Errorf("ended as %s", end.Params)
		}
		if n := w.model.count(); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		w.ok("again")
		said := said(w.model.request(1))
		for _, want := range []string{"function_call_output a: cancelled by the user", "function_call_output b: The call was aborted because the user interrupted the turn."} {
			found := false
			for _, s := range said {
				found = found || s == want
			}
			if !found {
				t.Errorf("the model never hears %q: %q", want, said)
			}
		}
	})
}
