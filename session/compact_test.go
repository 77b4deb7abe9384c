package session

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"app-server/internal/backend"
	"app-server/internal/excerpt"
	"app-server/protocol"
)

// compactStart asks for a compaction and does not wait for it.
func (w *world) compactStart() error {
	_, then, err := w.CompactThread(w.t.Context(), &protocol.ThreadCompactStartParams{ThreadID: w.thread})
	if err == nil {
		then()
	}
	return err
}

// compactNow runs a compaction and returns its turn/completed.
func (w *world) compactNow() note {
	w.t.Helper()
	if err := w.compactStart(); err != nil {
		w.t.Fatalf("CompactThread = %v", err)
	}
	return w.parent.until(w.t, protocol.MethodTurnCompleted)
}

// heard compares what a request holds, counted from the end where i is negative.
func (w *world) heard(i int, want ...string) {
	w.t.Helper()
	if d := cmp.Diff(want, said(w.model.request(i))); d != "" {
		w.t.Errorf("request %d: %s", i, d)
	}
}

// compactions counts the finished items of compactions.
func (w *world) compactions() int {
	n := 0
	for _, it := range w.parent.all(protocol.MethodItemCompleted) {
		if it.get("item.type") == string(protocol.ItemContextCompaction) {
			n++
		}
	}
	return n
}

// answer is a whole response of one message, with the size that the backend
// counts for the conversation.
func answer(text string, tokens int64) reply {
	return reply{messageDone("m", text), completed(tokens-1, 1, tokens)}
}

// calling is a whole response of one call.
func calling(id string, tokens int64) reply {
	return reply{call(id, "nope", "{}"), completed(tokens-1, 1, tokens)}
}

const noTool = ": There is no tool named nope. Use only the tools that were offered."

var overflow = reply{&backend.Error{Kind: backend.KindContextWindow, Message: "too long"}}

func TestCompact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, calling("c1", 50), answer("a1", 60), reply{
			messageAdded("s"), delta("s", "not this"), messageDone("s", "nor this"), call("x", "nope", "{}"), messageDone("s2", " the sum "), completed(70, 5, 75),
		}, answer("a2", 40))
		defer w.Shutdown(t.Context())
		w.start(`{"developerInstructions":"be brief"}`)
		w.ok("q1")
		before := len(w.parent.all())
		if end := w.compactNow(); end.get("turn.status") != "completed" {
			t.Errorf("ended as %s", end.Params)
		}
		var seen []string
		for _, n := range w.parent.all()[before:] {
			line := n.Method
			switch n.Method {
			case protocol.MethodItemStarted, protocol.MethodItemCompleted:
				line += " " + n.get("item.type")
			case protocol.MethodThreadTokenUsageUpdated:
				line += " " + n.get("tokenUsage.total.totalTokens")
			}
			seen = append(seen, line)
		}
		if d := cmp.Diff([]string{
			"thread/status/changed", "turn/started", "item/started contextCompaction",
			"thread/tokenUsage/updated 185", "account/rateLimits/updated", "thread/tokenUsage/updated 185",
			"item/completed contextCompaction", "warning", "thread/status/changed", "turn/completed",
		}, seen); d != "" {
			t.Error(d)
		}
		w.ok("q2")
		call := []string{"user: q1", "function_call c1", "function_call_output c1" + noTool, "assistant: a1"}
		w.heard(2, append(call, "user: COMPACT")...)
		w.heard(3, "user: q1", "user: SUMMARY the sum", "user: q2")
		asked, next := w.model.request(2), w.model.request(3)
		if len(asked.Tools) > 0 || asked.ParallelToolCalls || asked.Instructions != next.Instructions || asked.Window != 0 || next.Window != 1 {
			t.Errorf("asked with %d tools, windows %d and %d", len(asked.Tools), asked.Window, next.Window)
		}
		// What every thread begins with is told again, once, and first.
		if d := cmp.Diff(w.model.request(0).Input[:2], next.Input[:2]); d != "" {
			t.Error(d)
		}
		if n := len(next.Input); n != 5 {
			t.Errorf("%d items", n)
		}
		usage := w.parent.all(protocol.MethodThreadTokenUsageUpdated)
		if last := usage[3].get("tokenUsage.last.totalTokens"); last == "75" || last == "0" || last == "" {
			t.Errorf("the size after it is told as %s", last)
		}
	})
}

func TestCompactTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, say("a1"), say("sum one"), say("a2"), say("sum two"), say("sum three"))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("q1")
		w.compactNow()
		w.ok("q2")
		w.compactNow()
		w.compactNow()
		w.ok("q3")
		w.heard(3, "user: q1", "user: SUMMARY sum one", "user: q2", "assistant: a2", "user: COMPACT")
		w.heard(4, "user: q1", "user: q2", "user: SUMMARY sum two", "user: COMPACT")
		w.heard(5, "user: q1", "user: q2", "user: SUMMARY sum three", "user: q3")
		if w.model.request(5).Window != 3 {
			t.Errorf("window %d", w.model.request(5).Window)
		}
	})
}

func TestCompactNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, say("a"))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		if end := w.compactNow(); end.get("turn.status") != "completed" || w.compactions() != 1 || w.model.count() != 0 {
			t.Errorf("ended as %s after %d requests", end.Params, w.model.count())
		}
		w.ok("q")
		w.heard(-1, "user: q")
		w.thread = "01a21086-e757-7bf2-97d5-d3e23dcc2d6a"
		if got := reason(w.compactStart()); got != protocol.ReasonThreadNotFound {
			t.Errorf("of an unknown thread: %s", got)
		}
	})
}

// TestCompactFails is about compactions that come to nothing: the turn says so,
// and the conversation is what it was.
func TestCompactFails(t *testing.T) {
	cut := &backend.Error{Kind: backend.KindStreamDisconnected, Retry: backend.RetryStream, Message: "cut"}
	for name, c := range map[string]struct {
		replies  []reply
		kind     string
		requests int
	}{
		"refused":        {[]reply{{&backend.Error{Kind: backend.KindBadRequest, Status: 400, Message: "no"}}}, "badRequest", 1},
		"no answer":      {[]reply{{completed(1, 2, 3)}}, "other", 1},
		"empty":          {[]reply{say(" ")}, "other", 1},
		"only a call":    {[]reply{{call("c", "nope", "{}"), completed()}}, "other", 1},
		"a refusal":      {[]reply{{done(`{"type":"message","role":"assistant","content":[{"type":"refusal","refusal":"I will not"}]}`), completed()}}, "other", 1},
		"cut too often":  {[]reply{{messageDone("m", "half"), cut}, {cut}, {cut}}, `{"responseStreamDisconnected":{"httpStatusCode":null}}`, 3},
		"half, then not": {[]reply{{messageDone("m", "half"), cut}, {completed()}}, "other", 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, testConfig, append([]reply{say("a1")}, c.replies...)...)
				defer w.Shutdown(t.Context())
				w.start(`{}`)
				w.ok("q1")
				end := w.compactNow()
				if got := end.get("turn.status") + " " + end.get("turn.error.codexErrorInfo"); got != "failed "+c.kind || end.get("turn.error.message") == "" {
					t.Errorf("ended as %s", end.Params)
				}
				if n := w.model.count() - 1; n != c.requests {
					t.Errorf("%d requests", n)
				}
				if d := cmp.Diff(map[string]bool{}, openItems(w.parent)); d != "" {
					t.Errorf("items left open: %s", d)
				}
				w.ok("q2")
				w.heard(-1, "user: q1", "assistant: a1", "user: q2")
			})
		})
	}
}

func TestCompactRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := &backend.Error{Kind: backend.KindStreamDisconnected, Retry: backend.RetryStream, Message: "cut"}
		w := newWorld(t, testConfig, say("a1"), reply{messageDone("m", "half"), cut}, say("the sum"))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("q1")
		w.compactNow()
		if errs := w.parent.all(protocol.MethodError); len(errs) != 1 || errs[0].get("willRetry") != "true" {
			t.Errorf("told %v", errs)
		}
		w.ok("q2")
		w.heard(-1, "user: q1", "user: SUMMARY the sum", "user: q2")
	})
}

func TestCompactInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, say("a1"), reply{messageDone("m", "the sum"), time.Hour, completed()})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("q1")
		if err := w.compactStart(); err != nil {
			t.Fatal(err)
		}
		id := w.parent.until(t, protocol.MethodTurnStarted)
		for id.get("turn.id") == w.parent.all(protocol.MethodTurnStarted)[0].get("turn.id") {
			id = w.parent.until(t, protocol.MethodTurnStarted)
		}
		synctest.Wait()
		began := time.Now()
		if err := w.interrupt(id.get("turn.id")); err != nil {
			t.Error(err)
		}
		if end := w.parent.until(t, protocol.MethodTurnCompleted); end.get("turn.status") != "interrupted" || time.Since(began) > 0 {
			t.Errorf("ended as %s after %v", end.Params, time.Since(began))
		}
		if d := cmp.Diff(map[string]bool{}, openItems(w.parent)); d != "" {
			t.Errorf("items left open: %s", d)
		}
		w.ok("q2")
		w.heard(-1, "user: q1", "assistant: a1", "user: q2")
	})
}

// TestCompactBusy asks for a compaction while a turn runs, and for a turn while
// the compaction runs.
func TestCompactBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		w := newWorld(t, testConfig, reply{messageDone("m", "said"), call("c", "nope", "{}"), time.Hour}, reply{gate, messageDone("s", "the sum"), completed()}, say("a2"))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		first := w.begin("q1")
		synctest.Wait()
		if err := w.compactStart(); err != nil {
			t.Fatal(err)
		}
		if end := w.parent.until(t, protocol.MethodTurnCompleted); end.get("turn.id") != first || end.get("turn.status") != "interrupted" {
			t.Errorf("ended as %s", end.Params)
		}
		compaction := w.parent.until(t, protocol.MethodTurnStarted).get("turn.id")
		synctest.Wait()
		if got := reason(w.steer(compaction, "x")); got != protocol.ReasonTurnNotSteerable {
			t.Errorf("steer: %s", got)
		}
		next := w.begin("q2")
		if next == compaction {
			t.Error("the compaction took the input")
		}
		if err := w.steer(next, "q3"); err != nil {
			t.Errorf("steer of the turn that waits = %v", err)
		}
		if got := reason(w.compactStart()); got != protocol.ReasonOverloaded {
			t.Errorf("another compaction: %s", got)
		}
		close(gate)
		w.parent.until(t, protocol.MethodTurnCompleted)
		w.parent.until(t, protocol.MethodTurnCompleted)
		w.heard(1, "user: q1", "assistant: said", "function_call c", "function_call_output c: The call was aborted because the user interrupted the turn.", "user: ABORTED", "user: COMPACT")
		w.heard(2, "user: q1", "user: SUMMARY the sum", "user: q2", "user: q3")
	})
}

// TestCompactTooLong shortens a conversation that is too long to be summed up.
func TestCompactTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, reply{call("c1", "nope", "{}"), call("c2", "nope", "{}"), completed()}, say("a1"))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("q1")
		w.model.replies = []reply{overflow, overflow, overflow, overflow, say("the sum")}
		if end := w.compactNow(); end.get("turn.status") != "completed" || len(w.parent.all(protocol.MethodError)) > 0 {
			t.Errorf("ended as %s", end.Params)
		}
		w.ok("q2")
		out1, out2 := "function_call_output c1"+noTool, "function_call_output c2"+noTool
		w.heard(2, "user: q1", "function_call c1", "function_call c2", out1, out2, "assistant: a1", "user: COMPACT")
		var left []string
		for i := 3; i < 7; i++ {
			left = append(left, strings.Join(said(w.model.request(i)), ", "))
		}
		whole := "user: q1, function_call c1, function_call c2, " + out1 + ", " + out2 + ", assistant: a1, user: COMPACT"
		pair := "function_call c2, " + out2
		if d := cmp.Diff([]string{
			whole, whole, // without what every thread begins with
			pair + ", assistant: a1, user: COMPACT", "assistant: a1, user: COMPACT",
		}, left); d != "" {
			t.Error(d)
		}
		w.heard(7, "user: q1", "user: SUMMARY the sum", "user: q2")
	})
}

// TestCompactNeverFits gives up in the end, and the thread lives on.
func TestCompactNeverFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		w.model.forever = say("a")
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		for i := range 40 {
			w.ok(fmt.Sprint("q", i, strings.Repeat("x", 2000)))
		}
		w.model.forever = overflow
		if end := w.compactNow(); end.get("turn.status") != "failed" || end.get("turn.error.codexErrorInfo") != "contextWindowExceeded" {
			t.Errorf("ended as %s", end.Params)
		}
		if n := w.model.count() - 40; n != maxShrinks+1 {
			t.Errorf("%d requests", n)
		}
		w.model.forever = say("a")
		w.ok("on")
		if n := len(said(w.model.request(-1))); n != 81 {
			t.Errorf("%d items", n)
		}
	})
}

// TestOverflow has words that fill the window all by themselves. The turn
// fails; the next one sums up before it goes on.
func TestOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, overflow, overflow, say("the sum"), answer("a", 100))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		long := strings.Repeat("x", 900_000)
		if end := w.turn(long); end.get("turn.error.codexErrorInfo") != "contextWindowExceeded" {
			t.Errorf("ended as %s", end.Params)
		}
		if n := w.parent.all(protocol.MethodThreadTokenUsageUpdated); len(n) != 1 || n[0].get("tokenUsage.last.totalTokens") != "258400" {
			t.Errorf("told %v", n)
		}
		w.ok("q2")
		short := excerpt.Ends(long, maxKeptWords, cutMark)
		w.heard(1, "user: "+long, "user: COMPACT")
		w.heard(2, "user: "+short, "user: COMPACT")
		w.heard(3, "user: "+short, "user: SUMMARY the sum", "user: q2")
		w.ok("q3")
		if n := w.compactions(); n != 1 {
			t.Errorf("%d compactions", n)
		}
	})
}

func TestNewest(t *testing.T) {
	for name, c := range map[string]struct {
		texts []string
		room  int
		want  []string
	}{
		"none":           {nil, 100, nil},
		"all":            {[]string{"a", "b"}, 100, []string{"a", "b"}},
		"the last":       {[]string{strings.Repeat("a", 50), strings.Repeat("b", 90)}, 100, []string{strings.Repeat("b", 90)}},
		"one cut":        {[]string{"z", strings.Repeat("a", 100), "b"}, 31, []string{"aaaaa" + cutMark + "aaaaa", "b"}},
		"characters":     {[]string{strings.Repeat("ä", 100)}, 26, []string{"ä" + cutMark + "ä"}},
		"just fits":      {[]string{strings.Repeat("a", 30), "b"}, 31, []string{strings.Repeat("a", 30), "b"}},
		"nothing fits":   {[]string{"a"}, 3, nil},
		"one too many":   {[]string{strings.Repeat("a", 31)}, 30, []string{"aaaaa" + cutMark + "aaaaa"}},
		"the newest big": {[]string{"old", strings.Repeat("a", 31)}, 30, []string{"aaaaa" + cutMark + "aaaaa"}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, newest(c.texts, c.room)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestItemTokens(t *testing.T) {
	image := imageParts(imageOpen, "data:image/png;base64,"+strings.Repeat("A", 1_000_000))
	for name, c := range map[string]struct {
		parts    []part
		min, max int64
	}{
		"text":          {[]part{textPart(strings.Repeat("x", 4000))}, 1000, 1050},
		"an image":      {image, imageTokens, imageTokens + 100},
		"two images":    {append(image, image...), 2 * imageTokens, 2*imageTokens + 200},
		"told in words": {[]part{textPart(`"image_url":"` + strings.Repeat("x", 4000))}, 1000, 1050},
	} {
		t.Run(name, func(t *testing.T) {
			if n := itemTokens(messageItem(roleUser, c.parts...)); n < c.min || n > c.max {
				t.Errorf("%d tokens, want %d to %d", n, c.min, c.max)
			}
		})
	}
}

func TestWords(t *testing.T) {
	got := words([]protocol.UserInput{
		{Type: protocol.InputText, Text: "look"}, {Type: protocol.InputImage, URL: "data:image/png;base64,AA"},
		{Type: protocol.InputLocalImage, Path: "/none.png"}, {Type: protocol.InputText}, {Type: protocol.InputMention, Name: "n", Path: "/p"},
	})
	if d := cmp.Diff([]string{"look", `The user refers to "n" (/p).`}, got); d != "" {
		t.Error(d)
	}
}
