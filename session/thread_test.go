package session

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"app-server/internal/config"
	"app-server/protocol"
)

func TestStartThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		r, then, err := w.StartThread(t.Context(), w.config(), decode[protocol.ThreadStartParams](t, `{"ephemeral":true,"serviceName":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := w.parent.methods(); got != nil {
			t.Errorf("%v before the response was sent", got)
		}
		then()
		if id, err := uuid.Parse(r.Thread.ID); err != nil || id.Version() != 7 {
			t.Errorf("id %s", r.Thread.ID)
		}
		got, _ := json.Marshal(r)
		thread := `{"id":"` + r.Thread.ID + `","sessionId":"` + r.Thread.ID + `","projectId":null,"forkedFromId":null,"preview":"","ephemeral":true,"modelProvider":"mock","createdAt":946684800,"updatedAt":946684800,` +
			`"status":{"type":"idle"},"path":null,"cwd":"` + w.home + `","cliVersion":"1.2.3","source":"vscode","agentNickname":null,"agentRole":null,"gitInfo":null,"name":null,"turns":[]}`
		want := `{"thread":` + thread + `,"model":"mock-model","modelProvider":"mock","serviceTier":null,"cwd":"` + w.home + `","instructionSources":[],` +
			`"approvalPolicy":"never","approvalsReviewer":"user","sandbox":{"type":"dangerFullAccess"},"permissionProfile":{"type":"disabled"},"reasoningEffort":null}`
		if d := cmp.Diff(want, string(got)); d != "" {
			t.Error(d)
		}
		started := w.parent.all(protocol.MethodThreadStarted)
		if len(started) != 1 || started[0].get("thread") != thread {
			t.Errorf("thread/started %v", started)
		}
	})
}

func TestStartThreadOverrides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		r := w.start(`{"model":"gpt-5.2","cwd":"rel/x","approvalPolicy":"on-request","sandbox":"workspace-write","serviceTier":"flex","approvalsReviewer":"auto_review",
			"config":{"model_reasoning_effort":"high","sandbox_workspace_write.network_access":true,"sandbox_workspace_write.writable_roots":["/extra"]}}`)
		got := []any{r.Model, r.Cwd, r.ApprovalPolicy.Mode, r.Sandbox, *r.ServiceTier, r.ApprovalsReviewer, *r.ReasoningEffort}
		cwd := filepath.Join(w.home, "rel/x") // which need not exist
		want := []any{"gpt-5.2", cwd, protocol.ApprovalOnRequest,
			protocol.SandboxPolicy{Type: protocol.PolicyWorkspaceWrite, WritableRoots: []string{"/extra"}, NetworkAccess: true},
			protocol.TierFlex, protocol.ReviewerAuto, protocol.EffortHigh}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		w.ok("q")
		if q := w.model.request(0); q.ServiceTier != "flex" || q.Reasoning.Effort != "high" || q.Verbosity != "low" {
			t.Errorf("request %+v", q)
		}
	})
}

// TestDefaults: an empty configuration confines and asks.
func TestDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		defer w.Shutdown(t.Context())
		r := w.start(`{}`)
		if r.Sandbox.Type != protocol.PolicyReadOnly || r.ApprovalPolicy.Mode != protocol.ApprovalOnRequest || r.ModelProvider != "openai" || r.Model == "" {
			t.Errorf("response %+v", r)
		}
	})
}

func TestStartThreadRefused(t *testing.T) {
	broken := strings.Replace(testConfig, `"never"`, `7`, 1)
	brokenMode := strings.Replace(testConfig, `"danger-full-access"`, `7`, 1)
	for name, c := range map[string]struct{ config, params, reason, says string }{
		"unknown provider":         {testConfig, `{"modelProvider":"zzz"}`, protocol.ReasonUnknownProvider, "zzz"},
		"config value":             {testConfig, `{"config":{"model_reasoning_effort":"zzz"}}`, protocol.ReasonConfig, "model_reasoning_effort"},
		"permission profile":       {testConfig, `{"permissionProfile":{"type":"managed"}}`, protocol.ReasonInvalidParams, "network"},
		"profile for a broken one": {brokenMode, `{"permissionProfile":{"type":"disabled"}}`, "", ""},
		"profile and sandbox":      {testConfig, `{"permissionProfile":{"type":"disabled"},"sandbox":"read-only"}`, protocol.ReasonInvalidParams, "exclude"},
		"sandbox unreadable":       {brokenMode, `{}`, protocol.ReasonRestrictionBroken, "sandbox_mode"},
		"sandbox given":            {brokenMode, `{"sandbox":"read-only"}`, "", ""},
		"sandbox given by config":  {brokenMode, `{"config":{"sandbox_mode":"read-only"}}`, "", ""},
		"approval unreadable":      {broken, `{"sandbox":"read-only"}`, protocol.ReasonRestrictionBroken, "approval_policy"},
		"instructions unreadable":  {testConfig, `{"config":{"model_instructions_file":"/nowhere/x"}}`, protocol.ReasonConfig, "/nowhere/x"},
		"null profile, empty list": {testConfig, `{"permissionProfile":null,"dynamicTools":[]}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, c.config)
				defer w.Shutdown(t.Context())
				_, _, err := w.StartThread(t.Context(), w.config(), decode[protocol.ThreadStartParams](t, c.params))
				if c.reason == "" {
					if err != nil {
						t.Errorf("refused: %v", err)
					}
					return
				}
				if got := reason(err); got != c.reason || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v", got, err)
				}
				if r, _ := w.LoadedThreads(t.Context(), &protocol.ThreadLoadedListParams{}); len(r.Data) != 0 {
					t.Errorf("threads %v", r.Data)
				}
			})
		})
	}
}

func TestOverruledByGranular(t *testing.T) {
	var r config.Requirements
	r.AllowedApprovalPolicies = []protocol.ApprovalPolicy{{Granular: &protocol.GranularApproval{}}}
	s := settings{approval: protocol.ApprovalPolicy{Mode: protocol.ApprovalNever}}
	s.bind(&r)
	if len(s.overruled) != 1 || !strings.Contains(s.overruled[0], "it is granular instead") {
		t.Errorf("told %q", s.overruled)
	}
}

func TestTurnOverridesRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		model := "other"
		p := &protocol.TurnStartParams{ThreadID: w.thread, Input: text("q"), Model: &model, PermissionProfile: &protocol.PermissionProfile{Type: protocol.ProfileManaged}}
		w.unsubscribe(protocol.Unsubscribed)
		if _, _, err := w.StartTurn(t.Context(), p); reason(err) != protocol.ReasonInvalidParams {
			t.Errorf("StartTurn = %v", err)
		}
		w.unsubscribe(protocol.NotSubscribed)
		w.ok("q")
		if got := w.model.request(0).Model; got != "mock-model" {
			t.Errorf("a refused override stuck: %s", got)
		}
	})
}

func TestUnknownThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		texts := map[string]bool{}
		for _, id := range []string{"01a21086-e757-7bf2-97d5-d3e23dcc2d6a", "zzz"} {
			_, err := w.ReadThread(t.Context(), &protocol.ThreadReadParams{ThreadID: id})
			_, _, err2 := w.StartTurn(t.Context(), &protocol.TurnStartParams{ThreadID: id, Input: text("q")})
			_, _, err3 := w.SteerTurn(t.Context(), &protocol.TurnSteerParams{ThreadID: id, Input: text("q")})
			_, _, err4 := w.InterruptTurn(t.Context(), &protocol.TurnInterruptParams{ThreadID: id})
			for _, err := range []error{err, err2, err3, err4} {
				if reason(err) != protocol.ReasonThreadNotFound {
					t.Errorf("%s: %v", id, err)
				}
			}
			texts[err.Error()] = true
		}
		if len(texts) != 2 {
			t.Errorf("texts %v", texts)
		}
		if _, err := w.ReadThread(t.Context(), &protocol.ThreadReadParams{ThreadID: strings.ToUpper(w.thread)}); err != nil {
			t.Errorf("an id in capitals: %v", err)
		}
	})
}

// TestReadThread: turns read back are those that were streamed.
func TestReadThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		w := newWorld(t, testConfig, reply{done(`{"type":"reasoning","id":"r","summary":[{"text":"s"}]}`), messageDone("m", "x"), completed()}, reply{messageAdded("n"), delta("n", "par"), gate})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("first words")
		time.Sleep(time.Minute)
		second := w.begin("more")
		synctest.Wait()
		read := func() protocol.Thread {
			t.Helper()
			r, err := w.ReadThread(t.Context(), &protocol.ThreadReadParams{ThreadID: w.thread, IncludeTurns: true})
			if err != nil {
				t.Fatal(err)
			}
			return r.Thread
		}
		during := read()
		if during.Preview != "first words" || during.Status.Type != protocol.StatusActive || during.UpdatedAt-during.CreatedAt != 60 {
			t.Errorf("thread %+v", during)
		}
		if last := during.Turns[1]; len(during.Turns) != 2 || last.Status != protocol.TurnInProgress || len(last.Items) != 1 || last.CompletedAt != nil {
			t.Errorf("turns %+v", during.Turns)
		}
		if err := w.interrupt(second); err != nil {
			t.Fatal(err)
		}
		w.parent.until(t, protocol.MethodTurnCompleted)
		var streamed []string
		for _, n := range w.parent.all(protocol.MethodItemCompleted) {
			streamed = append(streamed, n.get("item"))
		}
		var got []string
		after := read()
		for _, turn := range after.Turns {
			for _, item := range turn.Items {
				raw, _ := json.Marshal(item)
				got = append(got, string(raw))
			}
		}
		if d := cmp.Diff(streamed, got); d != "" {
			t.Error(d)
		}
		if u := after.Turns[1]; u.ID != second || u.Status != protocol.TurnInterrupted || u.CompletedAt == nil || after.Status.Type != protocol.StatusIdle {
			t.Errorf("turn %+v", u)
		}
		r, err := w.ReadThread(t.Context(), &protocol.ThreadReadParams{ThreadID: w.thread})
		if err != nil || len(r.Thread.Turns) != 0 || r.Thread.Turns == nil {
			t.Errorf("ReadThread without turns = %+v, %v", r, err)
		}
	})
}

func TestPreview(t *testing.T) {
	if got := preview(text(strings.Repeat("ä", maxPreview))); len(got) != maxPreview || !strings.HasSuffix(got, "ä") {
		t.Errorf("%d bytes", len(got))
	}
	if got := preview([]protocol.UserInput{{Type: protocol.InputImage, URL: "u"}, {Type: protocol.InputText, Text: "a"}, {Type: protocol.InputText, Text: "b"}}); got != "a\nb" {
		t.Errorf("preview %q", got)
	}
}

func TestLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		name := map[string]string{}
		for _, n := range []string{"alpha", "beta", "gamma"} {
			w.start(`{"cwd":"/` + n + `"}`)
			name[w.thread] = n
			w.ok(n + " Words")
			time.Sleep(time.Second)
		}
		alpha := ""
		for id, n := range name {
			if n == "alpha" {
				alpha = id
			}
		}
		w.start(`{"ephemeral":true}`)
		w.ok("hidden")
		w.start(`{}`) // nothing said

		list := func(params string) (string, protocol.ThreadListResponse) {
			t.Helper()
			r, err := w.ListThreads(t.Context(), decode[protocol.ThreadListParams](t, params))
			if err != nil {
				t.Fatalf("ListThreads(%s) = %v", params, err)
			}
			var out []string
			for _, v := range r.Data {
				out = append(out, name[v.ID])
			}
			return strings.Join(out, " "), r
		}
		w.thread = alpha
		w.ok("again") // the last one updated
		for params, want := range map[string]string{
			`{}`:                                 "gamma beta alpha",
			`{"sortDirection":"asc"}`:            "alpha beta gamma",
			`{"sortKey":"updated_at"}`:           "alpha gamma beta",
			`{"limit":0}`:                        "gamma",
			`{"archived":true}`:                  "",
			`{"archived":false}`:                 "gamma beta alpha",
			`{"modelProviders":["x"]}`:           "",
			`{"modelProviders":["mock"]}`:        "gamma beta alpha",
			`{"modelProviders":[]}`:              "gamma beta alpha",
			`{"cwd":"/beta"}`:                    "beta",
			`{"cwd":["/beta","/alpha"]}`:         "beta alpha",
			`{"searchTerm":"ALPHA w"}`:           "alpha",
			`{"sourceKinds":["cli"]}`:            "",
			`{"sourceKinds":["vscode"]}`:         "gamma beta alpha",
			`{"sortKey":"created_at","limit":9}`: "gamma beta alpha",
		} {
			if got, _ := list(params); got != want {
				t.Errorf("ListThreads(%s) = %q, want %q", params, got, want)
			}
		}

		got, page := list(`{"limit":2}`)
		w.start(`{}`) // a thread that comes between two pages
		name[w.thread] = "delta"
		w.ok("new")
		rest, last := list(`{"limit":2,"cursor":"` + *page.NextCursor + `"}`)
		if got+" | "+rest != "gamma beta | alpha" || last.NextCursor != nil {
			t.Errorf("pages %q and %q, %v", got, rest, last.NextCursor)
		}
		if back, _ := list(`{"sortDirection":"asc","cursor":"` + *page.BackwardsCursor + `"}`); back != "gamma delta" {
			t.Errorf("backwards from the first page: %q", back)
		}
		for _, cursor := range []string{"zzz", "01a21086-e757-7bf2-97d5-d3e23dcc2d6a"} {
			if _, err := w.ListThreads(t.Context(), &protocol.ThreadListParams{Cursor: &cursor}); reason(err) != protocol.ReasonInvalidParams {
				t.Errorf("cursor %s: %v", cursor, err)
			}
		}

		var ids []string
		var cursor *string
		for range 10 {
			two := uint32(2)
			r, err := w.LoadedThreads(t.Context(), &protocol.ThreadLoadedListParams{Cursor: cursor, Limit: &two})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, r.Data...)
			if cursor = r.NextCursor; cursor == nil {
				break
			}
		}
		whole, err := w.LoadedThreads(t.Context(), &protocol.ThreadLoadedListParams{})
		if d := cmp.Diff(whole.Data, ids); d != "" || err != nil || len(ids) != 6 {
			t.Errorf("loaded threads: %v %s", err, d)
		}
		bad := "zzz"
		if _, err := w.LoadedThreads(t.Context(), &protocol.ThreadLoadedListParams{Cursor: &bad}); reason(err) != protocol.ReasonInvalidParams {
			t.Errorf("bad cursor: %v", err)
		}
	})
}
