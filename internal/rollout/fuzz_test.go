package rollout

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// FuzzRead reads any bytes as a file. It must neither fail nor panic once there
// is a first line, give the same turns each time, and leave a file that can be
// continued.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob(samples + "/*/sessions/*/*/*/*.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:min(len(data), 8<<10)])
	}
	f.Add([]byte("{\"type\":\"session_meta\",\"payload\":{\"id\":\"x\"}}\n{\"type\":\"event_msg\",\"payload\":{\"type\":\"thread_rolled_back\",\"num_turns\":-1}}\n"))
	f.Add([]byte(`{"type":"session_meta","payload":{"id":"019a0000-0000-7000-8000-000000000000"}}` + "\n" + `{"type":"event_msg","payload":{"type":"task_complete","turn_id":"a"},"app_server":{"turn":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := New(t.TempDir())
		path := filepath.Join(s.home, "rollout.jsonl")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := s.ReadFile(t.Context(), path)
		if err != nil {
			return // no first line, or a parent that is not there
		}
		turns := asJSON(t, allTurns(t, l))
		history, err := l.History(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Thread()
		w, l, err := s.ContinueFile(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer closeFast(t, w)
		if got := asJSON(t, allTurns(t, l)); got != turns {
			t.Fatalf("turns %s, before %s", got, turns)
		}
		want, records := turnOf(77)
		put(t, w, records...)
		again, err := s.ReadFile(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if again.Torn != 0 || again.Unreadable != l.Unreadable {
			t.Fatalf("torn %d, unreadable %d, before %d", again.Torn, again.Unreadable, l.Unreadable)
		}
		after := allTurns(t, again)
		if got := asJSON(t, after[len(after)-1]); got != asJSON(t, want) {
			t.Fatalf("the next turn is %s", got)
		}
		longer, err := again.History(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if len(longer) != len(history)+2 {
			t.Fatalf("%d items, before %d", len(longer), len(history))
		}
	})
}

// FuzzCommand splits any command line and joins it again.
func FuzzCommand(f *testing.F) {
	for _, c := range []string{"ls", `/bin/bash -lc 'echo "a b"; exit 3'`, `a 'it'\''s'`, `"`, `a\`, "", `"$x"`} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words := splitCommand(s)
		if len(words) == 0 {
			t.Fatal("no words")
		}
		again := splitCommand(joinCommand(words))
		if len(again) != len(words) {
			t.Fatalf("%q became %q", words, again)
		}
		for i := range words {
			if again[i] != words[i] {
				t.Fatalf("%q became %q", words, again)
			}
		}
	})
}
