package session

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"app-server/protocol"
)

// unloadAfter is how long a thread that the parent does not listen to stays
// loaded without a turn, as in the reference.
const unloadAfter = 30 * time.Minute

// Unsubscribe handles thread/unsubscribe: the parent hears nothing more of the
// thread but its status, until it resumes the thread or begins a turn. Once no
// turn has run for half an hour the thread is unloaded.
func (m *Manager) Unsubscribe(ctx context.Context, p *protocol.ThreadUnsubscribeParams) (r protocol.ThreadUnsubscribeResponse, err error) {
	if _, err := uuid.Parse(p.ThreadID); err != nil {
		return r, errThreadID
	}
	r.Status = protocol.NotLoaded
	t := m.live(p.ThreadID)
	if t == nil {
		return r, nil
	}
	return r, t.do(ctx, func() {
		if r.Status = protocol.NotSubscribed; !t.silent.Swap(true) {
			r.Status = protocol.Unsubscribed
			t.restLater()
		}
	})
}

// subscribe makes the parent hear of the thread. It runs on the thread's
// goroutine.
func (t *thread) subscribe() {
	t.silent.Store(false)
	t.restLater()
}

// restLater begins or ends the wait for the end of a thread that nobody listens
// to. It runs on the thread's goroutine.
func (t *thread) restLater() {
	if t.rest != nil {
		t.rest.Stop()
		t.rest = nil
	}
	if !t.silent.Load() || t.current != nil || t.next != nil || t.closing {
		return
	}
	var timer *time.Timer
	// The timer's goroutine ends when the thread has taken this up, or has ended.
	timer = time.AfterFunc(unloadAfter, func() {
		t.post(func() {
			if t.rest == timer {
				t.m.wg.Go(t.expire)
			}
		})
	})
	t.rest = timer
}

// expire unloads a thread that was idle for long.
func (t *thread) expire() { t.m.unload(t, whileSilent) }

// unloadWhen says in which state a thread is unloaded.
type unloadWhen int

const (
	always      unloadWhen = iota // a turn that runs is interrupted
	whileSilent                   // only if nobody listens and no turn runs
)

// unload ends a thread: its turn, its goroutine, its commands, and its hold on its
// file. It waits for all of that, and tells it: before that, nobody can load the
// thread again, so that the parent hears of both in their order. It reports whether
// it has done so: not while the server shuts down, which does the same, nor where
// another call does it.
func (m *Manager) unload(t *thread, when unloadWhen) bool {
	mine := false
	err := t.do(m.base, func() {
		if when == whileSilent && (!t.silent.Load() || t.current != nil || t.next != nil) {
			return
		}
		m.mu.Lock()
		if mine = !m.shuttingDown() && t.left == nil; mine {
			t.left = make(chan struct{})
		}
		m.mu.Unlock()
		if mine {
			t.close()
		}
	})
	if err != nil || !mine {
		return false
	}
	<-t.gone
	t.tools.Close()
	t.shut()
	m.notify(m.base, protocol.MethodThreadStatusChanged, &protocol.ThreadStatusChangedNotification{
		ThreadID: t.id, Status: protocol.ThreadStatus{Type: protocol.StatusNotLoaded},
	})
	if when == whileSilent {
		m.notify(m.base, protocol.MethodThreadClosed, &protocol.ThreadClosedNotification{ThreadID: t.id})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.threads, t.id)
	m.order = slices.DeleteFunc(m.order, func(other *thread) bool { return other == t })
	close(t.left)
	return true
}

// leaving reports whether the thread is being unloaded, or was.
func (t *thread) leaving() bool {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	return t.left != nil
}

// missed reports whether err, of work for the thread, is that the thread is being
// unloaded. It waits for the end of that: what is stored can be used then.
func (t *thread) missed(err error) bool {
	return err != nil && t.leaving() && t.m.live(t.id) == nil
}

// over is the error for a thread that takes nothing more.
func (t *thread) over() error {
	if t.leaving() {
		return errNotLoaded(t.id)
	}
	return errShuttingDown
}
