package session

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"app-server/internal/backend"
)

// story runs one turn and tells its item notifications, one a line, without
// those of the user's message.
func story(t *testing.T, script reply) []string {
	t.Helper()
	var out []string
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, script)
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("q")
		for _, n := range w.parent.all() {
			what, isItem := strings.CutPrefix(n.Method, "item/")
			if !isItem || n.get("item.type") == "userMessage" {
				continue
			}
			if item := n.get("item"); item != "" {
				out = append(out, what+" "+item)
				continue
			}
			out = append(out, what+" "+n.get("itemId")+" "+n.get("summaryIndex")+n.get("contentIndex")+" "+n.get("delta"))
		}
	})
	return out
}

func agent(id, text string) string {
	return `{"type":"agentMessage","id":"` + id + `","text":"` + text + `","phase":null,"memoryCitation":null}`
}

func TestItems(t *testing.T) {
	summaryPart := backend.Event{Kind: backend.EventSummaryPartAdded}
	summary := func(i int, s string) backend.Event {
		return backend.Event{Kind: backend.EventSummaryDelta, Index: i, Delta: s}
	}
	raw := backend.Event{Kind: backend.EventReasoningDelta, Delta: "deep"}
	for name, c := range map[string]struct {
		script reply
		want   []string
	}{
		"only done": {say("whole"), []string{"started " + agent("m", "whole"), "completed " + agent("m", "whole")}},
		"the finished item is the truth": {
			reply{messageAdded("m1"), delta("m1", "ab"), messageDone("m1", "abc"), completed()},
			[]string{"started " + agent("m1", ""), "agentMessage/delta m1  ab", "completed " + agent("m1", "abc")},
		},
		"a delta without an item goes nowhere": {
			reply{delta("m1", "lost"), summary(0, "lost"), raw, messageDone("m1", "abc"), delta("m1", "late"), completed()},
			[]string{"started " + agent("m1", "abc"), "completed " + agent("m1", "abc")},
		},
		"deltas find their item": {
			reply{messageAdded("a"), messageAdded("b"), delta("a", "1"), delta("b", "2"), delta("", "3"), messageDone("b", "23"), messageDone("a", "1"), completed()},
			[]string{
				"started " + agent("a", ""), "started " + agent("b", ""), "agentMessage/delta a  1", "agentMessage/delta b  2",
				"agentMessage/delta b  3", "completed " + agent("b", "23"), "completed " + agent("a", "1"),
			},
		},
		"an item that never ends is closed": {
			reply{messageAdded("a"), delta("a", "par"), completed()},
			[]string{"started " + agent("a", ""), "agentMessage/delta a  par", "completed " + agent("a", "par")},
		},
		"phase and refusal": {
			reply{done(`{"type":"message","role":"assistant","id":"m","phase":"commentary","content":[{"type":"refusal","refusal":"no"}]}`), completed()},
			[]string{
				`started {"type":"agentMessage","id":"m","text":"no","phase":"commentary","memoryCitation":null}`,
				`completed {"type":"agentMessage","id":"m","text":"no","phase":"commentary","memoryCitation":null}`,
			},
		},
		"reasoning": {
			reply{
				added(`{"type":"reasoning","id":"r","summary":[]}`), summaryPart, summary(0, "think "), summary(1, "hard"), summary(-1, "x"), summary(1<<20, "x"), raw,
				done(`{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"think"},{"type":"summary_text","text":"hard"}],"content":[{"type":"reasoning_text","text":"deep"}]}`), completed(),
			},
			[]string{
				`started {"type":"reasoning","id":"r","summary":[],"content":[]}`, "reasoning/summaryPartAdded r 0 ", "reasoning/summaryTextDelta r 0 think ",
				"reasoning/summaryTextDelta r 1 hard", "reasoning/textDelta r 0 deep",
				`completed {"type":"reasoning","id":"r","summary":["think","hard"],"content":["deep"]}`,
			},
		},
		"reasoning left open": {
			reply{added(`{"type":"reasoning","id":"r"}`), summary(1, "half"), completed()},
			[]string{
				`started {"type":"reasoning","id":"r","summary":[],"content":[]}`, "reasoning/summaryTextDelta r 1 half",
				`completed {"type":"reasoning","id":"r","summary":["","half"],"content":[]}`,
			},
		},
		"web search": {
			reply{
				added(`{"type":"web_search_call","id":"w","status":"in_progress"}`),
				done(`{"type":"web_search_call","id":"w","status":"completed","action":{"type":"search","queries":["a","b"]}}`),
				done(`{"type":"web_search_call","id":"x","action":{"type":"open_page","url":"http://u"}}`),
				done(`{"type":"web_search_call","id":"y","action":{"type":"find_in_page","url":"http://u","pattern":"p"}}`),
				done(`{"type":"web_search_call","id":"z","action":{"type":"new"}}`), completed(),
			},
			[]string{
				`started {"type":"webSearch","id":"w","query":"","action":{"type":"other"}}`,
				`completed {"type":"webSearch","id":"w","query":"a ...","action":{"type":"search","query":null,"queries":["a","b"]}}`,
				`started {"type":"webSearch","id":"x","query":"http://u","action":{"type":"openPage","url":"http://u"}}`,
				`completed {"type":"webSearch","id":"x","query":"http://u","action":{"type":"openPage","url":"http://u"}}`,
				`started {"type":"webSearch","id":"y","query":"'p' in http://u","action":{"type":"findInPage","url":"http://u","pattern":"p"}}`,
				`completed {"type":"webSearch","id":"y","query":"'p' in http://u","action":{"type":"findInPage","url":"http://u","pattern":"p"}}`,
				`started {"type":"webSearch","id":"z","query":"","action":{"type":"other"}}`,
				`completed {"type":"webSearch","id":"z","query":"","action":{"type":"other"}}`,
			},
		},
		"unknown types are skipped": {
			reply{added(`{"type":"martian","id":"z"}`), done(`{"type":"martian","id":"z"}`), done(`7`), completed()},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, story(t, c.script)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestItemIDs: each item of a turn has an id of its own, whatever the backend
// says, and keeps it.
func TestItemIDs(t *testing.T) {
	got := story(t, reply{
		messageDone("m", "1"), messageDone("m", "2"),
		added(`{"type":"message","role":"assistant"}`), delta("x", "3"), done(`{"type":"message","role":"assistant","content":[{"text":"3"}]}`), completed(),
	})
	id := func(line string) string {
		_, rest, _ := strings.Cut(line, `"id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		return id
	}
	if len(got) != 7 {
		t.Fatalf("notifications %v", got)
	}
	second, third := id(got[2]), id(got[4])
	for _, made := range []string{second, third} {
		if uuid.Validate(made) != nil {
			t.Errorf("id %q is no UUID", made)
		}
	}
	if id(got[0]) != "m" || id(got[3]) != second || id(got[6]) != third || !strings.Contains(got[5], third) || second == third {
		t.Errorf("ids do not hold: %v", got)
	}
}
