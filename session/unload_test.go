package session

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"app-server/internal/rollout"
	"app-server/protocol"
)

func (w *world) unsubscribe(want protocol.ThreadUnsubscribeStatus) {
	w.t.Helper()
	r, err := w.Unsubscribe(w.t.Context(), &protocol.ThreadUnsubscribeParams{ThreadID: w.thread})
	if err != nil || r.Status != want {
		w.t.Errorf("Unsubscribe = %v %v, want %s", r, err, want)
	}
}

// TestUnloaded: of an unloaded thread nothing is left but its file, which any
// server may take.
func TestUnloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "")
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("one")
		w.unsubscribe(protocol.Unsubscribed)
		time.Sleep(unloadAfter - time.Second)
		w.ok("two") // which makes the parent listen again
		time.Sleep(2 * unloadAfter)
		if w.live(w.thread) == nil {
			t.Fatal("unloaded while the parent listens")
		}
		w.unsubscribe(protocol.Unsubscribed)
		time.Sleep(unloadAfter)
		w.parent.until(t, protocol.MethodThreadClosed)
		if r, err := w.LoadedThreads(t.Context(), &protocol.ThreadLoadedListParams{}); err != nil || len(r.Data) != 0 {
			t.Errorf("still loaded: %v, %v", r.Data, err)
		}
		w.unsubscribe(protocol.NotLoaded)
		writer, log, err := rollout.New(w.home).Continue(t.Context(), w.thread)
		if err != nil || log.Len() != 2 {
			t.Fatalf("%v, %v", log, err)
		}
		if err := writer.Close(); err != nil {
			t.Error(err)
		}
		if _, _, err := w.StartTurn(t.Context(), &protocol.TurnStartParams{ThreadID: w.thread}); reason(err) != protocol.ReasonThreadNotFound {
			t.Errorf("turn of an unloaded thread: %v", err)
		}
		w.resume(`{"threadId":"` + w.thread + `"}`)
		w.ok("three")
	})
}

// TestResumeWhileUnloading: whoever asks for a thread at the moment it is unloaded
// gets it loaded again, or as it was, and hears of its end before.
func TestResumeWhileUnloading(t *testing.T) {
	w := newStored(t, "")
	defer w.Shutdown(t.Context())
	w.start(`{}`)
	w.ok("one")
	for range 20 {
		w.unsubscribe(protocol.Unsubscribed)
		th := w.live(w.thread)
		var wg sync.WaitGroup
		wg.Go(th.expire)
		w.resume(`{"threadId":"` + w.thread + `"}`)
		wg.Wait()
	}
	w.resume(`{"threadId":"` + w.thread + `"}`)
	told := w.parent.all(protocol.MethodThreadClosed, protocol.MethodThreadStatusChanged)
	for i, n := range told {
		if n.Method == protocol.MethodThreadClosed && (i+1 == len(told) || told[i+1].get("status.type") != string(protocol.StatusIdle)) {
			t.Error("closed, and not loaded since then")
		}
	}
	w.ok("two")
}

// TestAskedWhileUnloading: what can be asked of a stored thread can be asked at the
// moment it is unloaded, too.
func TestAskedWhileUnloading(t *testing.T) {
	for name, ask := range map[string]func(w *world) error{
		"archive": func(w *world) error {
			_, _, err := w.ArchiveThread(w.t.Context(), &protocol.ThreadArchiveParams{ThreadID: w.thread})
			if err == nil {
				_, _, err = w.UnarchiveThread(w.t.Context(), &protocol.ThreadUnarchiveParams{ThreadID: w.thread})
			}
			return err
		},
		"name": func(w *world) error {
			_, _, err := w.NameThread(w.t.Context(), &protocol.ThreadSetNameParams{ThreadID: w.thread, Name: "n"})
			return err
		},
		"metadata": func(w *world) error {
			_, err := w.UpdateMetadata(w.t.Context(), decode[protocol.ThreadMetadataUpdateParams](w.t, `{"threadId":"`+w.thread+`","gitInfo":{"branch":"b"}}`))
			return err
		},
		"fork": func(w *world) error {
			_, _, err := w.ForkThread(w.t.Context(), &protocol.ThreadForkParams{ThreadID: w.thread})
			return err
		},
		"read": func(w *world) error {
			_, err := w.ReadThread(w.t.Context(), &protocol.ThreadReadParams{ThreadID: w.thread, IncludeTurns: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newStored(t, "")
			defer w.Shutdown(t.Context())
			w.start(`{}`)
			w.ok("one")
			for range 20 {
				w.unsubscribe(protocol.Unsubscribed)
				var wg sync.WaitGroup
				wg.Go(w.live(w.thread).expire)
				if err := ask(w); err != nil {
					t.Error(err)
				}
				wg.Wait()
				w.resume(`{"threadId":"` + w.thread + `"}`)
			}
		})
	}
}

// TestShutdownBesideUnload: the end of the server and that of a thread meet.
func TestShutdownBesideUnload(t *testing.T) {
	for range 20 {
		w := newStored(t, "")
		w.start(`{}`)
		w.ok("one")
		th := w.live(w.thread)
		var wg sync.WaitGroup
		wg.Go(func() { w.unload(th, always) })
		w.Shutdown(t.Context())
		wg.Wait()
		if n := len(w.parent.all(protocol.MethodTurnCompleted)); n != 1 {
			t.Errorf("%d turns completed", n)
		}
	}
}

// TestInjectBesideCompaction: items that come while the history is summed up are
// in the history that takes its place, here and in the file.
func TestInjectBesideCompaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		w := newStored(t, "", say("ans"), reply{gate, messageDone("s", "SUM"), completed()}, say("more"))
		w.start(`{}`)
		w.ok("one")
		_, then, err := w.CompactThread(t.Context(), &protocol.ThreadCompactStartParams{ThreadID: w.thread})
		if err != nil {
			t.Fatal(err)
		}
		then()
		synctest.Wait()
		items := decode[protocol.ThreadInjectItemsParams](t, `{"threadId":"`+w.thread+`","items":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"HINT"}]}]}`)
		if _, err := w.InjectItems(t.Context(), items); err != nil {
			t.Fatal(err)
		}
		close(gate)
		w.parent.until(t, protocol.MethodTurnCompleted)
		w.ok("two")
		w.Shutdown(t.Context())
		v := newStored(t, w.home)
		defer v.Shutdown(t.Context())
		v.resume(`{"threadId":"` + w.thread + `"}`)
		v.ok("three")
		for name, r := range map[string]*world{"here": w, "in the file": v} {
			hints := 0
			for _, raw := range r.model.request(-1).Input {
				hints += strings.Count(string(raw), "HINT")
			}
			if hints != 1 {
				t.Errorf("%s: %d hints", name, hints)
			}
		}
	})
}

// TestArchiveBeforeStart: a turn whose id was handed out comes to its end, also
// where its thread is put away before the turn could begin. A thread's own
// requests come one after another, but the turn of a detached review begins in
// another thread than the one that was asked.
func TestArchiveBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStored(t, "")
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("one")
		r, then, err := w.StartTurn(t.Context(), &protocol.TurnStartParams{ThreadID: w.thread, Input: text("two")})
		if err != nil {
			t.Fatal(err)
		}
		_, archived, err := w.ArchiveThread(t.Context(), &protocol.ThreadArchiveParams{ThreadID: w.thread})
		if err != nil {
			t.Fatal(err)
		}
		archived()
		then()
		end := w.parent.until(t, protocol.MethodTurnCompleted)
		for end.get("turn.id") != r.Turn.ID {
			end = w.parent.until(t, protocol.MethodTurnCompleted)
		}
		if end.get("turn.status") != "interrupted" {
			t.Errorf("ended as %s", end.Params)
		}
	})
}
