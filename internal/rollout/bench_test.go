package rollout

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// manyThreads makes a home with n threads whose first lines are as long as real
// ones, 25 KB before the user's first words.
func manyThreads(tb testing.TB, n int) *Store {
	tb.Helper()
	s := New(tb.TempDir())
	base := strings.Repeat("Some words of instructions. ", 750)
	context := ResponseItem(message("developer", strings.Repeat("More words. ", 400)))
	_, records := turnOf(1)
	more := ResponseItem(message("assistant", strings.Repeat("Words. ", 3000)))
	for i := range n {
		m := newMeta(tb)
		m.Instructions = &base
		m.Created = time.Now().Add(-time.Duration(n-i) * time.Minute)
		w, err := s.Create(m)
		if err != nil {
			tb.Fatal(err)
		}
		if err := w.Append(append([]Record{context}, append(records, more)...)...); err != nil {
			tb.Fatal(err)
		}
		closeFast(tb, w)
	}
	return s
}

func threads() int {
	if n, err := strconv.Atoi(os.Getenv("ROLLOUT_THREADS")); err == nil {
		return n
	}
	return 500
}

// BenchmarkList measures a list of ROLLOUT_THREADS threads: by a plain scan of
// the first lines, by a new process that has the index file, and by one that
// has listed before.
func BenchmarkList(b *testing.B) {
	s := manyThreads(b, threads())
	page := func(b *testing.B, s *Store) {
		if _, err := s.List(b.Context(), Query{Limit: 25}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			os.Remove(s.index.path)
			page(b, New(s.home))
		}
	})
	b.Run("index", func(b *testing.B) {
		page(b, New(s.home))
		for b.Loop() {
			page(b, New(s.home))
		}
	})
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			page(b, s)
		}
	})
}

// BenchmarkFind finds a thread by its id among ROLLOUT_THREADS.
func BenchmarkFind(b *testing.B) {
	s := manyThreads(b, threads())
	id := list(b, s, Query{Limit: 1}).Entries[0].Meta.ID
	b.Run("active", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Find(id); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("none", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Find("00000000-0000-4000-8000-000000000000"); err == nil {
				b.Fatal("found")
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	s := New(b.TempDir())
	w := create(b, s, newMeta(b))
	it := ResponseItem(message("assistant", strings.Repeat("word ", 100)))
	b.ReportAllocs()
	for b.Loop() {
		put(b, w, it)
	}
}

func BenchmarkAppendItem(b *testing.B) {
	s := New(b.TempDir())
	w := create(b, s, newMeta(b))
	it, err := newItem(jsontext.Value(everyKind[4]))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		put(b, w, ItemCompleted("turn", it))
	}
}
