//go:build unix

package rollout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const metaLine = `{"timestamp":"2026-01-02T03:04:05.000Z","type":"session_meta","payload":{"id":"01a21000-0000-7000-8000-00000000000f","timestamp":"2026-01-02T03:04:05.000Z","cwd":"/","originator":"o","cli_version":"0.125.0","source":"vscode"}}`

// lines makes a file of lines, given as type and payload, and reads it.
func lines(t *testing.T, pairs ...string) *Log {
	t.Helper()
	text := metaLine + "\n"
	for i := 0; i < len(pairs); i += 2 {
		text += fmt.Sprintf(`{"timestamp":"2026-01-02T03:04:05.000Z","type":%q,"payload":%s}`+"\n", pairs[i], pairs[i+1])
	}
	path := filepath.Join(t.TempDir(), "rollout.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := New(t.TempDir()).ReadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// outlineOf tells turns in short: id, status and types of items.
func outlineOf(t *testing.T, l *Log) []string {
	t.Helper()
	out := []string{}
	for _, u := range allTurns(t, l) {
		var kinds []string
		for _, it := range u.Items {
			kinds = append(kinds, string(it.(*Item).Type))
		}
		out = append(out, fmt.Sprintf("%s %s %s", u.ID, u.Status, strings.Join(kinds, ",")))
	}
	return out
}

func user(text string) string { return string(message("user", text)) }

// TestReferenceLines reads what the reference writes in odd moments.
func TestReferenceLines(t *testing.T) {
	started := func(id string) string { return `{"type":"task_started","turn_id":"` + id + `","started_at":1}` }
	complete := func(id string) string {
		return `{"type":"task_complete","turn_id":"` + id + `","completed_at":2,"duration_ms":1}`
	}
	said := `{"type":"user_message","message":"hi"}`
	command := func(turn string) string {
		return `{"type":"exec_command_end","call_id":"c","turn_id":"` + turn + `","command":["ls"],"cwd":"/","exit_code":0,"aggregated_output":"x"}`
	}
	for name, tt := range map[string]struct {
		lines   []string
		turns   []string
		history []string
	}{
		"nothing": {nil, []string{}, []string{}},
		"a command that ends in the next turn": {
			[]string{"event_msg", started("a"), "event_msg", said, "event_msg", complete("a"), "event_msg", started("b"), "event_msg", said, "event_msg", command("a"), "event_msg", complete("b")},
			[]string{"a completed userMessage,commandExecution", "b completed userMessage"}, []string{},
		},
		"a command after the end": {
			[]string{"event_msg", started("a"), "event_msg", complete("a"), "event_msg", command("a")},
			[]string{"a completed commandExecution"}, []string{},
		},
		"killed": {
			[]string{"event_msg", started("a"), "event_msg", said, "event_msg", started("b"), "event_msg", said},
			[]string{"a interrupted userMessage", "b interrupted userMessage"}, []string{},
		},
		"no starts": {
			[]string{"response_item", user("1"), "event_msg", said, "response_item", user("2"), "event_msg", said, "event_msg", `{"type":"thread_rolled_back","num_turns":1}`, "response_item", user("3"), "event_msg", said},
			[]string{"turn-1 completed userMessage", "turn-3 completed userMessage"}, []string{"1", "3"},
		},
		"a failed turn": {
			[]string{"event_msg", started("a"), "event_msg", `{"type":"error","message":"no","codex_error_info":"other"}`, "event_msg", complete("a")},
			[]string{"a failed "}, []string{},
		},
		"an error that is only an answer": {
			[]string{"event_msg", started("a"), "event_msg", `{"type":"error","message":"no","codex_error_info":"thread_rollback_failed"}`, "event_msg", complete("a")},
			[]string{"a completed "}, []string{},
		},
		"all rolled back": {
			[]string{"response_item", user("context"), "event_msg", started("a"), "response_item", user("1"), "event_msg", complete("a"), "event_msg", `{"type":"thread_rolled_back","num_turns":9}`},
			[]string{}, []string{"context"},
		},
		"a compaction that was rolled back": {
			[]string{"event_msg", started("a"), "response_item", user("1"), "event_msg", complete("a"), "event_msg", started("b"), "compacted", `{"message":"s","replacement_history":[` + user("s") + `]}`, "event_msg", complete("b"), "event_msg", `{"type":"thread_rolled_back","num_turns":1}`},
			[]string{"a completed "}, []string{"1"},
		},
		"a compaction of two": {
			[]string{"response_item", user("1"), "compacted", `{"message":"s","replacement_history":[` + user("s") + `]}`, "response_item", user("2"), "compacted", `{"message":"t","replacement_history":[` + user("t") + `]}`, "response_item", user("3")},
			[]string{}, []string{"t", "3"},
		},
		"an old compaction": {
			[]string{"response_item", user("1"), "response_item", string(message("assistant", "a")), "compacted", `{"message":"summary"}`, "response_item", user("2")},
			[]string{}, []string{"1", "summary", "2"},
		},
		"a note for no model": {
			[]string{"response_item", `{"type":"ghost_snapshot","ghost_commit":{}}`, "response_item", user("1")},
			[]string{}, []string{"1"},
		},
		"unknown and shapeless lines": {
			[]string{"new_type", `{"a":1}`, "event_msg", `{"type":"new_event"}`, "event_msg", `3`, "event_msg", started("a"), "event_msg", `{"type":"exec_command_end","call_id":7}`, "event_msg", `{"type":"user_message","message":[]}`, "turn_context", `[]`, "compacted", `null`, "event_msg", complete("a")},
			[]string{"a completed userMessage"}, []string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := lines(t, tt.lines...)
			if diff := cmp.Diff(tt.turns, outlineOf(t, l)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.history, historyTexts(t, l)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNameInFile(t *testing.T) {
	l := lines(t,
		"event_msg", `{"type":"thread_name_updated","thread_id":"01a21000-0000-7000-8000-00000000000f","thread_name":"mine"}`,
		"event_msg", `{"type":"thread_name_updated","thread_id":"01a21000-0000-7000-8000-00000000000e","thread_name":"of another"}`)
	if l.Name == nil || *l.Name != "mine" {
		t.Errorf("name %v", l.Name)
	}
}

// TestNoFile reads what is no thread's file.
func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	s := New(dir)
	pipe, empty, other := filepath.Join(dir, "pipe"), filepath.Join(dir, "empty"), filepath.Join(dir, "other")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.WriteFile(empty, nil, 0o600), os.WriteFile(other, []byte("text\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, pipe, empty, other, filepath.Join(dir, "none")} {
		if _, err := s.ReadFile(t.Context(), path); !errors.Is(err, ErrNotFound) {
			t.Errorf("read %s: %v", path, err)
		}
		if _, _, err := s.ContinueFile(t.Context(), path); !errors.Is(err, ErrNotFound) {
			t.Errorf("continue %s: %v", path, err)
		}
	}
	if _, err := s.List(t.Context(), Query{}); err != nil {
		t.Errorf("list of an empty home: %v", err)
	}
}
