package session

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"app-server/internal/backend"
	"app-server/protocol"
)

func TestSteer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, gate2 := make(chan struct{}), make(chan struct{})
		w := newWorld(t, testConfig, reply{gate, messageDone("m", "a"), completed()}, reply{gate2, call("c", "nope", "{}"), completed()}, say("c"))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		id := w.begin("q")
		synctest.Wait()
		for _, s := range []string{"one", "two"} {
			if err := w.steer(id, s); err != nil {
				t.Errorf("steer = %v", err)
			}
		}
		close(gate)
		synctest.Wait()
		if err := w.steer(id, "three"); err != nil {
			t.Errorf("steer = %v", err)
		}
		close(gate2)
		w.parent.until(t, protocol.MethodTurnCompleted)
		if d := cmp.Diff([]string{"user: q", "assistant: a", "user: one", "user: two"}, said(w.model.request(1))); d != "" {
			t.Error(d)
		}
		output := "function_call_output c: There is no tool named nope. Use only the tools that were offered."
		if d := cmp.Diff([]string{"user: q", "assistant: a", "user: one", "user: two", "function_call c", output, "user: three"}, said(w.model.request(2))); d != "" {
			t.Error(d)
		}
		if n := len(w.parent.all(protocol.MethodTurnCompleted)); n != 1 || w.model.count() != 3 {
			t.Errorf("%d turns, %d requests", n, w.model.count())
		}
		var users []string
		for _, n := range w.parent.all(protocol.MethodItemCompleted) {
			if n.get("item.type") == "userMessage" {
				users = append(users, n.get("item.content"))
			}
		}
		if got := strings.Join(users, " "); len(users) != 4 || !strings.Contains(got, "three") {
			t.Errorf("user items %s", got)
		}
	})
}

func TestSteerRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		w := newWorld(t, testConfig, reply{gate, messageDone("m", "a"), completed()})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		if got := reason(w.steer("x", "s")); got != protocol.ReasonTurnNotFound {
			t.Errorf("idle: %s", got)
		}
		id := w.begin("q")
		if got := reason(w.steer("x", "s")); got != protocol.ReasonTurnMismatch {
			t.Errorf("another turn: %s", got)
		}
		if got := reason(w.steer(id, "")); got != protocol.ReasonInvalidParams {
			t.Errorf("no input: %s", got)
		}
		if got := reason(w.steer(id, strings.Repeat("x", 1<<20+1))); got != protocol.ReasonInputTooLarge {
			t.Errorf("too large: %s", got)
		}
		close(gate)
		w.parent.until(t, protocol.MethodTurnCompleted)
		if w.model.count() != 1 {
			t.Errorf("%d requests", w.model.count())
		}
	})
}

// TestSteerBounds fills the queue: the parent is told to try again, and what
// was taken is not lost, even by an interrupt.
func TestSteerBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		w := newWorld(t, testConfig, reply{gate})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		id := w.begin("q")
		synctest.Wait()
		var err error
		n := 0
		for ; n <= maxSteers && err == nil; n++ {
			err = w.steer(id, "s")
		}
		var e *protocol.Error
		if !errors.As(err, &e) || e.Code != protocol.CodeOverloaded || n != maxSteers+1 {
			t.Errorf("steer %d = %v", n, err)
		}
		if err := w.interrupt(id); err != nil {
			t.Fatal(err)
		}
		w.parent.until(t, protocol.MethodTurnCompleted)
		w.ok("again")
		if got := said(w.model.request(-1)); len(got) != maxSteers+3 || got[len(got)-2] != "user: ABORTED" {
			t.Errorf("the model was told %v", got)
		}

		gate = make(chan struct{})
		w.model.replies = []reply{{gate}}
		id = w.begin("q")
		synctest.Wait()
		big := strings.Repeat("x", maxInputChars)
		for n, err = 0, nil; err == nil; n++ {
			err = w.steer(id, big)
		}
		if n != maxSteerChars/maxInputChars+1 {
			t.Errorf("%d inputs of full size were taken", n-1)
		}
		if err := w.interrupt(id); err != nil {
			t.Fatal(err)
		}
	})
}

// TestStartWhileRunning: no id is handed out that does not end.
func TestStartWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		w := newWorld(t, testConfig, reply{gate, messageDone("m", "a"), completed()})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		id := w.begin("q")
		synctest.Wait()
		model := "gpt-5.2"
		if got := w.begin("second", func(p *protocol.TurnStartParams) { p.Model = &model }); got != id {
			t.Errorf("turn %s, want the running %s", got, id)
		}
		if got := w.begin("", func(p *protocol.TurnStartParams) { p.Input = nil }); got != id {
			t.Errorf("turn %s, want the running %s", got, id)
		}
		close(gate)
		w.parent.until(t, protocol.MethodTurnCompleted)
		if d := cmp.Diff([]string{"user: q", "assistant: a", "user: second"}, said(w.model.request(-1))); d != "" {
			t.Error(d)
		}
		w.ok("third")
		if got := []string{w.model.request(1).Model, w.model.request(2).Model}; got[0] != "mock-model" || got[1] != model {
			t.Errorf("models %v: the override holds from the next turn", got)
		}
	})
}

// TestSteerRacesEnd steers at the moment a turn ends: each input is either
// refused or heard.
func TestSteerRacesEnd(t *testing.T) {
	w := newWorld(t, testConfig)
	w.model.forever = reply{backend.Event{Kind: backend.EventStarted}, messageDone("m", "x"), completed()}
	defer w.Shutdown(t.Context())
	w.start(`{}`)
	taken := 0
	for range 300 {
		id := w.begin("q")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for w.parent.until(t, protocol.MethodTurnCompleted).get("turn.id") != id {
			}
		}()
		for w.steer(id, "s") == nil {
			taken++
		}
		<-ended
	}
	heard := 0
	for _, n := range w.parent.all(protocol.MethodItemStarted) {
		if strings.Contains(n.get("item.content"), `"s"`) {
			heard++
		}
	}
	if heard != taken {
		t.Errorf("%d inputs were taken and %d heard", taken, heard)
	}
}
