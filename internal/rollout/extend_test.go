package rollout

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"app-server/protocol"
)

// TestExtend reads files in two parts, cut behind any line: the outline is that of
// the file read at once.
func TestExtend(t *testing.T) {
	found := 0
	err := filepath.WalkDir(samples, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "0.125.0") {
			return err
		}
		if n, ok := parseName(d.Name()); ok && !n.packed {
			found++
			t.Run(n.segment, func(t *testing.T) { extendAnywhere(t, path) })
		}
		return nil
	})
	if err != nil || found < 4 {
		t.Fatalf("%d samples, %v", found, err)
	}
}

func extendAnywhere(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := New(t.TempDir())
	file := filepath.Join(s.home, filepath.Base(path))
	write := func(b []byte) {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(data)
	whole, err := s.ReadFile(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	want := asJSON(t, summarize(t, whole))
	for cut := bytes.IndexByte(data, '\n') + 1; cut < len(data); cut += bytes.IndexByte(data[cut:], '\n') + 1 {
		write(data[:cut])
		part, err := s.ReadFile(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		before := asJSON(t, summarize(t, part))
		write(data)
		longer, err := part.Extend(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		longer.Updated = whole.Updated
		if diff := cmp.Diff(want, asJSON(t, summarize(t, longer))); diff != "" {
			t.Fatalf("cut at %d: %s", cut, diff)
		}
		// Where a part of the file ends does not matter.
		if diff := cmp.Diff(whole, longer, cmp.AllowUnexported(Log{}, turnRef{}, base{}, span{}), cmpopts.EquateEmpty(),
			cmpopts.IgnoreFields(Log{}, "before"), cmpopts.IgnoreFields(turnRef{}, "spans")); diff != "" {
			t.Fatalf("cut at %d: %s", cut, diff)
		}
		if diff := cmp.Diff(before, asJSON(t, summarize(t, part))); diff != "" {
			t.Fatalf("cut at %d, the first part has changed: %s", cut, diff)
		}
	}
}

// TestExtendOwn does so with a file of this program: turns, one that is taken back, a
// summary, and an item that is late.
func TestExtendOwn(t *testing.T) {
	s := New(t.TempDir())
	w := create(t, s, newMeta(t))
	first, records := turnOf(1)
	put(t, w, records...)
	for n := 2; n <= 3; n++ {
		_, records := turnOf(n)
		put(t, w, records...)
	}
	put(t, w, ItemCompleted(first.ID, protocol.NewAgentMessage("late", "ended", nil)), RolledBack(1))
	_, records = turnOf(4)
	put(t, w, records...)
	put(t, w, Compacted("sum", []jsontext.Value{message("user", "sum")}), TokenUsage(&protocol.ThreadTokenUsage{}, nil))
	_, records = turnOf(5)
	put(t, w, records...)
	path := w.Path()
	closeFast(t, w)
	extendAnywhere(t, path)
}

// TestExtendEmptied does so with a thread of which all turns are taken back.
func TestExtendEmptied(t *testing.T) {
	s := New(t.TempDir())
	w := create(t, s, newMeta(t))
	_, records := turnOf(1)
	put(t, w, records...)
	put(t, w, RolledBack(1))
	path := w.Path()
	closeFast(t, w)
	extendAnywhere(t, path)
}
