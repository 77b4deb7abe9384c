package session

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"app-server/internal/backend"
	"app-server/protocol"
)

func limit(tokens int) string {
	return fmt.Sprintf("model_auto_compact_token_limit = %d\n", tokens) + testConfig
}

func TestCompactBySize(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  string
		size int64
		want int
	}{
		"below the limit":           {limit(1000), 999, 0},
		"at the limit":              {limit(1000), 1000, 1},
		"below the model's share":   {testConfig, 244_799, 0},
		"at the model's share":      {testConfig, 244_800, 1},
		"below a window's share":    {"model_context_window = 10000\n" + testConfig, 8999, 0},
		"at a window's share":       {"model_context_window = 10000\n" + testConfig, 9000, 1},
		"a limit above that share":  {"model_context_window = 10000\n" + limit(20_000), 9000, 1},
		"a backend without a count": {limit(100), 0, 1}, // the instructions alone are more
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := answer("a1", c.size)
				if c.size == 0 {
					first = reply{messageDone("m", "a1"), completed()}
				}
				w := newWorld(t, c.cfg, first)
				defer w.Shutdown(t.Context())
				w.start(`{}`)
				w.ok("q1")
				w.ok("q2")
				if n := w.compactions(); n != c.want {
					t.Errorf("%d compactions", n)
				}
			})
		})
	}
}

// TestCompactBetween sums up inside a turn, between two requests, and hears what
// was said meanwhile afterwards.
func TestCompactBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, gate2 := make(chan struct{}), make(chan struct{})
		w := newWorld(t, limit(1000),
			reply{gate, call("c1", "nope", "{}"), completed(1500, 1, 1501)},
			reply{gate2, messageDone("s", "the sum"), completed(9, 9, 18)}, calling("c2", 300), say("a"))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		id := w.begin("q1")
		synctest.Wait()
		if err := w.steer(id, "and this"); err != nil {
			t.Error(err)
		}
		close(gate)
		synctest.Wait()
		if err := w.steer(id, "and that"); err != nil {
			t.Error(err)
		}
		close(gate2)
		if end := w.parent.until(t, protocol.MethodTurnCompleted); end.get("turn.status") != "completed" || end.get("turn.id") != id {
			t.Errorf("ended as %s", end.Params)
		}
		w.heard(1, "user: q1", "function_call c1", "function_call_output c1"+noTool, "user: COMPACT")
		w.heard(2, "user: q1", "user: SUMMARY the sum", "user: and this", "user: and that")
		w.heard(3, "user: q1", "user: SUMMARY the sum", "user: and this", "user: and that", "function_call c2", "function_call_output c2"+noTool)
		if n := w.compactions(); n != 1 {
			t.Errorf("%d compactions", n)
		}
	})
}

// TestCompactBeforeWords makes room for words that would not fit, without
// summing them up.
func TestCompactBeforeWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, limit(10_000), answer("a1", 8000), say("the sum"), answer("a2", 9000), answer("a3", 9100))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("q1")
		long := strings.Repeat("x", 9000)
		w.ok(long)
		w.heard(1, "user: q1", "assistant: a1", "user: COMPACT")
		w.heard(2, "user: q1", "user: SUMMARY the sum", "user: "+long)
		// Most of what there is now cannot be summed up.
		w.ok(long)
		if n := w.compactions(); n != 1 {
			t.Errorf("%d compactions", n)
		}
	})
}

func TestCompactBySizeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, limit(1000), answer("a1", 1000), reply{&backend.Error{Kind: backend.KindServer, Message: "down"}}, say("the sum"))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("q1")
		if end := w.turn("q2"); end.get("turn.status") != "failed" || end.get("turn.error.message") != "down" {
			t.Errorf("ended as %s", end.Params)
		}
		w.ok("q3")
		w.heard(2, "user: q1", "assistant: a1", "user: q2", "user: COMPACT")
		w.heard(3, "user: q1", "user: q2", "user: SUMMARY the sum", "user: q3")
	})
}

func TestCompactBySizeInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, limit(1000), calling("c1", 1000), reply{time.Hour})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		id := w.begin("q1")
		synctest.Wait()
		if err := w.steer(id, "also"); err != nil {
			t.Error(err)
		}
		if err := w.interrupt(id); err != nil {
			t.Error(err)
		}
		if end := w.parent.until(t, protocol.MethodTurnCompleted); end.get("turn.status") != "interrupted" {
			t.Errorf("ended as %s", end.Params)
		}
		w.model.replies = []reply{say("the sum")}
		w.ok("q2")
		w.heard(2, "user: q1", "function_call c1", "function_call_output c1"+noTool, "user: also", "user: ABORTED", "user: COMPACT")
		w.heard(3, "user: q1", "user: also", "user: SUMMARY the sum", "user: q2")
	})
}

// TestCompactWithoutGain has a limit that even a fresh conversation is over. It
// is summed up once; then the backend decides.
func TestCompactWithoutGain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, limit(1000), calling("c1", 5000), say("the sum"), calling("c2", 5000), calling("c3", 5010), answer("a", 5020))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("q1")
		w.ok("q2")
		if n, requests := w.compactions(), w.model.count(); n != 1 || requests != 6 {
			t.Errorf("%d compactions, %d requests", n, requests)
		}
		w.model.replies = []reply{answer("b", 5200), say("the sum")}
		w.ok("q3")
		w.ok("q4") // after a growth that is worth it
		if n := w.compactions(); n != 2 {
			t.Errorf("%d compactions", n)
		}
	})
}
