package session

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/internal/backend"
	"app-server/internal/tools"
	"app-server/protocol"
)

func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		err  *backend.Error
		want string // codexErrorInfo
	}{
		"server":          {&backend.Error{Kind: backend.KindServer, Status: 503}, "internalServerError"},
		"bad request":     {&backend.Error{Kind: backend.KindBadRequest, Status: 400}, "badRequest"},
		"unauthorized":    {&backend.Error{Kind: backend.KindUnauthorized, Status: 401}, "unauthorized"},
		"not signed in":   {&backend.Error{Kind: backend.KindNotSignedIn}, "unauthorized"},
		"context":         {&backend.Error{Kind: backend.KindContextWindow}, "contextWindowExceeded"},
		"usage":           {&backend.Error{Kind: backend.KindUsageLimit, Status: 429}, "usageLimitExceeded"},
		"overloaded":      {&backend.Error{Kind: backend.KindOverloaded}, "serverOverloaded"},
		"cyber policy":    {&backend.Error{Kind: backend.KindCyberPolicy}, "cyberPolicy"},
		"too many":        {&backend.Error{Kind: backend.KindTooManyRequests, Status: 429}, `{"responseTooManyFailedAttempts":{"httpStatusCode":429}}`},
		"policy":          {&backend.Error{Kind: backend.KindCyberPolicy, Status: 400}, "cyberPolicy"},
		"connect":         {&backend.Error{Kind: backend.KindConnectFailed}, `{"httpConnectionFailed":{"httpStatusCode":null}}`},
		"disconnected":    {&backend.Error{Kind: backend.KindStreamDisconnected}, `{"responseStreamDisconnected":{"httpStatusCode":null}}`},
		"invalid prompt":  {&backend.Error{Kind: backend.KindInvalidPrompt}, "other"},
		"incomplete":      {&backend.Error{Kind: backend.KindIncomplete}, "other"},
		"other":           {&backend.Error{Kind: backend.KindOther, Status: 403}, "other"},
		"kind of tomorow": {&backend.Error{Kind: "zzz"}, "other"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.err.Message, c.err.Details = "what went wrong", "request id 7"
				w := newWorld(t, testConfig, reply{c.err})
				defer w.Shutdown(t.Context())
				w.start(`{}`)
				end := w.turn("q1")
				notes := w.parent.all()
				last := notes[len(notes)-3:]
				if d := cmp.Diff([]string{protocol.MethodThreadStatusChanged, protocol.MethodError, protocol.MethodTurnCompleted}, []string{last[0].Method, last[1].Method, last[2].Method}); d != "" {
					t.Error(d)
				}
				got := []string{last[0].get("status.type"), last[1].get("willRetry"), end.get("turn.status"), end.get("turn.error.message"), end.get("turn.error.codexErrorInfo"), end.get("turn.error.additionalDetails")}
				if d := cmp.Diff([]string{"systemError", "false", "failed", "what went wrong", c.want, "request id 7"}, got); d != "" {
					t.Error(d)
				}
				if last[1].get("error") != end.get("turn.error") {
					t.Errorf("error %s, turn/completed %s", last[1].Params, end.Params)
				}
				if n := w.model.count(); n != 1 {
					t.Errorf("%d requests", n)
				}
				w.ok("q2")
				heard := []string{"user: q1", "user: q2"}
				if c.err.Kind == backend.KindContextWindow { // which a compaction cures
					heard = []string{"user: q1", "user: SUMMARY more", "user: q2"}
				}
				if d := cmp.Diff(heard, said(w.model.request(-1))); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// TestUnansweredRefresh: where the model needs the parent and that is gone, the
// turn has not failed, and nothing is tried again.
func TestUnansweredRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := &backend.Error{Kind: backend.KindUnauthorized, Status: 401, Retry: backend.RetryStream, Err: fmt.Errorf("refresh: %w", ErrParentGone)}
		w := newWorld(t, testConfig, reply{messageDone("m", "half"), gone})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		if end := w.turn("q1"); end.get("turn.status") != "interrupted" || end.get("turn.error") != "null" {
			t.Errorf("ended as %s", end.Params)
		}
		for _, n := range w.parent.all() {
			if n.Method == protocol.MethodError {
				t.Errorf("told as failed: %s", n.Params)
			}
		}
		if n := w.model.count(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestStreamRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := &backend.Error{Kind: backend.KindStreamDisconnected, Status: 200, Retry: backend.RetryStream, Message: "cut"}
		wait := &backend.Error{Kind: backend.KindTooManyRequests, Status: 429, Retry: backend.RetryStream, RetryAfter: 7 * time.Second, Message: "slow down"}
		w := newWorld(t, testConfig,
			reply{messageDone("m1", "kept"), call("c1", "nope", "{}"), messageAdded("m2"), delta("m2", "par"), cut},
			reply{wait}, reply{messageDone("m2", "whole"), completed()})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		began := time.Now()
		w.ok("q1")
		if took := time.Since(began); took < 7*time.Second+180*time.Millisecond || took > 7*time.Second+220*time.Millisecond {
			t.Errorf("took %v: the backoff and then the wait that was asked for", took)
		}
		var errs []string
		for _, n := range w.parent.all(protocol.MethodError) {
			errs = append(errs, n.get("willRetry")+" "+n.get("error.codexErrorInfo")+" "+n.get("error.message"))
		}
		if d := cmp.Diff([]string{
			`true {"responseStreamDisconnected":{"httpStatusCode":200}} cut`,
			`true {"responseStreamDisconnected":{"httpStatusCode":429}} slow down`,
		}, errs); d != "" {
			t.Error(d)
		}
		output := "function_call_output c1: There is no tool named nope. Use only the tools that were offered."
		if d := cmp.Diff([]string{"user: q1", "assistant: kept", "function_call c1", output}, said(w.model.request(-1))); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(map[string]bool{}, openItems(w.parent)); d != "" {
			t.Errorf("items left open: %s", d)
		}
	})
}

func TestStreamRetriesRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		w.model.forever = reply{} // a stream that just ends
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		if end := w.turn("q"); end.get("turn.status") != "failed" {
			t.Errorf("ended as %s", end.Params)
		}
		if n, m := w.model.count(), len(w.parent.all(protocol.MethodError)); n != 3 || m != 3 {
			t.Errorf("%d requests and %d errors, want 3 and 3", n, m)
		}
	})
}

func TestUnusableProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "model_provider = \"bad\"\n[model_providers.bad]\nname = \"Bad\"\nbase_url = 7\n")
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		if end := w.turn("q"); end.get("turn.status") != "failed" || end.get("turn.error.message") == "" {
			t.Errorf("ended as %s", end.Params)
		}
		if w.model.count() != 0 {
			t.Error("a request was made")
		}
	})
}

func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := tool("good", func(_ context.Context, t *tools.Turn, c tools.Call) tools.Output {
			return tools.Output{Text: t.ID[:1] + c.Namespace + " ran " + c.Arguments}
		})
		good.Custom = true
		good.Spec = func(*tools.Turn) (jsontext.Value, bool) {
			return jsontext.Value(`{"type":"function","name":"good"}`), true
		}
		w := newWorldTools(t, testConfig, []tools.Tool{
			good,
			tool("bad", func(context.Context, *tools.Turn, tools.Call) tools.Output { panic("boom") }),
			tool("rich", func(context.Context, *tools.Turn, tools.Call) tools.Output {
				return tools.Output{Content: []byte(`[{"type":"input_text","text":"x"}]`)}
			}),
		}, reply{
			call("c1", "good", `{"a":1}`), call("c2", "nope", `{}`), call("c3", "good", `{broken`), call("c4", "bad", `{}`),
			done(`{"type":"custom_tool_call","call_id":"c5","name":"good","input":"free {text"}`),
			done(`{"type":"local_shell_call","call_id":"c6","action":{"type":"exec","command":["ls"]}}`),
			call("c7", "rich", `{}`),
			done(`{"type":"function_call","name":"good","arguments":"{}"}`), // without call_id: no item at all
			completed(),
		}, say("done"))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("q")
		want := []string{
			"user: q", "function_call c1", "function_call c2", "function_call c3", "function_call c4", "custom_tool_call c5", "local_shell_call c6", "function_call c7",
			`function_call_output c1: 0 ran {"a":1}`,
			"function_call_output c2: There is no tool named nope. Use only the tools that were offered.",
			"function_call_output c3: The arguments of the call are not valid JSON. Send the call again with valid arguments.",
			"function_call_output c4: The tool bad failed with an internal error.",
			"custom_tool_call_output c5: 0 ran free {text",
			"function_call_output c6: There is no tool named local_shell. Use only the tools that were offered.",
			`{"type":"function_call_output","call_id":"c7","output":[{"type":"input_text","text":"x"}]}`,
		}
		if d := cmp.Diff(want, said(w.model.request(1))); d != "" {
			t.Error(d)
		}
		if w.model.count() != 2 || len(w.model.request(0).Tools) != 1 {
			t.Errorf("%d requests, tools %s", w.model.count(), w.model.request(0).Tools)
		}
	})
}
