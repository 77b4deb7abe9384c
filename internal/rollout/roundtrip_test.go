package rollout

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

// rawItem is an item of any kind.
func rawItem(t testing.TB, raw string) protocol.ThreadItem {
	t.Helper()
	it, err := newItem(jsontext.Value(raw))
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// everyKind is an item of each kind of the wire, and of one that is not known.
var everyKind = []string{
	`{"type":"reasoning","id":"rs_1","summary":["**one**","two"],"content":["raw"]}`,
	`{"type":"reasoning","id":"rs_2","summary":[],"content":[]}`,
	`{"type":"agentMessage","id":"m_1","text":"hi \u2028 there","phase":null,"memoryCitation":{"entries":[{"lineEnd":2,"lineStart":1,"note":"n","path":"p"}],"threadIds":[]}}`,
	`{"type":"plan","id":"turn-plan","text":"1. look\n2. act"}`,
	`{"type":"commandExecution","id":"c1","command":"/bin/bash -lc 'echo \"a b\"; exit 3'","cwd":"/home/user/project","processId":"123","source":"unifiedExecStartup","status":"failed","commandActions":[{"type":"unknown","command":"echo"},{"type":"read","command":"cat x","name":"x","path":"/x"},{"type":"listFiles","command":"ls","path":null},{"type":"search","command":"rg a","path":null,"query":"a"}],"aggregatedOutput":"a b\n","exitCode":3,"durationMs":1234}`,
	`{"type":"commandExecution","id":"c2","command":"true","cwd":"/","processId":null,"source":"userShell","status":"declined","commandActions":[],"aggregatedOutput":null,"exitCode":null,"durationMs":null}`,
	`{"type":"fileChange","id":"f1","changes":[{"path":"/b","kind":{"type":"add"},"diff":"x\n"},{"path":"/a","kind":{"type":"update","move_path":"/c"},"diff":"@@ -1 +1 @@\n-a\n+b\n"},{"path":"/d","kind":{"type":"delete"},"diff":"gone\n"}],"status":"completed"}`,
	`{"type":"mcpToolCall","id":"t1","server":"s","tool":"t","status":"completed","arguments":{"a":1},"mcpAppResourceUri":"ui://x","result":{"content":[{"type":"text","text":"r"}],"structuredContent":{"k":1},"_meta":null},"error":null,"durationMs":7}`,
	`{"type":"mcpToolCall","id":"t2","server":"s","tool":"t","status":"failed","arguments":null,"result":null,"error":{"message":"no"},"durationMs":7}`,
	`{"type":"dynamicToolCall","id":"d1","namespace":"n","tool":"lookup","arguments":{"q":"x"},"status":"completed","contentItems":[{"type":"inputText","text":"dyn"}],"success":true,"durationMs":1}`,
	`{"type":"dynamicToolCall","id":"d2","namespace":null,"tool":"lookup","arguments":{"q":"x"},"status":"failed","contentItems":null,"success":false,"durationMs":null}`,
	`{"type":"webSearch","id":"w1","query":"weather","action":{"type":"search","query":"weather","queries":["weather","rain"]}}`,
	`{"type":"webSearch","id":"w2","query":"'x' in u","action":{"type":"findInPage","url":"u","pattern":"x"}}`,
	`{"type":"webSearch","id":"w3","query":"","action":null}`,
	`{"type":"imageView","id":"v1","path":"/home/user/x.png"}`,
	`{"type":"enteredReviewMode","id":"r1","review":"changes"}`,
	`{"type":"exitedReviewMode","id":"r2","review":"fine"}`,
	`{"type":"contextCompaction","id":"k1"}`,
	`{"type":"userMessage","id":"u9","content":[{"type":"text","text":"steer","text_elements":[{"byteRange":{"start":0,"end":2},"placeholder":"p"}]},{"type":"text","text":"again","text_elements":[]},{"type":"image","url":"data:image/png;base64,AA=="},{"type":"localImage","path":"/i.png"},{"type":"skill","name":"s","path":"/s"},{"type":"mention","name":"m","path":"/m"}]}`,
	`{"type":"hookPrompt","id":"h1","fragments":[{"hookRunId":"1","text":"t"}]}`,
	`{"type":"collabAgentToolCall","id":"a1","agentsStates":{},"model":null,"prompt":"p","reasoningEffort":null,"receiverThreadIds":[],"senderThreadId":"s","status":"completed","tool":"spawnAgent"}`,
	`{"type":"imageGeneration","id":"g1","result":"AAAA","revisedPrompt":null,"savedPath":null,"status":"completed"}`,
	`{"type":"somethingNew","id":"n1","deep":{"a":[1,2.50,"\u00e9"]}}`,
}

func TestEveryKindOfItem(t *testing.T) {
	s := New(t.TempDir())
	m := newMeta(t)
	w := create(t, s, m)
	var items []protocol.ThreadItem
	for _, raw := range everyKind {
		items = append(items, rawItem(t, raw))
	}
	want, records := turnOf(1, items...)
	put(t, w, records...)
	turns := allTurns(t, readBack(t, s, m.ID))
	if diff := cmp.Diff(asJSON(t, []protocol.Turn{want}), asJSON(t, turns)); diff != "" {
		t.Error(diff)
	}
	if it := turns[0].Items[5].(*Item); it.Type != protocol.ItemCommandExecution || it.ID != "c1" {
		t.Errorf("item %+v", it)
	}
}

// TestEventsSayTheSame reads items from the events that are written for the
// reference, without the exact items beside them: what the reference sees.
func TestEventsSayTheSame(t *testing.T) {
	// Members that the events cannot carry, and order that they do not keep.
	lost := map[string]string{
		"rs_2": "", "m_1": `"memoryCitation":null`, "c2": "", "f1": "", "t1": "", "d2": "", "w3": "",
		"u9": "", "h1": "", "a1": "", "g1": "", "n1": "", "r1": "", "r2": "", "k1": "", "rs_1": "",
	}
	for _, raw := range everyKind {
		it := rawItem(t, raw).(*Item)
		if _, ok := lost[it.ID]; ok {
			continue
		}
		t.Run(it.ID, func(t *testing.T) {
			b := turnBuilder{ref: &turnRef{id: "turn"}}
			for _, l := range ItemCompleted("turn", it).lines {
				if l.counted {
					continue
				}
				payload, err := json.Marshal(l.payload, lenient)
				if err != nil {
					t.Fatal(err)
				}
				b.line(1, &parsed{kind: l.kind, payload: payload})
			}
			turn, err := b.turn()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asJSON(t, []protocol.ThreadItem{it}), asJSON(t, turn.Items)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEndsOfTurns(t *testing.T) {
	for name, turn := range map[string]protocol.Turn{
		"completed":   {Status: protocol.TurnCompleted, StartedAt: ptr(int64(1)), CompletedAt: ptr(int64(2)), DurationMS: ptr(int64(1500))},
		"interrupted": {Status: protocol.TurnInterrupted, StartedAt: ptr(int64(1)), CompletedAt: ptr(int64(2)), DurationMS: ptr(int64(1500))},
		"failed": {Status: protocol.TurnFailed, Error: &protocol.TurnError{
			Message: "no", CodexErrorInfo: &protocol.CodexErrorInfo{Kind: protocol.KindUsageLimitExceeded}, AdditionalDetails: ptr("more"),
		}},
		"failed with status": {Status: protocol.TurnFailed, Error: &protocol.TurnError{
			Message: "no", CodexErrorInfo: &protocol.CodexErrorInfo{Kind: protocol.KindResponseTooManyFailedAttempts, HTTPStatus: ptr(429)},
		}},
		"failed without kind": {Status: protocol.TurnFailed, Error: &protocol.TurnError{Message: "no"}},
		"not steerable": {Status: protocol.TurnFailed, Error: &protocol.TurnError{
			Message: "no", CodexErrorInfo: &protocol.CodexErrorInfo{Kind: protocol.KindActiveTurnNotSteerable, TurnKind: "review"},
		}},
		"times unknown": {Status: protocol.TurnCompleted},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(t.TempDir())
			m := newMeta(t)
			w := create(t, s, m)
			turn.ID, turn.Items = newID(t), []protocol.ThreadItem{}
			put(t, w, TurnStarted(&turn, nil, ""), TurnEnded(&turn, nil))
			if diff := cmp.Diff(asJSON(t, []protocol.Turn{turn}), asJSON(t, allTurns(t, readBack(t, s, m.ID)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLateItem keeps an item that ends after its turn, in the next one, which is
// then rolled back.
func TestLateItem(t *testing.T) {
	s := New(t.TempDir())
	m := newMeta(t)
	w := create(t, s, m)
	first, records := turnOf(1)
	put(t, w, records...)
	second, records := turnOf(2)
	put(t, w, records[:4]...)
	late := []protocol.ThreadItem{rawItem(t, everyKind[4]), rawItem(t, everyKind[len(everyKind)-1])}
	for _, it := range late {
		put(t, w, ItemCompleted(first.ID, it))
	}
	put(t, w, records[4:]...)
	first.Items = append(first.Items, late...)
	if diff := cmp.Diff(asJSON(t, []protocol.Turn{first, second}), asJSON(t, allTurns(t, readBack(t, s, m.ID)))); diff != "" {
		t.Error(diff)
	}
	put(t, w, RolledBack(1))
	if diff := cmp.Diff(asJSON(t, []protocol.Turn{first}), asJSON(t, allTurns(t, readBack(t, s, m.ID)))); diff != "" {
		t.Error(diff)
	}
}

func TestDeadTurnIsInterrupted(t *testing.T) {
	s := New(t.TempDir())
	m := newMeta(t)
	w := create(t, s, m)
	turn, records := turnOf(1)
	put(t, w, records[:len(records)-1]...)
	turn.Status, turn.CompletedAt, turn.DurationMS = protocol.TurnInterrupted, nil, nil
	if diff := cmp.Diff(asJSON(t, []protocol.Turn{turn}), asJSON(t, allTurns(t, readBack(t, s, m.ID)))); diff != "" {
		t.Error(diff)
	}
}

func TestMetaComesBack(t *testing.T) {
	s := New(t.TempDir())
	m := newMeta(t)
	m.ForkedFrom = newID(t)
	m.Git = &protocol.GitInfo{SHA: ptr("abc"), Branch: ptr("trunk")}
	m.DynamicTools = jsontext.Value(`[{"name":"lookup"}]`)
	m.AgentNickname, m.AgentRole = ptr("n"), ptr("r")
	w := create(t, s, m)
	if _, err := os.Stat(w.Path()); !os.IsNotExist(err) {
		t.Errorf("a file before anything was said: %v", err)
	}
	_, records := turnOf(1)
	put(t, w, records...)
	put(t, w, TokenUsage(&protocol.ThreadTokenUsage{Total: protocol.TokenUsage{TotalTokens: 15, InputTokens: 10, OutputTokens: 5}, ModelContextWindow: ptr(int64(9))}, &RateLimits{LimitID: ptr("codex"), Primary: &RateWindow{UsedPercent: 12.5}}))
	put(t, w, TokenUsage(nil, nil))
	l := readBack(t, s, m.ID)
	if diff := cmp.Diff(m, l.Meta); diff != "" {
		t.Error(diff)
	}
	if l.Usage == nil || l.Usage.Total.TotalTokens != 15 || *l.Usage.ModelContextWindow != 9 {
		t.Errorf("usage %+v", l.Usage)
	}
	if l.Preview != "question 1" || !l.Spoken {
		t.Errorf("preview %q", l.Preview)
	}
	info, err := os.Stat(w.Path())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestSettingsComeBack(t *testing.T) {
	base := Settings{TurnID: "t", Cwd: "/c", Model: "m", Approval: protocol.ApprovalPolicy{Mode: protocol.ApprovalOnRequest}, Sandbox: protocol.SandboxPolicy{Type: protocol.PolicyReadOnly}, Summary: protocol.SummaryAuto}
	for name, change := range map[string]func(*Settings){
		"plain":   func(*Settings) {},
		"network": func(s *Settings) { s.Sandbox.NetworkAccess = true },
		"full":    func(s *Settings) { s.Sandbox.Type = protocol.PolicyDangerFullAccess },
		"workspace": func(s *Settings) {
			s.Sandbox = protocol.SandboxPolicy{Type: protocol.PolicyWorkspaceWrite, WritableRoots: []string{"/a"}, NetworkAccess: true, ExcludeSlashTmp: true}
		},
		"external": func(s *Settings) {
			s.Sandbox = protocol.SandboxPolicy{Type: protocol.PolicyExternalSandbox, NetworkAccess: true}
		},
		"granular": func(s *Settings) {
			s.Approval = protocol.ApprovalPolicy{Mode: protocol.ApprovalGranular, Granular: &protocol.GranularApproval{Rules: true}}
		},
		"all": func(s *Settings) {
			s.Reviewer, s.Effort, s.Summary = protocol.ReviewerUser, protocol.EffortHigh, protocol.SummaryDetailed
			s.Personality, s.Tier = protocol.PersonalityFriendly, protocol.TierFast
			s.Mode = &protocol.CollaborationMode{Mode: protocol.ModePlan, Settings: protocol.CollaborationSettings{Model: "m"}}
			s.Date, s.Timezone = "2026-11-25", "Etc/UTC"
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := base
			change(&want)
			var b bytes.Buffer
			r := TurnContext(&want)
			if err := appendJSON(&b, r.lines[0].payload); err != nil {
				t.Fatal(err)
			}
			got, ok := readSettings(b.Bytes())
			if !ok {
				t.Fatalf("not read: %s", b.Bytes())
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, ok := readSettings(jsontext.Value(`{"cwd":"/","model":"m","approval_policy":"sometimes","sandbox_policy":{"type":"read-only"}}`)); ok {
		t.Error("an unknown approval policy was taken")
	}
}

// TestRandomThreads writes threads of random turns, compactions, rollbacks and
// restarts, and compares what is read with a model of what must be there.
func TestRandomThreads(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := New(t.TempDir())
		m := newMeta(t)
		w := create(t, s, m)
		var turns []protocol.Turn
		var history []string
		var before [][]string // the history before each turn
		for n := range 1 + r.IntN(25) {
			switch r.IntN(10) {
			case 0:
				k := 1 + r.IntN(3)
				put(t, w, RolledBack(k))
				keep := max(len(turns)-k, 0)
				if keep < len(turns) {
					history = before[keep]
				}
				turns, before = turns[:keep], before[:keep]
			case 1:
				history = []string{"summary", strings.Repeat("x", r.IntN(10)) + "y"}
				put(t, w, Compacted("summary", []jsontext.Value{message("user", history[0]), message("user", history[1])}))
			case 2:
				closeFast(t, w)
				if _, err := s.Find(m.ID); err != nil {
					w = create(t, s, m) // nothing was written yet
					continue
				}
				var err error
				if w, _, err = s.Continue(t.Context(), m.ID); err != nil {
					t.Fatal(err)
				}
				defer closeFast(t, w)
			default:
				var items []protocol.ThreadItem
				for range r.IntN(5) {
					items = append(items, rawItem(t, everyKind[r.IntN(len(everyKind))]))
				}
				turn, records := turnOf(n, items...)
				put(t, w, records...)
				turns, before = append(turns, turn), append(before, history)
				history = append(history[:len(history):len(history)], questionOf(turn), answerOf(turn))
			}
		}
		l, err := s.Read(t.Context(), m.ID)
		if err != nil {
			if len(turns) == 0 {
				continue
			}
			t.Fatal(err)
		}
		if diff := cmp.Diff(asJSON(t, append([]protocol.Turn{}, turns...)), asJSON(t, append([]protocol.Turn{}, allTurns(t, l)...))); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
		if diff := cmp.Diff(append([]string{}, history...), historyTexts(t, l)); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
		closeFast(t, w)
	}
}

func questionOf(t protocol.Turn) string {
	return t.Items[0].(*protocol.UserMessageItem).Content[0].Text
}

func answerOf(t protocol.Turn) string {
	return t.Items[len(t.Items)-1].(*protocol.AgentMessageItem).Text
}
