package rollout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// TestPackedFile reads and continues a file that was compressed, as the
// reference 0.169.0 does with old ones.
func TestPackedFile(t *testing.T) {
	const id = "01a2119e-a725-7640-b953-bf99e3999ca3"
	plain := New(filepath.Join(samples, "0.125.0"))
	want := summarize(t, readBack(t, plain, id))
	place, err := plain.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(place.Path)
	if err != nil {
		t.Fatal(err)
	}
	s := New(t.TempDir())
	dir := filepath.Join(s.home, sessionsDir, "2026", "11", "25")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(dir, filepath.Base(place.Path)+packedSuffix)
	if err := os.WriteFile(packed, e.EncodeAll(text, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	got := summarize(t, readBack(t, s, id))
	*got.Thread.Path = strings.TrimSuffix(*got.Thread.Path, packedSuffix)
	if diff := cmp.Diff(asJSON(t, want), asJSON(t, got)); diff != "" {
		t.Error(diff)
	}
	if p := list(t, s, Query{}); len(p.Entries) != 1 || p.Entries[0].Preview != "first question" {
		t.Errorf("list %+v", p)
	}
	for range 2 { // the second time it is not compressed any more
		w, l, err := s.Continue(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(asJSON(t, want), asJSON(t, summarize(t, l))); diff != "" {
			t.Error(diff)
		}
		closeFast(t, w)
	}
	if after, err := os.ReadFile(strings.TrimSuffix(packed, packedSuffix)); err != nil || string(after) != string(text) {
		t.Errorf("the text is not what was packed: %v", err)
	}
	if _, err := os.Stat(packed); !os.IsNotExist(err) {
		t.Errorf("the compressed file is left: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
}

// TestSegments lists, archives and continues a thread of several files.
func TestSegments(t *testing.T) {
	home := t.TempDir()
	if err := os.CopyFS(home, os.DirFS(filepath.Join(samples, "0.169.0-reverted"))); err != nil {
		t.Fatal(err)
	}
	s := New(home)
	p := list(t, s, Query{})
	if len(p.Entries) != 1 || p.Entries[0].Preview != "first question" || *p.Entries[0].Name != "My name" {
		t.Fatalf("list %+v", p)
	}
	id := p.Entries[0].Meta.ID
	before := asJSON(t, allTurns(t, readBack(t, s, id)))
	if _, err := s.Archive(id); err != nil {
		t.Fatal(err)
	}
	if p := list(t, s, Query{}); len(p.Entries) != 0 {
		t.Errorf("list %+v", p)
	}
	if p := list(t, s, Query{Archived: true}); len(p.Entries) != 1 {
		t.Errorf("list %+v", p)
	}
	if diff := cmp.Diff(before, asJSON(t, allTurns(t, readBack(t, s, id)))); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Unarchive(id); err != nil {
		t.Fatal(err)
	}
	w, l, err := s.Continue(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	n := l.Len()
	next, records := turnOf(1)
	put(t, w, records...)
	put(t, w, RolledBack(2)) // over the border of the files
	put(t, w, records...)
	closeFast(t, w)
	turns := allTurns(t, readBack(t, s, id))
	if len(turns) != n {
		t.Fatalf("%d turns, %d before", len(turns), n)
	}
	if diff := cmp.Diff(asJSON(t, next), asJSON(t, turns[n-1])); diff != "" {
		t.Error(diff)
	}
}

func TestFileNames(t *testing.T) {
	const a, b = "01a211bd-786c-77d0-9bc1-d2ac6b686211", "01a211bd-8129-7370-8139-999107acf1df"
	for name, want := range map[string]fileName{
		"rollout-2026-11-25T08-06-01-" + a + ".jsonl":           {a, a, false},
		"rollout-2026-11-25T08-06-01-" + a + ".jsonl.zst":       {a, a, true},
		"rollout-2026-11-25T08-06-01-" + a + "_" + b + ".jsonl": {a, b, false},
		"rollout-" + a + ".jsonl":                               {a, a, false},
		"rollout-2026-11-25T08-06-01-" + a + ".json":            {},
		"rollout-2026-11-25T08-06-01-" + a[1:] + ".jsonl":       {},
		"log-2026-11-25T08-06-01-" + a + ".jsonl":               {},
		"rollout-.jsonl": {},
		".unpack-1":      {},
		"rollout-2026-11-25T08-06-01-" + a + "_" + b + ".jsonl.zst":   {a, b, true},
		"rollout-2026-11-25T08-06-01-" + a + "_" + b[1:] + "z.jsonl":  {},
		"rollout-2026-11-25T08-06-01-" + a + "_" + b + ".jsonl.zst.1": {},
	} {
		got, ok := parseName(name)
		if ok != (want != fileName{}) || ok && got != want {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}
