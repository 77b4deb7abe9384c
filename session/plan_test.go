package session

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"app-server/internal/backend"
	"app-server/protocol"
)

const planText = "Intro\n<proposed_plan>\n- one\n- two\n</proposed_plan>\nOutro"

func TestCutPlan(t *testing.T) {
	tests := []struct {
		name, text, words, plan string
		found                   bool
	}{
		{"none", "just words", "just words", "", false},
		{"nothing", "", "", "", false},
		{"around", planText, "Intro\nOutro", "- one\n- two\n", true},
		{"never closed", "Intro\n<proposed_plan>\n- one", "Intro\n", "- one", true},
		{"two", "A\n<proposed_plan>\n1\n</proposed_plan>\nB\n<proposed_plan>\n2\n</proposed_plan>\nC\n", "A\nB\nC\n", "2\n", true},
		{"alone", "<proposed_plan>\nx\n</proposed_plan>", "", "x\n", true},
		{"empty", "A\n<proposed_plan>\n</proposed_plan>\nB", "A\nB", "", true},
		{"indented", " \t<proposed_plan>  \nx\n  </proposed_plan>\t\nB\n", "B\n", "x\n", true},
		{"carriage returns", "A\r\n<proposed_plan>\r\nx\r\n</proposed_plan>\r\nB", "A\r\nB", "x\r\n", true},
		{"in a line", "A <proposed_plan> x </proposed_plan> B\n", "A <proposed_plan> x </proposed_plan> B\n", "", false},
		{"more behind the tag", "<proposed_plan> x\n", "<proposed_plan> x\n", "", false},
		{"tag in a plan", "<proposed_plan>\na\n<proposed_plan>\nb\n</proposed_plan>\nc\n</proposed_plan>\nd", "c\n</proposed_plan>\nd", "a\n<proposed_plan>\nb\n", true},
		{"end alone", "A\n</proposed_plan>\nB", "A\n</proposed_plan>\nB", "", false},
		{"half a tag", "A <prop\n<propo", "A <prop\n<propo", "", false},
		{"a gap in the tag", "<proposed _plan>\nx", "<proposed _plan>\nx", "", false},
		{"last line opens", "A\n<proposed_plan>", "A\n", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			words, plan, found := cutPlan(tt.text)
			if words != tt.words || plan != tt.plan || found != tt.found {
				t.Errorf("cutPlan(%q) = %q, %q, %v, want %q, %q, %v", tt.text, words, plan, found, tt.words, tt.plan, tt.found)
			}
		})
	}
}

// FuzzPlanCutter: wherever a text is split, the same comes out, nothing is lost
// but the tags, and no piece is empty unless a plan begins with it.
func FuzzPlanCutter(f *testing.F) {
	f.Add(planText, uint16(3), uint16(9))
	f.Add("  <proposed_plan> \r\nx\n</proposed_plan>\n\n<proposed_plan>\ny", uint16(1), uint16(1))
	f.Add("<<proposed_plan>\n<proposed_plan", uint16(2), uint16(0))
	f.Fuzz(func(t *testing.T, text string, first, step uint16) {
		whole, split := cutWith(t, text), cutWith(t, pieces(text, int(first), int(step))...)
		if d := cmp.Diff(whole, split); d != "" {
			t.Errorf("%q by %d, %d: %s", text, first, step, d)
		}
		words, plan, found := cutPlan(text)
		want := []string{words}
		if found {
			want = []string{words, plan}
		}
		got := whole[:1]
		if found {
			got = []string{whole[0], whole[len(whole)-1]}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("cutPlan(%q): %s", text, d)
		}
		kept := len(strings.Join(whole, ""))
		if lost := len(text) - kept; lost < 0 || (lost == 0) == found {
			t.Errorf("%q: %d of %d bytes are left", text, kept, len(text))
		}
	})
}

// pieces splits a text after some bytes, then in steps.
func pieces(text string, first, step int) []string {
	first = min(first, len(text))
	out := []string{text[:first]}
	for text = text[first:]; text != ""; {
		n := min(step%40+1, len(text))
		out = append(out, text[:n])
		text = text[n:]
	}
	return out
}

// cutWith returns the words and the plans of a text that comes in pieces.
func cutWith(t *testing.T, text ...string) []string {
	var c planCutter
	out := []string{""}
	take := func(pieces []planPiece) {
		for _, p := range pieces {
			if len(p.text) == 0 && !p.begins || p.begins && !p.plan {
				t.Errorf("an odd piece of %q: %+v", text, p)
			}
			if p.begins {
				out = append(out, "")
			}
			at := 0
			if p.plan {
				at = len(out) - 1
			}
			out[at] += string(p.text)
		}
	}
	for _, s := range text {
		take(c.write(s))
	}
	take(c.end())
	return out
}

func collaboration(mode protocol.ModeKind, instructions *string) func(*protocol.TurnStartParams) {
	return func(p *protocol.TurnStartParams) {
		p.CollaborationMode = &protocol.CollaborationMode{Mode: mode, Settings: protocol.CollaborationSettings{Model: "mock-model", DeveloperInstructions: instructions}}
	}
}

var planMode = collaboration(protocol.ModePlan, nil)

// itemLines tells of the items of a turn but the user's: "start TYPE ID: TEXT",
// "end TYPE ID: TEXT" and "delta ID: TEXT".
func itemLines(p *fakeParent, turn string) []string {
	var out []string
	for _, n := range p.all() {
		if n.get("turnId") != turn || n.get("item.type") == "userMessage" {
			continue
		}
		id := strings.Replace(n.get("item.id"), turn, "TURN", 1)
		item := n.get("item.type") + " " + id + ": " + n.get("item.text") + n.get("item.review")
		switch n.Method {
		case protocol.MethodItemStarted:
			out = append(out, "start "+item)
		case protocol.MethodItemCompleted:
			out = append(out, "end "+item)
		case protocol.MethodItemAgentMessageDelta, protocol.MethodItemPlanDelta:
			out = append(out, "delta "+strings.Replace(n.get("itemId"), turn, "TURN", 1)+": "+n.get("delta"))
		}
	}
	return out
}

func quoted(s string) string {
	raw, _ := json.Marshal(s)
	return strings.Trim(string(raw), `"`)
}

// streamed is a response of one message that comes in pieces.
func streamed(id string, pieces ...string) reply {
	r := reply{messageAdded(id)}
	for _, p := range pieces {
		r = append(r, delta(id, p))
	}
	return append(r, messageDone(id, quoted(strings.Join(pieces, ""))), completed())
}

func TestPlanItems(t *testing.T) {
	tests := []struct {
		name   string
		script reply
		want   []string
	}{
		{"in pieces", streamed("m", "Intro\n<prop", "osed_plan>\n- one\n- t", "wo\n</propose", "d_plan>\nOutro"), []string{
			"start agentMessage m: ", "delta m: Intro\n", "start plan TURN-plan: ", "delta TURN-plan: - one\n- t", "delta TURN-plan: wo\n", "delta m: Outro",
			"end plan TURN-plan: - one\n- two\n", "end agentMessage m: Intro\nOutro",
		}},
		{"a plan and nothing else", streamed("m", "\n \n<proposed_plan>\nx\n</proposed_plan>\n"), []string{
			"start plan TURN-plan: ", "delta TURN-plan: x\n", "end plan TURN-plan: x\n",
		}},
		{"never closed", streamed("m", "A\n<proposed_plan>\n", "x"), []string{
			"start agentMessage m: ", "delta m: A\n", "start plan TURN-plan: ", "delta TURN-plan: x", "end plan TURN-plan: x", "end agentMessage m: A\n",
		}},
		{"the last of two", streamed("m", "<proposed_plan>\nx\n</proposed_plan>\nB\n<proposed_plan>\ny\n</proposed_plan>\n"), []string{
			"start plan TURN-plan: ", "delta TURN-plan: x\n", "start agentMessage m: ", "delta m: B\n", "delta TURN-plan: y\n",
			"end plan TURN-plan: y\n", "end agentMessage m: B\n",
		}},
		{"no deltas", reply{messageDone("m", quoted(planText)), completed()}, []string{
			"start plan TURN-plan: ", "end plan TURN-plan: - one\n- two\n", "start agentMessage m: ", "end agentMessage m: Intro\nOutro",
		}},
		{"no plan", streamed("m", "  Hel", "lo\n<pro"), []string{
			"start agentMessage m: ", "delta m:   Hel", "delta m: lo\n", "delta m: <pro", "end agentMessage m:   Hello\n<pro",
		}},
		{"blank", streamed("m", " \n"), []string{"start agentMessage m: ", "end agentMessage m:  \n"}},
		{"text with the start", reply{added(`{"type":"message","role":"assistant","id":"m","content":[{"type":"output_text","text":"A\n<proposed"}]}`), delta("m", "_plan>\nx"), messageDone("m", quoted("A\n<proposed_plan>\nx")), completed()}, []string{
			"start agentMessage m: ", "delta m: A\n", "start plan TURN-plan: ", "delta TURN-plan: x", "end plan TURN-plan: x", "end agentMessage m: A\n",
		}},
		{"other words at the end", reply{messageAdded("m"), delta("m", "<proposed_plan>\nx\n"), messageDone("m", "no plan"), completed()}, []string{
			"start plan TURN-plan: ", "delta TURN-plan: x\n", "end plan TURN-plan: x\n", "start agentMessage m: ", "end agentMessage m: no plan",
		}},
		{"the stream breaks", reply{messageAdded("m"), delta("m", "A\n<proposed_plan>\nx\n</pro"), &backend.Error{Kind: backend.KindBadRequest, Message: "no"}}, []string{
			"start agentMessage m: ", "delta m: A\n", "start plan TURN-plan: ", "delta TURN-plan: x\n", "delta TURN-plan: </pro",
			"end plan TURN-plan: x\n</pro", "end agentMessage m: A\n",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, testConfig, tt.script)
				defer w.Shutdown(t.Context())
				w.start(`{}`)
				end := w.turn("q", planMode)
				if d := cmp.Diff(tt.want, itemLines(w.parent, end.get("turn.id"))); d != "" {
					t.Error(d)
				}
				if d := cmp.Diff(map[string]bool{}, openItems(w.parent)); d != "" {
					t.Errorf("items left open: %s", d)
				}
			})
		})
	}
}

// TestPlanTwoMessages: a turn's second message with a plan is not lost, and does
// not change the first.
func TestPlanTwoMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, reply{messageDone("a", quoted("<proposed_plan>\nx\n</proposed_plan>")), messageDone("b", quoted("<proposed_plan>\ny\n</proposed_plan>")), completed()})
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("q", planMode)
		plans := map[string]string{}
		for _, n := range w.parent.all(protocol.MethodItemCompleted) {
			if n.get("item.type") == "plan" {
				plans[n.get("item.text")] = n.get("item.id")
			}
		}
		if len(plans) != 2 || plans["x\n"] == plans["y\n"] || plans["y\n"] == "" {
			t.Errorf("plans %v", plans)
		}
	})
}

// TestPlanModeOnly: in other modes the block is text, and the model is always
// given back what it said.
func TestPlanModeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, streamed("m", planText), streamed("m", planText), streamed("m", planText), say("end"))
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		for _, step := range []struct {
			with  func(*protocol.TurnStartParams)
			words string
		}{
			{func(*protocol.TurnStartParams) {}, planText},
			{planMode, "Intro\nOutro"},
			{collaboration(protocol.ModeDefault, nil), planText},
		} {
			end := w.turn("q", step.with)
			lines := itemLines(w.parent, end.get("turn.id"))
			if got := lines[len(lines)-1]; got != "end agentMessage m: "+step.words {
				t.Errorf("the last item is %q", got)
			}
		}
		if n := len(w.parent.all(protocol.MethodItemPlanDelta)); n != 1 {
			t.Errorf("%d deltas of plans", n)
		}
		w.ok("end")
		said := said(w.model.request(-1))
		if d := cmp.Diff([]string{"user: q", "assistant: " + planText, "user: q", "assistant: " + planText, "user: q", "assistant: " + planText, "user: end"}, said); d != "" {
			t.Error(d)
		}
	})
}

// TestModeTold: a mode is told when it begins, what takes its place when it
// changes, and nothing while it stays.
func TestModeTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		mine, other, none := "MINE", "OTHER", ""
		const builtIn, over = "plan mode", "no longer hold"
		for i, step := range []struct {
			with func(*protocol.TurnStartParams)
			told string // empty for nothing
		}{
			{func(*protocol.TurnStartParams) {}, ""},
			{planMode, builtIn},
			{planMode, ""},
			{func(*protocol.TurnStartParams) {}, ""},
			{collaboration(protocol.ModeDefault, nil), over},
			{collaboration(protocol.ModePlan, &mine), mine},
			{collaboration(protocol.ModePlan, &other), other},
			{collaboration(protocol.ModePlan, &none), over},
			{planMode, builtIn},
			{collaboration(protocol.ModeDefault, &mine), mine},
		} {
			before := 0
			if i > 0 {
				before = len(w.model.request(-1).Input)
			}
			w.ok("q", step.with)
			var told []string
			for _, raw := range w.model.request(-1).Input[before:] {
				var m message
				if json.Unmarshal(raw, &m) == nil && m.Role == roleDeveloper {
					for _, p := range m.Content {
						told = append(told, p.Text)
					}
				}
			}
			if i == 0 {
				told = told[1:] // the permissions
			}
			if (step.told == "") != (len(told) == 0) || len(told) > 1 || len(told) == 1 && !strings.Contains(told[0], step.told) {
				t.Errorf("step %d: told %q, want %q", i, told, step.told)
			}
		}
	})
}
