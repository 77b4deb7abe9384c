package session

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

// shown is a thread's turns as thread/read tells them, one a text.
func (w *world) shown() (turns []string) {
	w.t.Helper()
	r, err := w.ReadThread(w.t.Context(), &protocol.ThreadReadParams{ThreadID: w.thread, IncludeTurns: true})
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range r.Thread.Turns {
		raw, err := json.Marshal(r.Thread.Turns[i], json.Deterministic(true), jsontext.WithIndent(" "))
		if err != nil {
			w.t.Fatal(err)
		}
		turns = append(turns, string(raw))
	}
	return turns
}

// inMemory is how many turns of the thread are in memory.
func (w *world) inMemory() (n int) {
	th := w.live(w.thread)
	if err := th.do(w.t.Context(), func() { n = len(th.turns) }); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestTurnsPutAway: a thread that goes on for long does not keep its turns in
// memory, and shows them as before, also after some were taken back.
func TestTurnsPutAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "")
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		want := []string{}
		speak := func(turns int) {
			for range turns {
				w.ok(fmt.Sprint("words ", len(want)))
				now := w.shown()
				if len(now) != len(want)+1 {
					t.Fatalf("%d turns, want %d", len(now), len(want)+1)
				}
				if d := cmp.Diff(want, now[:len(want)]); d != "" {
					t.Fatal(d)
				}
				want = now
				synctest.Wait()
				if n := w.inMemory(); n >= maxRecent {
					t.Fatalf("%d turns in memory", n)
				}
			}
		}
		back := func(turns uint32) {
			_, _, err := w.RollbackThread(t.Context(), &protocol.ThreadRollbackParams{ThreadID: w.thread, NumTurns: turns})
			if err != nil {
				t.Fatal(err)
			}
			want = want[:len(want)-int(turns)]
			if d := cmp.Diff(want, w.shown()); d != "" {
				t.Fatal(d)
			}
		}
		speak(2*maxRecent + 5)
		back(3)              // of those in memory
		speak(2 * maxRecent) // from there on
		back(maxRecent + 9)  // of those on the disk
		speak(maxRecent + 1)
		r, err := w.ListTurns(t.Context(), decode[protocol.ThreadTurnsListParams](t, `{"threadId":"`+w.thread+`","limit":100,"sortDirection":"asc"}`))
		if err != nil || len(r.Data) != len(want) {
			t.Errorf("%d turns listed, want %d (%v)", len(r.Data), len(want), err)
		}
		w.Shutdown(t.Context())
		v := newStored(t, w.home)
		defer v.Shutdown(t.Context())
		v.thread = w.thread
		if d := cmp.Diff(want, v.shown()); d != "" {
			t.Error(d)
		}
	})
}

// TestItemAfterPutAway: a command in the background ends when its turn is in the
// file only.
func TestItemAfterPutAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "")
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("one")
		th := w.live(w.thread)
		old := &turn{th: th}
		if err := th.do(t.Context(), func() { old.id, old.record = th.turns[0].ID, th.turns[0] }); err != nil {
			t.Fatal(err)
		}
		more := func() {
			for range maxRecent {
				w.ok("more")
			}
		}
		more()
		before := w.shown()
		old.itemCompleted(protocol.NewAgentMessage("late", "It has ended.", nil))
		for range 3 { // when it is in memory only, and when it is in the past as well
			now := w.shown()
			if d := cmp.Diff(before[1:], now[1:len(before)]); d != "" {
				t.Error(d)
			}
			var first struct{ Items []struct{ ID string } }
			if err := json.Unmarshal([]byte(now[0]), &first, json.MatchCaseInsensitiveNames(true)); err != nil {
				t.Fatal(err)
			}
			if n := len(first.Items); n != 3 || first.Items[2].ID != "late" {
				t.Errorf("items %v", first.Items)
			}
			more()
		}
		if len(th.late) != 0 {
			t.Errorf("%d late items still in memory", len(th.late))
		}
	})
}

// TestAtTheEndOfATurn: a parent that has heard of a turn's end can take it back and
// fork it, also while the turn has yet to give way.
func TestAtTheEndOfATurn(t *testing.T) {
	for name, tt := range map[string]struct {
		start string
		ask   func(w *world) error
		want  []string // what the model knows of with the next words
	}{
		"rollback": {`{}`, func(w *world) error {
			_, _, err := w.RollbackThread(w.t.Context(), &protocol.ThreadRollbackParams{ThreadID: w.thread, NumTurns: 1})
			return err
		}, []string{"user: one", "assistant: more", "user: three"}},
		"fork in memory": {`{"ephemeral":true}`, func(w *world) error {
			r, _, err := w.ForkThread(w.t.Context(), decode[protocol.ThreadForkParams](w.t, `{"threadId":"`+w.thread+`","ephemeral":true}`))
			w.thread = r.Thread.ID
			return err
		}, []string{"user: one", "assistant: more", "user: two", "assistant: more", "user: three"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newStored(t, "")
				defer w.Shutdown(t.Context())
				w.start(tt.start)
				w.ok("one")
				synctest.Wait()
				asked := make(chan error, 1)
				w.parent.hold = func(_ context.Context, method string) error {
					if method == protocol.MethodTurnCompleted && len(asked) == 0 {
						go func() { asked <- tt.ask(w) }() // ends once the turn has given way
						time.Sleep(time.Second)
					}
					return nil
				}
				w.ok("two")
				if err := <-asked; err != nil {
					t.Fatal(err)
				}
				asked <- nil
				w.ok("three")
				if d := cmp.Diff(tt.want, said(w.model.request(-1))); d != "" {
					t.Error(d)
				}
			})
		})
	}
}
