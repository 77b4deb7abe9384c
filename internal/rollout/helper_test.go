package rollout

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"app-server/protocol"
)

func newID(t testing.TB) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

func newMeta(t testing.TB) Meta {
	t.Helper()
	base := "be brief"
	return Meta{
		ID: newID(t), Created: time.Now().Truncate(time.Millisecond).UTC(), Cwd: "/home/user/project", Originator: "parent",
		CLIVersion: "0.1.0", ModelProvider: "provider", Instructions: &base, Source: jsontext.Value(`"vscode"`),
	}
}

func create(t testing.TB, s *Store, m Meta) *Writer {
	t.Helper()
	w, err := s.Create(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func put(t testing.TB, w *Writer, records ...Record) {
	t.Helper()
	if err := w.Append(records...); err != nil {
		t.Fatal(err)
	}
}

func message(role, text string) jsontext.Value {
	kind := "input_text"
	if role == "assistant" {
		kind = "output_text"
	}
	raw, err := json.Marshal(map[string]any{
		"type": "message", "role": role, "content": []any{map[string]any{"type": kind, "text": text}},
	}, json.Deterministic(true))
	if err != nil {
		panic(err)
	}
	return raw
}

func ptr[T any](v T) *T { return &v }

func say(id, text string) *protocol.UserMessageItem {
	return protocol.NewUserMessage(id, []protocol.UserInput{{Type: protocol.InputText, Text: text, TextElements: []protocol.TextElement{}}})
}

// turnOf makes a whole turn, as records and as it was streamed.
func turnOf(n int, items ...protocol.ThreadItem) (protocol.Turn, []Record) {
	id := fmt.Sprintf("01a21000-0000-7000-8000-%012d", n)
	words := fmt.Sprintf("question %d", n)
	answer := fmt.Sprintf("answer %d", n)
	t := protocol.Turn{
		ID: id, Status: protocol.TurnCompleted, StartedAt: ptr(int64(1_800_000_000 + n)),
		CompletedAt: ptr(int64(1_800_000_001 + n)), DurationMS: ptr(int64(1003)),
	}
	t.Items = append([]protocol.ThreadItem{say(id+"-user", words)}, items...)
	t.Items = append(t.Items, protocol.NewAgentMessage(id+"-answer", answer, ptr("final_answer")))
	records := []Record{
		TurnStarted(&t, ptr(int64(258400)), ""),
		TurnContext(&Settings{TurnID: id, Cwd: "/home/user/project", Model: "model", Approval: protocol.ApprovalPolicy{Mode: protocol.ApprovalNever}, Sandbox: protocol.SandboxPolicy{Type: protocol.PolicyReadOnly}}),
		ResponseItem(message("user", words)),
	}
	for _, it := range t.Items {
		records = append(records, ItemCompleted(id, it))
	}
	records = append(records, ResponseItem(message("assistant", answer)), TurnEnded(&t, &answer))
	return t, records
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v, lenient, jsontext.WithIndent(" "), json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func readBack(t testing.TB, s *Store, id string) *Log {
	t.Helper()
	l, err := s.Read(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func allTurns(t testing.TB, l *Log) []protocol.Turn {
	t.Helper()
	turns, err := l.Turns(t.Context(), 0, l.Len())
	if err != nil {
		t.Fatal(err)
	}
	return turns
}

func historyTexts(t testing.TB, l *Log) []string {
	t.Helper()
	h, err := l.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, it := range h {
		out = append(out, said(it))
	}
	return out
}

// closeFast closes a writer without a sync, which is most of a test's time.
func closeFast(t testing.TB, w *Writer) {
	t.Helper()
	w.mu.Lock()
	w.dirty, w.fresh = false, false
	w.mu.Unlock()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
