package rollout

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

// TestCountedFile goes on with a file of the reference 0.169.0, which counts its
// lines and does not read on where one has no number.
func TestCountedFile(t *testing.T) {
	home := t.TempDir()
	if err := os.CopyFS(home, os.DirFS(filepath.Join(samples, "0.169.0"))); err != nil {
		t.Fatal(err)
	}
	s := New(home)
	const id = "01a2119e-a744-7150-b66e-7a3d70c679d5"
	var items []protocol.ThreadItem
	for _, raw := range everyKind {
		items = append(items, rawItem(t, raw))
	}
	want, records := turnOf(1, items...)
	for range 2 {
		w, _, err := s.Continue(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		put(t, w, records[:2]...)
		put(t, w, records[2:]...)
		closeFast(t, w)
		_, records = turnOf(2)
	}
	l := readBack(t, s, id)
	turns := allTurns(t, l)
	if diff := cmp.Diff(asJSON(t, want), asJSON(t, turns[len(turns)-2])); diff != "" {
		t.Error(diff)
	}
	completed := countedItems(t, l.files[0])
	// All but four of the first turn's items, a plan twice, and the other turn's.
	if want := len(want.Items) - 4 + 1 + 2; completed != want {
		t.Errorf("%d item_completed lines, want %d", completed, want)
	}

	// A copy of it counts too.
	fork := newMeta(t)
	w, err := s.Fork(t.Context(), l, -1, fork)
	if err != nil {
		t.Fatal(err)
	}
	closeFast(t, w)
	if diff := cmp.Diff(asJSON(t, turns), asJSON(t, allTurns(t, readBack(t, s, fork.ID)))); diff != "" {
		t.Error(diff)
	}
	if w, l, err = s.Continue(t.Context(), fork.ID); err != nil {
		t.Fatal(err)
	}
	put(t, w, records...)
	closeFast(t, w)
	if n := countedItems(t, l.files[0]); n != completed+2 {
		t.Errorf("%d item_completed lines in the copy, want %d", n, completed+2)
	}
}

// countedItems checks the numbers of all lines, and counts the items that this
// program has added.
func countedItems(t *testing.T, path string) int {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var p parser
	completed := 0
	for i, data := range bytes.Split(bytes.TrimSpace(data), []byte{'\n'}) {
		line, ok := p.parse(data)
		if !ok || line.ordinal != int64(i) {
			t.Fatalf("line %d has the number %d", i, line.ordinal)
		}
		if len(line.extra) > 0 && memberText(line.payload, "type") == "item_completed" {
			completed++
		}
	}
	return completed
}
