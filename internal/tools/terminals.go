package tools

import (
	"context"
	"sync"
	"time"

	"app-server/internal/process"
)

// terminals are the commands of a thread that have outlived their call, by the
// id of their process. The zero value has none.
type terminals struct {
	mu   sync.Mutex
	list map[int]*terminal
}

// terminal is such a command. used is when it was last looked at.
type terminal struct {
	x    *execution
	used time.Time
}

// leave hands a command over to the thread. Its item is completed at its end,
// which is right away where ctx has ended.
func (x *execution) leave(ctx context.Context) {
	th := x.t.th
	th.terminals.add(x)
	th.r.watch(func() {
		<-x.proc.Done()
		x.conclude()
	})
	if ctx.Err() != nil { // a Stop of the turn may have looked before it was there
		x.proc.Stop()
		<-x.done
	}
}

// watch runs a function beside everything else, which Close waits for.
func (r *Registry) watch(f func()) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		f() // all commands have been told to end, so this is short
		return
	}
	r.watchers.Add(1)
	r.mu.Unlock()
	go func() {
		defer r.watchers.Done()
		f()
	}()
}

func (ts *terminals) add(x *execution) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.list == nil {
		ts.list = map[int]*terminal{}
	}
	th := x.t.th
	for id, t := range ts.list { // ended ones that nobody has asked about for long
		if _, known := th.r.o.Processes.Get(th.o.ID, id); !known && t.x.ended() {
			delete(ts.list, id)
		}
	}
	ts.list[x.proc.ID()] = &terminal{x: x, used: time.Now()}
}

// find returns a command for a look at it, nil for an unknown one.
func (ts *terminals) find(id int) *execution {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t, ok := ts.list[id]
	if !ok {
		return nil
	}
	t.used = time.Now()
	return t.x
}

// forget takes a command off that has ended and been told of.
func (ts *terminals) forget(id int) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.list, id)
}

// cut tells the commands that a condition picks to end, and returns them.
func (ts *terminals) cut(pick func(*execution) bool) (picked []*execution) {
	ts.mu.Lock()
	for _, t := range ts.list {
		if pick(t.x) {
			picked = append(picked, t.x)
		}
	}
	ts.mu.Unlock()
	for _, x := range picked {
		x.proc.Stop()
	}
	return picked
}

// stop is cut, and waits until the items are completed.
func (ts *terminals) stop(pick func(*execution) bool) {
	for _, x := range ts.cut(pick) {
		<-x.done
	}
}

// endIdle ends the running command that was looked at longest ago, to make room
// for another one.
func (ts *terminals) endIdle() bool {
	ts.mu.Lock()
	var oldest *terminal
	for _, t := range ts.list {
		if !t.x.ended() && (oldest == nil || t.used.Before(oldest.used)) {
			oldest = t
		}
	}
	ts.mu.Unlock()
	if oldest == nil {
		return false
	}
	oldest.x.proc.Stop()
	<-oldest.x.done
	return true
}

// ended reports whether the item is completed.
func (x *execution) ended() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

// take takes the output since the last look. Where the command has ended, its
// item is completed, and the thread forgets it.
func (x *execution) take() (fresh process.Text, ended bool) {
	fresh, ended = x.proc.Take()
	if ended {
		<-x.done
		x.t.th.terminals.forget(x.proc.ID())
	}
	return fresh, ended
}

// CleanTerminals ends the commands that have outlived their call, and returns
// when their items are completed.
func (t *Thread) CleanTerminals() { t.terminals.stop(func(*execution) bool { return true }) }

// Cut tells the commands that this turn began and that have outlived their call to
// end, as an interrupt wants it. It waits for nothing. The calls themselves end with
// their contexts.
func (t *Turn) Cut() { t.th.terminals.cut(t.began) }

// Stop is Cut, and returns when the items are completed.
func (t *Turn) Stop() { t.th.terminals.stop(t.began) }

func (t *Turn) began(x *execution) bool { return x.t == t }
