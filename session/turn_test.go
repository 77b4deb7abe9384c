package session

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"app-server/internal/backend"
	"app-server/protocol"
)

func TestTurnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, reply{messageAdded("m1"), delta("m1", "Hel"), time.Second, delta("", "lo"), messageDone("m1", "Hello"), completed(10, 5, 15)})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		r, then, err := w.StartTurn(t.Context(), &protocol.TurnStartParams{ThreadID: w.thread, Input: text("Hi there")})
		if err != nil {
			t.Fatal(err)
		}
		got, _ := json.Marshal(r)
		want := `{"turn":{"id":"` + r.Turn.ID + `","items":[],"status":"inProgress","error":null,"startedAt":null,"completedAt":null,"durationMs":null}}`
		if string(got) != want {
			t.Errorf("response %s, want %s", got, want)
		}
		synctest.Wait()
		if n := len(w.parent.all()); n != 1 { // thread/started
			t.Errorf("%d notifications before the response was sent", n)
		}
		then()
		end := w.parent.until(t, protocol.MethodTurnCompleted)
		wantMethods := []string{
			"thread/started", "warning", "thread/status/changed", "turn/started", "item/started", "item/completed",
			"item/started", "item/agentMessage/delta", "item/agentMessage/delta", "item/completed",
			"thread/tokenUsage/updated", "account/rateLimits/updated", "thread/status/changed", "turn/completed",
		}
		if d := cmp.Diff(wantMethods, w.parent.methods()); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"completed", "null", "[]", "1000"}, []string{end.get("turn.status"), end.get("turn.error"), end.get("turn.items"), end.get("turn.durationMs")}); d != "" {
			t.Error(d)
		}
		notes := w.parent.all()
		if s := notes[3].get("turn.startedAt"); s == "null" || notes[3].get("turn.status") != "inProgress" {
			t.Errorf("turn/started %s", notes[3].Params)
		}
		if got := notes[2].get("status"); got != `{"type":"active","activeFlags":[]}` {
			t.Errorf("status %s", got)
		}
		if got := notes[12].get("status"); got != `{"type":"idle"}` {
			t.Errorf("status %s", got)
		}
		user := notes[4]
		if _, err := uuid.Parse(user.get("item.id")); err != nil || user.get("item.content") != `[{"type":"text","text":"Hi there","text_elements":[]}]` {
			t.Errorf("user item %s", user.Params)
		}
		if got := notes[9].get("item"); got != `{"type":"agentMessage","id":"m1","text":"Hello","phase":null,"memoryCitation":null}` {
			t.Errorf("agent item %s", got)
		}
		for _, n := range notes[3:] {
			if strings.HasPrefix(n.Method, "item/") && (n.get("threadId") != w.thread || n.get("turnId") != r.Turn.ID) {
				t.Errorf("%s names another turn: %s", n.Method, n.Params)
			}
		}
	})
}

func TestUsageAddsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := completed(20, 7, 27)
		second.Response.Usage.CachedInput, second.Response.Usage.ReasoningOutput = 4, 3
		w := newWorld(t, testConfig, reply{messageDone("a", "x"), completed(10, 5, 15)}, reply{messageDone("b", "y"), second}, reply{messageDone("c", "z"), completed()})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("1")
		w.ok("2")
		w.ok("3") // tells no usage
		got := w.parent.all(protocol.MethodThreadTokenUsageUpdated)
		if len(got) != 2 {
			t.Fatalf("%d usage notifications", len(got))
		}
		want := `{"total":{"totalTokens":42,"inputTokens":30,"cachedInputTokens":4,"outputTokens":12,"reasoningOutputTokens":3},` +
			`"last":{"totalTokens":27,"inputTokens":20,"cachedInputTokens":4,"outputTokens":7,"reasoningOutputTokens":3},"modelContextWindow":258400}`
		if d := cmp.Diff(want, got[1].get("tokenUsage")); d != "" {
			t.Error(d)
		}
	})
}

func TestRateLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		minutes, at := int64(300), int64(1795580000)
		limits := &backend.RateLimits{LimitID: "codex", Primary: &backend.Window{UsedPercent: 41.6, Minutes: &minutes, ResetsAt: &at}}
		started := backend.Event{Kind: backend.EventStarted, Limits: limits}
		w := newWorld(t, testConfig, say("a"), reply{started, messageDone("m", "b"), completed()},
			reply{&backend.Error{Kind: backend.KindUsageLimit, Status: 429, Message: "used up", Limits: limits}})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("1")
		w.ok("2")
		if n := w.turn("3"); n.get("turn.status") != "failed" {
			t.Errorf("ended as %s", n.Params)
		}
		var got []string
		for _, n := range w.parent.all(protocol.MethodAccountRateLimitsUpdated, protocol.MethodTurnCompleted) {
			got = append(got, n.get("rateLimits.primary"))
		}
		full := `{"usedPercent":42,"windowDurationMins":300,"resetsAt":1795580000}`
		if d := cmp.Diff([]string{"null", "", full, full, "", full, ""}, got); d != "" {
			t.Error(d)
		}
		none := w.parent.all(protocol.MethodAccountRateLimitsUpdated)[0].get("rateLimits")
		want := `{"limitId":"codex","limitName":null,"primary":null,"secondary":null,"credits":null,"planType":null,"rateLimitReachedType":null}`
		if none != want {
			t.Errorf("limits %s, want %s", none, want)
		}
	})
}

func TestUnknownModelWarnedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		model := func(name string) func(*protocol.TurnStartParams) {
			return func(p *protocol.TurnStartParams) { p.Model = &name }
		}
		w.ok("1")
		w.ok("2")
		w.ok("3", model("gpt-5.2"))
		w.ok("4", model("zzz"))
		w.ok("5", model("mock-model"))
		if n := len(w.parent.all(protocol.MethodWarning)); n != 2 {
			t.Errorf("%d warnings, want one for each of two unknown models", n)
		}
	})
}

func TestEmptyInputRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("", func(p *protocol.TurnStartParams) { p.Input = []protocol.UserInput{} })
		if got := said(w.model.request(0)); len(got) != 0 {
			t.Errorf("the model was told %v", got)
		}
		if n := len(w.parent.all(protocol.MethodItemStarted)); n != 1 { // the answer
			t.Errorf("%d items", n)
		}
	})
}

func TestInputTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		over := []protocol.UserInput{{Type: protocol.InputText, Text: strings.Repeat("ä", 1<<20)}, {Type: protocol.InputText, Text: "x"}}
		_, _, err := w.StartTurn(t.Context(), &protocol.TurnStartParams{ThreadID: w.thread, Input: over})
		e, ok := err.(*protocol.Error)
		if !ok || e.Code != protocol.CodeInvalidParams {
			t.Fatalf("StartTurn = %v", err)
		}
		if d := cmp.Diff(map[string]any{"input_error_code": "input_too_large", "max_chars": 1 << 20, "actual_chars": 1<<20 + 1}, e.Data); d != "" {
			t.Error(d)
		}
		w.ok("", func(p *protocol.TurnStartParams) { p.Input = over[:1] })
	})
}

func TestRawEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, reply{messageDone("m1", "hi"), call("c1", "nope", "{}"), completed()}, say("done"))
		defer w.Shutdown(t.Context())
		w.start(`{"experimentalRawEvents":true}`)
		w.ok("q")
		var types []string
		for _, n := range w.parent.all(protocol.MethodRawResponseItemCompleted) {
			types = append(types, n.get("item.type")+" "+n.get("item.role"))
		}
		want := []string{"message developer", "message user", "message user", "message assistant", "function_call ", "function_call_output ", "message assistant"}
		if d := cmp.Diff(want, types); d != "" {
			t.Error(d)
		}
	})
}

// TestPanicEndsTurn breaks an invariant inside a turn.
func TestPanicEndsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := func() { panic("boom") }
		w := newWorld(t, testConfig, reply{call("c1", "x", "{}"), messageAdded("m1"), delta("m1", "par"), boom})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		end := w.turn("q")
		if end.get("turn.status") != "failed" || end.get("turn.error.message") == "" {
			t.Errorf("ended as %s", end.Params)
		}
		w.ok("again")
		want := []string{"user: q", "function_call c1", "function_call_output c1: The call was not run because the turn failed.", "user: again"}
		if d := cmp.Diff(want, said(w.model.request(-1))); d != "" {
			t.Error(d)
		}
		if n := len(w.parent.all(protocol.MethodTurnCompleted)); n != 2 {
			t.Errorf("%d turns completed", n)
		}
		if d := cmp.Diff(openItems(w.parent), map[string]bool{}); d != "" {
			t.Errorf("items left open: %s", d)
		}
	})
}

// openItems are the ids of items that started and did not end.
func openItems(p *fakeParent) map[string]bool {
	open := map[string]bool{}
	for _, n := range p.all(protocol.MethodItemStarted, protocol.MethodItemCompleted) {
		if n.Method == protocol.MethodItemStarted {
			open[n.get("item.id")] = true
		} else {
			delete(open, n.get("item.id"))
		}
	}
	return open
}

func TestTwoThreadsSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := reply{messageAdded("m"), time.Minute, messageDone("m", "x"), completed()}
		w := newWorld(t, testConfig, slow, slow)
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		began := time.Now()
		w.begin("a")
		w.start(`{}`)
		w.begin("b")
		w.parent.until(t, protocol.MethodTurnCompleted)
		w.parent.until(t, protocol.MethodTurnCompleted)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

func TestWithoutID(t *testing.T) {
	for in, want := range map[string]string{
		`{"id":"a","type":"message","content":[{"id":"stays"}]}`: `{"type":"message","content":[{"id":"stays"}]}`,
		`{"type":"x", "n": 1.50, "id" : {"a":[1]}}`:              `{"type":"x","n":1.50}`,
		`{}`: `{}`,
	} {
		if got := withoutID(jsontext.Value(in)); string(got) != want {
			t.Errorf("withoutID(%s) = %s, want %s", in, got, want)
		}
	}
}
