package session

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"app-server/internal/backend"
	"app-server/internal/rollout"
	"app-server/protocol"
)

// newStored makes a manager that keeps its threads in a home; an empty one stands
// for a new home.
func newStored(t *testing.T, home string, replies ...reply) *world {
	t.Helper()
	if home == "" {
		home = t.TempDir()
	}
	w := &world{t: t, parent: newParent(), model: &fakeModel{replies: replies, forever: say("more")}, home: home}
	w.Manager = NewManager(Options{
		Parent: w.parent, Model: w.model, Tools: newRegistry(), Version: "1.2.3", Cwd: home, Store: rollout.New(home),
		Originator: func() string { return "test" }, Config: configOf(t, home, testConfig),
		Getenv: func(string) string { return "" },
	})
	return w
}

// resume resumes a thread from params as JSON.
func (w *world) resume(params string) protocol.ThreadStartResponse {
	w.t.Helper()
	r, then, err := w.ResumeThread(w.t.Context(), decode[protocol.ThreadResumeParams](w.t, params))
	if err != nil {
		w.t.Fatalf("ResumeThread(%s) = %v", params, err)
	}
	then()
	w.thread = r.Thread.ID
	return r
}

// TestResumeTorn: the server died, or its disk was full, within a line.
func TestResumeTorn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "")
		path := *w.start(`{}`).Thread.Path
		w.ok("one")
		w.Shutdown(t.Context())
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		torn := append(whole, `{"timestamp":"2026-01-02T03:04:05.000Z","type":"event_msg","payl`...)
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		v := newStored(t, w.home)
		defer v.Shutdown(t.Context())
		r := v.resume(`{"threadId":"` + w.thread + `"}`)
		if len(r.Thread.Turns) != 1 || len(r.Thread.Turns[0].Items) != 2 {
			t.Errorf("turns %v", r.Thread.Turns)
		}
		if warned := v.parent.all(protocol.MethodWarning); len(warned) != 1 || !strings.Contains(warned[0].get("message"), "not whole") {
			t.Errorf("warnings %v", warned)
		}
		v.ok("two")
		after, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(after), string(whole)+"{") {
			t.Errorf("new lines do not follow the whole ones (%v)", err)
		}
		if d := cmp.Diff([]string{"user: one", "assistant: more", "user: two"}, said(v.model.request(-1))); d != "" {
			t.Error(d)
		}
	})
}

// TestResumeInUse: another server has the thread. It can be looked at and forked,
// and resumed once that one has ended.
func TestResumeInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "")
		path := *w.start(`{}`).Thread.Path
		w.ok("one")
		v := newStored(t, w.home)
		defer v.Shutdown(t.Context())
		for _, p := range []*protocol.ThreadResumeParams{{ThreadID: w.thread}, {ThreadID: "x", Path: &path}} {
			if _, _, err := v.ResumeThread(t.Context(), p); reason(err) != protocol.ReasonThreadInUse {
				t.Errorf("ResumeThread = %v", err)
			}
		}
		r, err := v.ReadThread(t.Context(), &protocol.ThreadReadParams{ThreadID: w.thread, IncludeTurns: true})
		if err != nil || len(r.Thread.Turns) != 1 || r.Thread.Status.Type != protocol.StatusNotLoaded {
			t.Errorf("ReadThread = %v, %v", r, err)
		}
		if _, _, err := v.ForkThread(t.Context(), &protocol.ThreadForkParams{ThreadID: w.thread}); err != nil {
			t.Errorf("ForkThread = %v", err)
		}
		w.ok("two")
		w.Shutdown(t.Context())
		if r := v.resume(`{"threadId":"` + w.thread + `"}`); len(r.Thread.Turns) != 2 {
			t.Errorf("turns %v", r.Thread.Turns)
		}
	})
}

// TestResumeAtOnce: a thread is loaded once, by whatever ways it is asked for.
func TestResumeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "")
		path := *w.start(`{}`).Thread.Path
		w.ok("one")
		w.Shutdown(t.Context())
		v := newStored(t, w.home)
		defer v.Shutdown(t.Context())
		errs := make(chan error)
		for range 4 {
			for _, p := range []*protocol.ThreadResumeParams{{ThreadID: w.thread}, {ThreadID: "x", Path: &path}} {
				go func() { // ends with its answer
					_, _, err := v.ResumeThread(t.Context(), p)
					errs <- err
				}()
			}
		}
		for range 8 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n := len(v.all()); n != 1 {
			t.Errorf("%d threads", n)
		}
	})
}

// TestStoredBeforeTold: when the parent hears of an item, a turn's start or its
// end, the file has it.
func TestStoredBeforeTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "", reply{messageDone("m1", "first"), completed(1, 2, 3)})
		path := ""
		w.parent.hold = func(_ context.Context, method string) error {
			b, _ := os.ReadFile(path)
			file := string(b)
			switch method {
			case protocol.MethodTurnStarted:
				if !strings.Contains(file, "task_started") {
					t.Error("the start of the turn is not stored")
				}
			case protocol.MethodItemCompleted:
				if !strings.Contains(file, "user_message") {
					t.Error("the first item is not stored")
				}
			case protocol.MethodTurnCompleted:
				if !strings.Contains(file, "task_complete") || !strings.Contains(file, `"last_agent_message":"first"`) {
					t.Error("the end of the turn is not stored")
				}
			}
			return nil
		}
		path = *w.start(`{}`).Thread.Path
		w.ok("one")
		w.Shutdown(t.Context())
		b, _ := os.ReadFile(path)
		if !strings.Contains(string(b), `"originator":"test"`) || !strings.Contains(string(b), `"cli_version":"1.2.3"`) {
			t.Error("the first line does not tell who wrote it")
		}
	})
}

// TestDiskComesBack: what could not be written is written later, and the parent
// is told once.
func TestDiskComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "")
		blocked := w.home + "/sessions"
		if err := os.WriteFile(blocked, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w.start(`{}`)
		w.ok("one")
		w.ok("two")
		stored := 0
		for _, n := range w.parent.all(protocol.MethodWarning) {
			if strings.Contains(n.get("message"), "cannot be written") {
				stored++
			}
		}
		if stored != 1 {
			t.Errorf("%d warnings", stored)
		}
		if err := os.Remove(blocked); err != nil {
			t.Fatal(err)
		}
		w.ok("three")
		w.Shutdown(t.Context())
		v := newStored(t, w.home)
		defer v.Shutdown(t.Context())
		if r := v.resume(`{"threadId":"` + w.thread + `"}`); len(r.Thread.Turns) != 3 {
			t.Errorf("turns %v", r.Thread.Turns)
		}
	})
}

// TestDiskFullBeforeSlowParent: a parent that does not read the warning still gets
// answers about the thread.
func TestDiskFullBeforeSlowParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "")
		defer w.Shutdown(t.Context())
		if err := os.WriteFile(w.home+"/sessions", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w.start(`{}`)
		reads := make(chan struct{})
		w.parent.hold = func(_ context.Context, method string) error {
			if method == protocol.MethodWarning {
				<-reads
			}
			return nil
		}
		injected := make(chan error, 1)
		go func() { // ends when the parent reads
			_, err := w.InjectItems(t.Context(), decode[protocol.ThreadInjectItemsParams](t, `{"threadId":"`+w.thread+`","items":[{"type":"message","role":"user","content":[]}]}`))
			injected <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.ReadThread(ctx, &protocol.ThreadReadParams{ThreadID: w.thread}); err != nil {
			t.Errorf("ReadThread = %v", err)
		}
		close(reads)
		if err := <-injected; err != nil {
			t.Error(err)
		}
		w.parent.until(t, protocol.MethodWarning)
	})
}

// TestShutdownSyncs: the files are closed when Shutdown returns, so that another
// server can go on at once.
func TestShutdownSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "", reply{messageAdded("m"), delta("m", "half"), time.Hour})
		w.start(`{}`)
		w.begin("one")
		w.parent.until(t, protocol.MethodItemAgentMessageDelta)
		w.Shutdown(t.Context())
		v := newStored(t, w.home)
		defer v.Shutdown(t.Context())
		r := v.resume(`{"threadId":"` + w.thread + `"}`)
		if n := len(r.Thread.Turns); n != 1 || r.Thread.Turns[0].Status != protocol.TurnInterrupted || len(r.Thread.Turns[0].Items) != 2 {
			t.Errorf("turns %v", r.Thread.Turns)
		}
	})
}

// TestResumeCompacts: the size of a stored conversation counts for the limit.
func TestResumeCompacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "", reply{messageDone("m1", "first"), completed(900, 100, 1000)})
		w.start(`{}`)
		w.ok("one")
		w.Shutdown(t.Context())
		v := newStored(t, w.home, say("summed up"))
		defer v.Shutdown(t.Context())
		v.resume(`{"threadId":"` + w.thread + `","config":{"model_auto_compact_token_limit":800}}`)
		v.ok("two")
		want := [][]string{
			{"user: one", "assistant: first", "user: COMPACT"},
			{"user: one", "user: SUMMARY summed up", "user: two"},
		}
		for i, w := range want {
			if d := cmp.Diff(w, said(v.model.request(i))); d != "" {
				t.Error(d)
			}
		}
	})
}

// TestUnanswered: each call without an output gets one of its own kind.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	w := reply{call("c1", "x", "{}"), done(`{"type":"custom_tool_call","call_id":"c2","name":"y","input":"z"}`),
		done(`{"type":"local_shell_call","call_id":"c3","action":{}}`), done(`{"type":"function_call_output","call_id":"c1","output":"ok"}`)}
	var c conversation
	for _, step := range w {
		c.add(step.(backend.Event).Item)
	}
	var got []string
	for _, raw := range unanswered(c.items) {
		kind, id := callOf(raw)
		got = append(got, kind+" "+id)
	}
	if d := cmp.Diff([]string{"custom_tool_call_output c2", "function_call_output c3"}, got); d != "" {
		t.Error(d)
	}
}

// TestLimitsAreKept: programs that show a thread's file read the limits there.
func TestLimitsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		minutes := int64(300)
		limits := &backend.RateLimits{LimitID: "codex", Primary: &backend.Window{UsedPercent: 12.5, Minutes: &minutes}}
		w := newStored(t, "", reply{backend.Event{Kind: backend.EventStarted, Limits: limits}, messageDone("m", "hello"), completed(1, 2, 3)})
		path := *w.start(`{}`).Thread.Path
		w.ok("one")
		w.Shutdown(t.Context())
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := `"rate_limits":{"limit_id":"codex","limit_name":null,"primary":{"used_percent":12.5,"window_minutes":300,"resets_at":null},"secondary":null,"credits":null,"plan_type":null,"rate_limit_reached_type":null}`
		if !strings.Contains(string(file), want) {
			t.Errorf("no limits in %s", file)
		}
	})
}

// TestForkNotTakenIn: a fork that does not come to be leaves no file.
func TestForkNotTakenIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "")
		w.start(`{}`)
		w.ok("one")
		w.Shutdown(t.Context())
		v := newStored(t, w.home)
		v.Shutdown(t.Context())
		if _, _, err := v.ForkThread(t.Context(), &protocol.ThreadForkParams{ThreadID: w.thread}); err == nil {
			t.Fatal("forked while the server shuts down")
		}
		page, err := rollout.New(w.home).List(t.Context(), rollout.Query{})
		if err != nil || len(page.Entries) != 1 || page.Entries[0].Meta.ID != w.thread {
			t.Errorf("stored %v, %v", page.Entries, err)
		}
	})
}

// TestReviewNotTakenIn: nor does a detached review.
func TestReviewNotTakenIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "")
		w.start(`{}`)
		ended := make(chan struct{})
		w.parent.hold = func(_ context.Context, method string) error {
			if method == protocol.MethodTurnCompleted {
				<-ended
			}
			return nil
		}
		w.begin("one")
		synctest.Wait()
		down := make(chan struct{})
		go func() { w.Shutdown(t.Context()); close(down) }() // ends with the turn
		synctest.Wait()
		p := decode[protocol.ReviewStartParams](t, `{"threadId":"`+w.thread+`","target":`+customTarget+detached+`}`)
		if _, _, err := w.StartReview(t.Context(), p); reason(err) != protocol.ReasonShuttingDown {
			t.Errorf("StartReview = %v", err)
		}
		close(ended)
		<-down
		page, err := rollout.New(w.home).List(t.Context(), rollout.Query{})
		if err != nil || len(page.Entries) != 1 || page.Entries[0].Meta.ID != w.thread {
			t.Errorf("stored %v, %v", page.Entries, err)
		}
	})
}

// TestResumeRunning: what happens to a thread while a response that shows it is on
// its way is told after that. The parent would else hear of a turn's end, and then be
// shown the turn as it still ran.
func TestResumeRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		w := newStored(t, "", reply{gate, messageDone("m", "a"), completed()})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.begin("q")
		synctest.Wait()
		w.unsubscribe(protocol.Unsubscribed)
		var thens []func()
		for _, exclude := range []bool{false, true} { // two at once
			r, then, err := w.ResumeThread(t.Context(), &protocol.ThreadResumeParams{ThreadID: w.thread, ExcludeTurns: exclude})
			if err != nil || r.Thread.Status.Type != protocol.StatusActive {
				t.Fatalf("%v, %v", r.Thread.Status, err)
			}
			thens = append(thens, then)
		}
		close(gate)
		before := len(w.parent.methods())
		for _, then := range thens {
			synctest.Wait()
			if told := w.parent.methods()[before:]; len(told) > 0 {
				t.Errorf("told before the response: %v", told)
			}
			then()
		}
		w.parent.until(t, protocol.MethodTurnCompleted)

		// A response that is never sent holds up nobody for ever, and a refused
		// request nobody at all.
		if _, _, err := w.ResumeThread(t.Context(), &protocol.ThreadResumeParams{ThreadID: w.thread}); err != nil {
			t.Fatal(err)
		}
		w.ok("later")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		block := make(chan struct{})
		w.live(w.thread).post(func() { <-block })
		if _, _, err := w.ResumeThread(gone, &protocol.ThreadResumeParams{ThreadID: w.thread}); err == nil {
			t.Error("resumed without a context")
		}
		close(block)
		begin := time.Now()
		if w.ok("last"); time.Since(begin) > 0 {
			t.Error("a refused request held something back")
		}
	})
}
