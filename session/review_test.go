package session

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"app-server/internal/backend"
	"app-server/internal/prompt"
	"app-server/internal/tools"
	"app-server/protocol"
)

const reviewJSON = `{"findings":[{"title":"[P1] Wrong sum","body":"Adds twice.\nSee the loop.","confidence_score":0.8,"priority":1,"code_location":{"absolute_file_path":"/x/a.go","line_range":{"start":3,"end":5}}},{"title":"[P3] No test","body":"","code_location":{}}],"overall_correctness":"patch is incorrect","overall_explanation":" Broken. ","overall_confidence_score":0.9}`

const reviewText = "Broken.\n\nFindings:\n\n- [P1] Wrong sum — /x/a.go:3-5\n  Adds twice.\n  See the loop.\n\n- [P3] No test"

func TestRenderReview(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"as asked for":       {reviewJSON, reviewText},
		"in a fence":         {"Here it is:\n```json\n" + reviewJSON + "\n```\n", reviewText},
		"no findings":        {`{"findings":[],"overall_correctness":"patch is correct","overall_explanation":"Fine.","overall_confidence_score":1}`, "Fine."},
		"findings alone":     {`{"findings":[{"title":"T","body":"B"}]}`, "Findings:\n\n- T\n  B"},
		"null":               {`{"findings":null,"overall_explanation":"Fine."}`, "Fine."},
		"plain words":        {"All well: func main() {} is fine.", "All well: func main() {} is fine."},
		"other JSON":         {`{"a":1}`, `{"a":1}`},
		"of other types":     {`{"findings":"none"}`, `{"findings":"none"}`},
		"cut off":            {reviewJSON[:100], reviewJSON[:100]},
		"braces in disorder": {"} {", "} {"},
		"no text at all":     {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, renderReview(tt.in)); d != "" {
				t.Error(d)
			}
		})
	}
}

// startReview starts a review of the last thread and returns the answer.
func (w *world) startReview(target, delivery string) protocol.ReviewStartResponse {
	w.t.Helper()
	r, then, err := w.StartReview(w.t.Context(), decode[protocol.ReviewStartParams](w.t, `{"threadId":"`+w.thread+`","target":`+target+delivery+`}`))
	if err != nil {
		w.t.Fatalf("StartReview = %v", err)
	}
	then()
	return r
}

const (
	customTarget = `{"type":"custom","instructions":" look at a.go "}`
	detached     = `,"delivery":"detached"`
)

func reviewLines(p *fakeParent, turn string) []string {
	var out []string
	for _, line := range itemLines(p, turn) {
		kind, text, _ := strings.Cut(line, ": ")
		out = append(out, kind[:strings.LastIndexByte(kind, ' ')]+": "+text) // ids are new ones
	}
	return out
}

func TestReview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		specs := func(raw string) func(*tools.Turn) (jsontext.Value, bool) {
			return func(*tools.Turn) (jsontext.Value, bool) { return jsontext.Value(raw), true }
		}
		var mode []protocol.ModeKind
		offered := []tools.Tool{
			{Name: "look", Spec: specs(`{"type":"function","name":"look"}`)}, {Name: "web_search", Spec: specs(`{"type":"web_search"}`)},
			tool("peek", func(_ context.Context, u *tools.Turn, _ tools.Call) tools.Output {
				mode = append(mode, u.Env.Mode)
				return tools.Output{Text: "seen"}
			}),
		}
		w := newWorldTools(t, testConfig, offered,
			say("hello"),
			reply{messageDone("n", "First I look."), call("c", "peek", "{}"), completed(1, 2, 3)},
			reply{messageAdded("m"), delta("m", reviewJSON[:20]), done(`{"type":"reasoning","id":"r","summary":[],"content":[]}`), messageDone("m", quoted(reviewJSON)), completed(5, 5, 10)},
		)
		defer w.Shutdown(t.Context())
		w.start(`{"developerInstructions":"DEV","personality":"friendly","dynamicTools":[{"name":"mine","description":"d","inputSchema":{}},{"name":"other","namespace":"space","description":"d","inputSchema":{}}]}`)
		w.ok("q", planMode)
		before := len(w.parent.all())
		r := w.startReview(customTarget, "")
		if r.ReviewThreadID != w.thread || len(r.Turn.Items) != 1 || r.Turn.Items[0].ItemID() != r.Turn.ID || r.Turn.Status != protocol.TurnInProgress {
			t.Errorf("response %+v", r)
		}
		end := w.parent.until(t, protocol.MethodTurnCompleted)
		if end.get("turn.id") != r.Turn.ID || end.get("turn.status") != "completed" {
			t.Errorf("ended as %s", end.Params)
		}
		var order []string
		for _, n := range w.parent.all()[before:] {
			order = append(order, strings.TrimSuffix(n.Method+" "+n.get("item.type"), " "))
			for _, id := range []string{n.get("turnId"), n.get("turn.id")} {
				if id != "" && id != r.Turn.ID {
					t.Errorf("%s names another turn: %s", n.Method, n.Params)
				}
			}
		}
		if d := cmp.Diff([]string{
			"thread/status/changed", "turn/started", "item/started enteredReviewMode", "item/completed enteredReviewMode",
			"item/started userMessage", "item/completed userMessage", "account/rateLimits/updated",
			"item/started reasoning", "item/completed reasoning", "account/rateLimits/updated",
			"item/started exitedReviewMode", "item/completed exitedReviewMode", "item/started agentMessage", "item/completed agentMessage",
			"thread/status/changed", "turn/completed",
		}, order); d != "" {
			t.Error(d)
		}

		asked := w.model.request(2)
		if asked.ThreadID == w.thread || asked.ThreadID != w.model.request(1).ThreadID || asked.Subagent != "review" || asked.Instructions != prompt.Review() {
			t.Errorf("the reviewer was asked under %q as %q", asked.ThreadID, asked.Subagent)
		}
		if d := cmp.Diff([]string{"user: look at a.go", "assistant: First I look.", "function_call c", "function_call_output c: seen"}, said(asked)); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]jsontext.Value{jsontext.Value(`{"type":"function","name":"look"}`)}, asked.Tools); d != "" {
			t.Error(d)
		}
		developer := string(asked.Input[0])
		if !strings.Contains(developer, "DEV") || strings.Contains(developer, "<personality>") || strings.Contains(developer, "plan mode") {
			t.Errorf("the reviewer was told %s", developer)
		}
		if d := cmp.Diff([]protocol.ModeKind{""}, mode); d != "" {
			t.Error(d)
		}

		w.ok("after")
		next := w.model.request(-1)
		if next.ThreadID != w.thread || next.Subagent != "" || next.Instructions == prompt.Review() || len(next.Tools) != 4 {
			t.Errorf("afterwards the model was asked under %q as %q with %d tools", next.ThreadID, next.Subagent, len(next.Tools))
		}
		if d := cmp.Diff([]string{"user: q", "assistant: hello", "user: " + prompt.Reviewed("look at a.go"), "assistant: " + reviewText, "user: after"}, said(next)); d != "" {
			t.Error(d)
		}
		tokens := w.parent.all(protocol.MethodThreadTokenUsageUpdated)
		if last := tokens[len(tokens)-1]; last.get("tokenUsage.total.totalTokens") != "6" || len(tokens) != 2 {
			t.Errorf("tokens %s", last.Params)
		}
	})
}

func TestReviewRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		for target, want := range map[string]string{
			`{"type":"custom","instructions":" "}`:                                            protocol.ReasonInvalidParams,
			`{"type":"commit","sha":"\t"}`:                                                    protocol.ReasonInvalidParams,
			`{"type":"baseBranch","branch":""}`:                                               protocol.ReasonInvalidParams,
			`{"type":"custom","instructions":"` + strings.Repeat("x", maxInputChars+1) + `"}`: protocol.ReasonInputTooLarge,
		} {
			for _, delivery := range []string{"", detached} {
				_, _, err := w.StartReview(t.Context(), decode[protocol.ReviewStartParams](t, `{"threadId":"`+w.thread+`","target":`+target+delivery+`}`))
				if got := reason(err); got != want {
					t.Errorf("%.60s%s: %s", target, delivery, got)
				}
			}
		}
		_, _, err := w.StartReview(t.Context(), &protocol.ReviewStartParams{ThreadID: uuid.NewString(), Target: protocol.ReviewTarget{Type: protocol.ReviewUncommitted}})
		if got := reason(err); got != protocol.ReasonThreadNotFound {
			t.Errorf("unknown thread: %s", got)
		}
		w.Shutdown(t.Context())
		for _, delivery := range []string{"", detached} {
			_, _, err = w.StartReview(t.Context(), decode[protocol.ReviewStartParams](t, `{"threadId":"`+w.thread+`","target":`+customTarget+delivery+`}`))
			if got := reason(err); got != protocol.ReasonShuttingDown {
				t.Errorf("while the server ends: %v", err)
			}
		}
		if n := w.model.count(); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestReviewTargets: what the parent shows, and what the reviewer is told.
func TestReviewTargets(t *testing.T) {
	for name, tt := range map[string]struct{ target, hint, task string }{
		"uncommitted":       {`{"type":"uncommittedChanges"}`, "uncommitted changes", "not committed"},
		"commit":            {`{"type":"commit","sha":" 0123456789abcdef "}`, "commit 0123456", "commit 0123456789abcdef made"},
		"commit with title": {`{"type":"commit","sha":"012","title":"Mend it"}`, "commit 012: Mend it", `("Mend it")`},
		"branch, no git":    {`{"type":"baseBranch","branch":"nope"}`, "changes since nope", "git merge-base"},
		"own words":         {customTarget, "look at a.go", "look at a.go"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, testConfig)
				defer w.Shutdown(t.Context())
				w.start(`{}`)
				r := w.startReview(tt.target, "")
				w.parent.until(t, protocol.MethodTurnCompleted)
				shown, _ := json.Marshal(r.Turn.Items[0])
				lines := reviewLines(w.parent, r.Turn.ID)
				if !strings.Contains(string(shown), quoted(tt.hint)) || lines[1] != "end enteredReviewMode: "+tt.hint {
					t.Errorf("shown as %s, %q", shown, lines[1])
				}
				if task := said(w.model.request(0))[0]; !strings.Contains(task, tt.task) {
					t.Errorf("the reviewer was told %q", task)
				}
			})
		})
	}
}

// TestReviewMergeBase asks a real git for the commit at which a branch was left.
func TestReviewMergeBase(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git here")
	}
	w := newWorld(t, testConfig)
	defer w.Shutdown(t.Context())
	commit := "git -c user.name=n -c user.email=a@b -c commit.gpgsign=false commit -q --allow-empty -m x"
	cmd := exec.Command("sh", "-ec", "git init -q -b main; "+commit+"; git checkout -q -b work; "+commit+"; git rev-parse main")
	cmd.Dir, cmd.Env = w.home, append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	w.start(`{}`)
	w.startReview(`{"type":"baseBranch","branch":"main"}`, "")
	w.parent.until(t, protocol.MethodTurnCompleted)
	if task := said(w.model.request(0))[0]; !strings.Contains(task, "git diff "+strings.TrimSpace(string(out))) {
		t.Errorf("the reviewer was told %q", task)
	}
}

// TestReviewEnds: however a review ends without an answer, its items are closed,
// the parent hears that it is over, and the model of the thread hears it too.
func TestReviewEnds(t *testing.T) {
	never := make(chan struct{})
	for name, tt := range map[string]struct {
		script    reply
		status    string
		interrupt bool
	}{
		"interrupted": {reply{messageDone("m", "I look."), call("c", "hang", "{}"), messageAdded("n"), delta("n", "x"), never}, "interrupted", true},
		"in a call":   {reply{messageDone("m", "I look."), call("c", "hang", "{}"), completed()}, "interrupted", true},
		"failed":      {reply{messageDone("m", "I look."), &backend.Error{Kind: backend.KindBadRequest, Message: "no"}}, "failed", false},
		"silent":      {reply{completed()}, "completed", false},
		"panic":       {reply{messageDone("m", "I look."), func() { panic("in the model") }}, "failed", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := make(chan struct{})
				script := reply{}
				for _, step := range tt.script {
					if step == any(never) {
						step = gate
					}
					script = append(script, step)
				}
				hang := tool("hang", func(ctx context.Context, _ *tools.Turn, _ tools.Call) tools.Output {
					<-ctx.Done()
					return tools.Output{}
				})
				w := newWorldTools(t, testConfig, []tools.Tool{hang}, script)
				defer w.Shutdown(t.Context())
				w.start(`{}`)
				r := w.startReview(customTarget, "")
				synctest.Wait()
				if tt.interrupt {
					if got := w.steer(r.Turn.ID, "x"); reason(got) != protocol.ReasonTurnNotSteerable {
						t.Errorf("steer = %v", got)
					}
					if err := w.interrupt(r.Turn.ID); err != nil {
						t.Error(err)
					}
				}
				end := w.parent.until(t, protocol.MethodTurnCompleted)
				if got := end.get("turn.status"); got != tt.status {
					t.Errorf("ended as %s", end.Params)
				}
				if d := cmp.Diff(map[string]bool{}, openItems(w.parent)); d != "" {
					t.Errorf("items left open: %s", d)
				}
				lines := reviewLines(w.parent, r.Turn.ID)
				if d := cmp.Diff([]string{"end exitedReviewMode: " + prompt.NoReview(), "start agentMessage: " + prompt.NoReview(), "end agentMessage: " + prompt.NoReview()}, lines[len(lines)-3:]); d != "" {
					t.Error(d)
				}
				w.ok("after")
				want := []string{"user: " + prompt.ReviewMissing("look at a.go"), "assistant: " + prompt.NoReview(), "user: after"}
				if tt.interrupt {
					want = []string{want[0], want[1], "user: ABORTED", want[2]}
				}
				if d := cmp.Diff(want, said(w.model.request(-1))); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// TestReviewTakesThePlace: a review interrupts what runs, also another review;
// what is said meanwhile waits for its end.
func TestReviewTakesThePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, gate2 := make(chan struct{}), make(chan struct{})
		w := newWorld(t, testConfig, reply{gate}, reply{gate2}, reply{time.Minute, messageDone("m", "Fine."), completed()})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		first := w.begin("q")
		synctest.Wait()
		second := w.startReview(customTarget, "").Turn.ID
		synctest.Wait()
		third := w.startReview(`{"type":"uncommittedChanges"}`, "").Turn.ID
		synctest.Wait()
		fourth := w.begin("after")
		if fourth == third {
			t.Error("input was steered into a review")
		}
		var ended []string
		for range 4 {
			n := w.parent.until(t, protocol.MethodTurnCompleted)
			ended = append(ended, n.get("turn.id")+" "+n.get("turn.status"))
		}
		if d := cmp.Diff([]string{first + " interrupted", second + " interrupted", third + " completed", fourth + " completed"}, ended); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{
			"user: q", "user: ABORTED", "user: " + prompt.ReviewMissing("look at a.go"), "assistant: " + prompt.NoReview(), "user: ABORTED",
			"user: " + prompt.Reviewed("uncommitted changes"), "assistant: Fine.", "user: after",
		}, said(w.model.request(-1))); d != "" {
			t.Error(d)
		}
	})
}

// TestReviewModel: review_model is for reviews alone.
func TestReviewModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "review_model = \"gpt-5.2\"\n"+testConfig)
		defer w.Shutdown(t.Context())
		w.start(`{"config":{"model_reasoning_effort":"high"}}`)
		w.startReview(customTarget, "")
		w.parent.until(t, protocol.MethodTurnCompleted)
		w.ok("after")
		if r := w.model.request(0); r.Model != "gpt-5.2" || r.Reasoning == nil || r.Reasoning.Effort != "high" {
			t.Errorf("reviewed by %q, %+v", r.Model, r.Reasoning)
		}
		if r := w.model.request(1); r.Model != "mock-model" {
			t.Errorf("then asked %q", r.Model)
		}
	})
}

// TestReviewCompacts: a reviewer that reads too much goes on from a summary; the
// thread's own conversation and size stay as they were.
func TestReviewCompacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		look := tool("look", func(context.Context, *tools.Turn, tools.Call) tools.Output { return tools.Output{Text: "seen"} })
		w := newWorldTools(t, "model_auto_compact_token_limit = 10000\n"+testConfig, []tools.Tool{look},
			say("hello"), reply{call("c", "look", "{}"), completed(11000, 0, 11000)}, say("SUMMARY"), say("Fine."))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("q")
		r := w.startReview(customTarget, "")
		w.parent.until(t, protocol.MethodTurnCompleted)
		lines := reviewLines(w.parent, r.Turn.ID)
		if d := cmp.Diff([]string{"end contextCompaction: ", "start exitedReviewMode: Fine."}, lines[3:5]); d != "" {
			t.Error(d)
		}
		if got := said(w.model.request(3)); len(got) != 2 || got[0] != "user: look at a.go" || !strings.Contains(got[1], "SUMMARY") {
			t.Errorf("the reviewer went on from %q", got)
		}
		w.ok("after")
		if d := cmp.Diff([]string{"user: q", "assistant: hello", "user: " + prompt.Reviewed("look at a.go"), "assistant: Fine.", "user: after"}, said(w.model.request(-1))); d != "" {
			t.Error(d)
		}
		if n := len(w.parent.all(protocol.MethodThreadTokenUsageUpdated)); n != 2 {
			t.Errorf("the thread's size was told %d times", n)
		}
	})
}

// TestReviewDetached: a thread of its own, which begins with what the parent's
// thread had settled, and from which it then goes its own way.
func TestReviewDetached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		w := newWorld(t, testConfig, say("hello"), reply{gate, messageDone("m", "slow"), completed()}, say("Fine."))
		defer w.Shutdown(t.Context())
		w.start(`{"sandbox":"read-only","baseInstructions":"BASE"}`)
		w.ok("one")
		busy := w.begin("two")
		synctest.Wait()
		r := w.startReview(customTarget, detached)
		if r.ReviewThreadID == w.thread {
			t.Fatal("the review runs in the thread itself")
		}
		started := w.parent.until(t, protocol.MethodThreadStarted)
		if started.get("thread.id") != r.ReviewThreadID {
			started = w.parent.until(t, protocol.MethodThreadStarted)
		}
		if started.get("thread.id") != r.ReviewThreadID || started.get("thread.forkedFromId") != w.thread || started.get("thread.turns") != "[]" || started.get("thread.preview") != "one" {
			t.Errorf("thread/started %s", started.Params)
		}
		end := w.parent.until(t, protocol.MethodTurnCompleted)
		if end.get("turn.id") != r.Turn.ID || end.get("threadId") != r.ReviewThreadID || end.get("turn.status") != "completed" {
			t.Errorf("ended as %s", end.Params)
		}
		close(gate)
		if end := w.parent.until(t, protocol.MethodTurnCompleted); end.get("turn.id") != busy || end.get("turn.status") != "completed" {
			t.Errorf("the thread's own turn ended as %s", end.Params)
		}
		if asked := w.model.request(2); asked.ThreadID == w.thread || asked.ThreadID == r.ReviewThreadID || !strings.Contains(string(asked.Input[0]), "read-only") {
			t.Errorf("the reviewer was asked under %s with %s", asked.ThreadID, asked.Input[0])
		}
		parent := w.thread
		w.ok("three")
		if d := cmp.Diff([]string{"user: one", "assistant: hello", "user: two", "assistant: slow", "user: three"}, said(w.model.request(-1))); d != "" {
			t.Error(d)
		}
		w.thread = r.ReviewThreadID
		w.ok("four")
		last := w.model.request(-1)
		if d := cmp.Diff([]string{"user: one", "assistant: hello", "user: " + prompt.Reviewed("look at a.go"), "assistant: Fine.", "user: four"}, said(last)); d != "" {
			t.Error(d)
		}
		if last.ThreadID != r.ReviewThreadID || last.Instructions != "BASE" {
			t.Errorf("asked under %s with %q", last.ThreadID, last.Instructions)
		}
		for id, want := range map[string]int{parent: 3, r.ReviewThreadID: 3} {
			read, err := w.ReadThread(t.Context(), &protocol.ThreadReadParams{ThreadID: id, IncludeTurns: true})
			if err != nil || len(read.Thread.Turns) != want {
				t.Errorf("%d turns, %v, want %d", len(read.Thread.Turns), err, want)
			}
		}
	})
}

// TestReviewAside: a command of the user's own beside a review is for the model
// of the thread, not for the reviewer.
func TestReviewAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		w := newWorldTools(t, testConfig, []tools.Tool{tool("look", func(context.Context, *tools.Turn, tools.Call) tools.Output { return tools.Output{Text: "seen"} })},
			reply{gate, call("c", "look", "{}"), completed()}, say("Fine."))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.startReview(customTarget, "")
		synctest.Wait()
		th, err := w.Manager.thread(w.thread)
		if err != nil {
			t.Fatal(err)
		}
		th.post(func() { th.current.notes = append(th.current.notes, messageItem(roleUser, textPart("NOTE"))) })
		close(gate)
		w.parent.until(t, protocol.MethodTurnCompleted)
		if d := cmp.Diff([]string{"user: look at a.go", "function_call c", "function_call_output c: seen"}, said(w.model.request(1))); d != "" {
			t.Error(d)
		}
		w.ok("after")
		if got := said(w.model.request(-1)); len(got) != 4 || got[2] != "user: NOTE" {
			t.Errorf("the model was told %q", got)
		}
	})
}
