package rollout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

// stored makes a stored thread with one turn.
func stored(t testing.TB, s *Store, change func(*Meta)) Meta {
	t.Helper()
	m := newMeta(t)
	if change != nil {
		change(&m)
	}
	w := create(t, s, m)
	_, records := turnOf(1)
	put(t, w, records...)
	closeFast(t, w)
	return m
}

func list(t testing.TB, s *Store, q Query) Page {
	t.Helper()
	p, err := s.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func idsOf(p Page) []string {
	ids := []string{}
	for _, e := range p.Entries {
		ids = append(ids, e.Meta.ID)
	}
	return ids
}

func TestListFilters(t *testing.T) {
	s := New(t.TempDir())
	base := time.Now().Add(-time.Hour)
	at := func(n int, change func(*Meta)) string {
		return stored(t, s, func(m *Meta) {
			m.Created = base.Add(time.Duration(n) * time.Millisecond)
			if change != nil {
				change(m)
			}
		}).ID
	}
	a := at(1, nil)
	b := at(2, func(m *Meta) { m.ModelProvider = "other" })
	c := at(3, func(m *Meta) { m.Cwd = "/elsewhere" })
	d := at(4, func(m *Meta) { m.Source = jsontext.Value(`"exec"`) })
	e := at(5, func(m *Meta) { m.Source = jsontext.Value(`{"subagent":"review"}`) })
	f := at(6, nil)
	silent := newMeta(t)
	put(t, create(t, s, silent), Named("nobody has said anything"))
	if err := s.SetName(c, "Über names"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Archive(f); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		q    Query
		want []string
	}{
		"all":        {Query{}, []string{c, b, a}},
		"up":         {Query{Direction: protocol.SortAscending}, []string{a, b, c}},
		"provider":   {Query{ModelProviders: []string{"other"}}, []string{b}},
		"providers":  {Query{ModelProviders: []string{"other", "provider"}}, []string{c, b, a}},
		"cwd":        {Query{Cwds: []string{"/elsewhere", "/nowhere"}}, []string{c}},
		"exec":       {Query{SourceKinds: []string{"exec"}}, []string{d}},
		"review":     {Query{SourceKinds: []string{"subAgentReview", "exec"}}, []string{e, d}},
		"archived":   {Query{Archived: true}, []string{f}},
		"search":     {Query{Search: "QUESTION 1"}, []string{c, b, a}},
		"by name":    {Query{Search: "über"}, []string{c}},
		"not found":  {Query{Search: "zzz"}, []string{}},
		"two":        {Query{Limit: 2}, []string{c, b}},
		"all of one": {Query{ModelProviders: []string{"nobody"}}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, idsOf(list(t, s, tt.q))); diff != "" {
				t.Error(diff)
			}
		})
	}
	got := list(t, s, Query{Cwds: []string{"/elsewhere"}}).Entries[0].Thread()
	if got.Preview != "question 1" || got.Name == nil || *got.Name != "Über names" || got.Status.Type != protocol.StatusNotLoaded {
		t.Errorf("thread %s", asJSON(t, got))
	}
}

// TestPagesWhileThreadsAreAdded pages in both orders and directions while
// threads come, all within one second.
func TestPagesWhileThreadsAreAdded(t *testing.T) {
	for _, key := range []protocol.ThreadSortKey{protocol.SortCreatedAt, protocol.SortUpdatedAt} {
		for _, direction := range []protocol.SortDirection{protocol.SortAscending, protocol.SortDescending} {
			t.Run(fmt.Sprint(key, direction), func(t *testing.T) {
				s := New(t.TempDir())
				base := time.Now().Add(-time.Hour).Truncate(time.Second)
				n := 0
				add := func(after time.Duration) string {
					n++
					m := stored(t, s, func(m *Meta) { m.Created = base.Add(after) })
					p, err := s.Find(m.ID)
					if err != nil {
						t.Fatal(err)
					}
					if err := os.Chtimes(p.Path, base.Add(after), base.Add(after)); err != nil {
						t.Fatal(err)
					}
					return m.ID
				}
				want := []string{}
				for i := range 9 {
					// Two of each moment.
					want = append(want, add(time.Duration(100+i/2)*time.Millisecond))
				}
				q := Query{SortKey: key, Direction: direction, Limit: 2}
				seen := map[string]int{}
				var back string
				for pages := 0; ; pages++ {
					p := list(t, s, q)
					for _, e := range p.Entries {
						seen[e.Meta.ID]++
					}
					if pages == 1 {
						back = p.Back
					}
					if q.Cursor = p.Next; q.Cursor == "" {
						break
					}
					add(time.Duration(500-100*pages) * time.Millisecond)
				}
				for _, id := range want {
					if seen[id] != 1 {
						t.Errorf("thread %s was given %d times", id, seen[id])
					}
				}
				// Back again from the second page: its first thread, then the others.
				q.Direction, q.Cursor, q.Limit = map[protocol.SortDirection]protocol.SortDirection{"asc": "desc", "desc": "asc"}[direction], back, 0
				if p := list(t, s, q); len(p.Entries) < 3 {
					t.Errorf("%d threads before the second page", len(p.Entries))
				}
			})
		}
	}
}

func TestBadCursors(t *testing.T) {
	s := New(t.TempDir())
	stored(t, s, nil)
	stored(t, s, nil)
	good := list(t, s, Query{Limit: 1}).Next
	for _, c := range []string{"zzz", "%", "fHx8", good + "x", good[1:]} {
		if _, err := s.List(t.Context(), Query{Cursor: c}); !errors.Is(err, ErrCursor) {
			t.Errorf("cursor %q: %v", c, err)
		}
	}
	if _, err := s.List(t.Context(), Query{Cursor: good, SortKey: protocol.SortUpdatedAt}); !errors.Is(err, ErrCursor) {
		t.Errorf("cursor of another order: %v", err)
	}
}

// TestIndexIsOnlyACopy damages, removes and outdates the index.
func TestIndexIsOnlyACopy(t *testing.T) {
	home := t.TempDir()
	s := New(home)
	for range saveAfter {
		stored(t, s, nil)
	}
	want := idsOf(list(t, s, Query{}))
	index := filepath.Join(home, "app_server_index.json")
	good, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string) {
		t.Helper()
		if diff := cmp.Diff(want, idsOf(list(t, New(home), Query{}))); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	check("whole")
	for what, data := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)/2], "flipped": []byte(strings.Replace(string(good), "question", "answered", 1)),
		"other version": []byte(strings.Replace(string(good), `"version":1`, `"version":2`, 1)), "rubbish": []byte("\x00\xff"),
	} {
		if err := os.WriteFile(index, data, 0o600); err != nil {
			t.Fatal(err)
		}
		check(what)
		if p := list(t, New(home), Query{Search: "answered"}); len(p.Entries) > 0 {
			t.Errorf("%s: a damaged index was believed", what)
		}
	}
	if err := os.WriteFile(index, good, 0o600); err != nil {
		t.Fatal(err)
	}
	want = append([]string{stored(t, s, nil).ID}, want...)
	check("stale")
	p, err := s.Find(want[3])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(p.Path); err != nil {
		t.Fatal(err)
	}
	want = append(want[:3:3], want[4:]...)
	check("with a file gone")
	if diff := cmp.Diff(want, idsOf(list(t, s, Query{}))); diff != "" {
		t.Errorf("the same store: %s", diff)
	}
}

// TestGrownFile lists a thread whose first words come after a first look.
func TestGrownFile(t *testing.T) {
	s := New(t.TempDir())
	m := newMeta(t)
	w := create(t, s, m)
	put(t, w, Named("x"))
	if p := list(t, s, Query{}); len(p.Entries) != 0 {
		t.Fatalf("listed: %v", idsOf(p))
	}
	_, records := turnOf(1)
	put(t, w, records...)
	first := list(t, s, Query{}).Entries
	if len(first) != 1 || first[0].Preview != "question 1" {
		t.Fatalf("%+v", first)
	}
	_, records = turnOf(2)
	put(t, w, records...)
	later := list(t, s, Query{}).Entries
	if len(later) != 1 || later[0].Preview != "question 1" || later[0].Updated.Before(first[0].Updated) {
		t.Fatalf("%+v", later)
	}
}

func TestArchiveAndBack(t *testing.T) {
	s := New(t.TempDir())
	m := stored(t, s, nil)
	was, err := s.Find(m.ID)
	if err != nil {
		t.Fatal(err)
	}
	to, err := s.Archive(m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(s.home, archiveDir, filepath.Base(was.Path)); to != want {
		t.Errorf("archived as %s", to)
	}
	if _, err := s.Archive(m.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	readBack(t, s, m.ID)
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(to, old, old); err != nil {
		t.Fatal(err)
	}
	if to, err = s.Unarchive(m.ID); err != nil || to != was.Path {
		t.Errorf("unarchived as %s, %v", to, err)
	}
	if e := list(t, s, Query{}).Entries; len(e) != 1 || time.Since(e[0].Updated) > time.Minute {
		t.Errorf("%+v", e)
	}
	for _, id := range []string{newID(t), "zzz", ""} {
		if _, err := s.Archive(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestFork(t *testing.T) {
	s := New(t.TempDir())
	m := newMeta(t)
	w := create(t, s, m)
	var turns []protocol.Turn
	for n := range 4 {
		turn, records := turnOf(n, rawItem(t, everyKind[4]))
		put(t, w, records...)
		turns = append(turns, turn)
	}
	put(t, w, RolledBack(1), Named("the original"))
	_, open := turnOf(9)
	put(t, w, open[:4]...) // a turn that runs
	log := readBack(t, s, m.ID)

	fork := newMeta(t)
	f, err := s.Fork(t.Context(), log, -1, fork)
	if err != nil {
		t.Fatal(err)
	}
	next, records := turnOf(10)
	put(t, f, records...)
	f.Close()
	l := readBack(t, s, fork.ID)
	if l.Meta.ForkedFrom != m.ID || l.Meta.ID != fork.ID || l.Name != nil {
		t.Errorf("meta %+v", l.Meta)
	}
	got := allTurns(t, l)
	if len(got) != 5 || got[3].Status != protocol.TurnInterrupted {
		t.Fatalf("%d turns", len(got))
	}
	got = append(got[:3:3], got[4])
	if diff := cmp.Diff(asJSON(t, append(turns[:3:3], next)), asJSON(t, got)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(append(historyTexts(t, log), "question 10", "answer 10"), historyTexts(t, l)); diff != "" {
		t.Error(diff)
	}

	short := newMeta(t)
	if f, err = s.Fork(t.Context(), log, 2, short); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if diff := cmp.Diff(asJSON(t, turns[:2]), asJSON(t, allTurns(t, readBack(t, s, short.ID)))); diff != "" {
		t.Error(diff)
	}
}

func TestNamesAndGit(t *testing.T) {
	s := New(t.TempDir())
	a, b := newID(t), newID(t)
	if s.Name(a) != nil || s.Git(&Meta{ID: a}) != nil {
		t.Error("something is known of nothing")
	}
	for _, n := range []struct{ id, name string }{{a, "one"}, {b, "two\n"}, {a, "three"}} {
		if err := s.SetName(n.id, n.name); err != nil {
			t.Fatal(err)
		}
	}
	git := protocol.GitInfo{Branch: ptr("b")}
	if err := s.SetGit(a, git); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(s.names.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"id":"` + b + `","thread_na`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	other := New(s.home)
	if err := other.SetName(b, "four"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, other} {
		if n := s.Name(a); n == nil || *n != "three" {
			t.Errorf("name %v", n)
		}
		if n := s.Name(b); n == nil || *n != "four" {
			t.Errorf("name %v", n)
		}
		if diff := cmp.Diff(&git, s.Git(&Meta{ID: a})); diff != "" {
			t.Error(diff)
		}
	}
}

// TestNameGoesToTheFile names a thread that nobody has, and one that is loaded.
func TestNameGoesToTheFile(t *testing.T) {
	s := New(t.TempDir())
	m := stored(t, s, nil)
	if err := s.SetName(m.ID, "one"); err != nil {
		t.Fatal(err)
	}
	l := readBack(t, s, m.ID)
	if l.Name == nil || *l.Name != "one" || l.Unreadable > 0 || l.Len() != 1 {
		t.Errorf("%+v", l)
	}
	w, _, err := s.Continue(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetName(m.ID, "two"); err != nil {
		t.Fatal(err)
	}
	closeFast(t, w)
	if l := readBack(t, s, m.ID); *l.Name != "one" {
		t.Errorf("written beside the writer: %s", *l.Name)
	}
	if n := s.Name(m.ID); *n != "two" {
		t.Errorf("name %s", *n)
	}
}

// TestFoldersThatAreLinks keeps the threads on another disk.
func TestFoldersThatAreLinks(t *testing.T) {
	s := New(t.TempDir())
	id, archived := stored(t, s, nil).ID, stored(t, s, nil).ID
	if _, err := s.Archive(archived); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{sessionsDir, archiveDir} {
		at, elsewhere := filepath.Join(s.home, dir), filepath.Join(t.TempDir(), "elsewhere")
		if err := os.Rename(at, elsewhere); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(elsewhere, at); err != nil {
			t.Skip(err)
		}
	}
	for q, want := range map[bool]string{false: id, true: archived} {
		page := list(t, s, Query{Archived: q})
		if diff := cmp.Diff([]string{want}, idsOf(page)); diff != "" {
			t.Error(diff)
		}
		if at, err := s.Find(want); err != nil || at.Path != page.Entries[0].Path {
			t.Errorf("found %v, %v, listed %s", at, err, page.Entries[0].Path)
		}
	}
}
