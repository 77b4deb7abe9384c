package process

import (
	"time"
)

// guardAfter is how long a command runs before the watcher is told of it. Most
// commands are shorter and cost nothing.
const guardAfter = 100 * time.Millisecond

// groupTick is how often an ending group is looked at.
const groupTick = 4 * time.Millisecond

// supervise owns the process from its start to the moment when nothing of it
// is left. It alone sends signals, and only while the number of the process
// cannot have passed to another one.
func (p *Process) supervise() {
	defer p.m.wg.Done()
	pid := p.cmd.Process.Pid
	left := make(chan struct{})
	go func() { // ends with the process
		defer close(left)
		awaitExit(p.cmd)
	}()

	guard := time.NewTimer(guardAfter)
	defer guard.Stop()
	var timeout, kill <-chan time.Time
	var killAt time.Time
	if p.spec.Timeout > 0 {
		t := time.NewTimer(p.spec.Timeout)
		defer t.Stop()
		timeout = t.C
	}
	guarded := false
	cause := Exited
	end := func(c Cause, grace time.Duration) {
		if hasExited(p.cmd) { // by itself, which we are about to hear
			return
		}
		if cause == Exited {
			cause = c
			terminate(pid)
		}
		// Who asks once more gets nothing but an earlier end.
		if at := time.Now().Add(grace); kill == nil || at.Before(killAt) {
			kill, killAt = time.After(grace), at
		}
	}
	for running := true; running; {
		select {
		case <-left:
			running = false
		case grace := <-p.stops:
			end(Stopped, grace)
		case <-timeout:
			end(TimedOut, stopGrace)
		case <-kill:
			killGroup(pid)
			killMarked(p.m.markOf(p))
			kill = nil
		case sig := <-p.signals:
			signalGroup(pid, sig)
		case <-guard.C:
			p.m.guard.add(pid)
			guarded = true
		}
	}
	duration := time.Since(p.born)

	// Children of a command that ended by itself are not waited for. Those of
	// one that was told to end have the rest of the grace, as it had.
	if kill == nil {
		killGroup(pid)
	} else {
		awaitGroup(pid, kill)
	}
	if cause != Exited {
		killMarked(p.m.markOf(p))
	}
	if guarded {
		p.m.guard.remove(pid)
	}
	reap(p.cmd) // from here on the number may be another's
	p.reader.end()
	<-p.reader.done
	p.reader.file.Close()
	p.finish(cause, duration)
}

// awaitGroup waits until nothing of a group runs, and kills it when the grace is
// over.
func awaitGroup(pgid int, kill <-chan time.Time) {
	tick := time.NewTicker(groupTick)
	defer tick.Stop()
	for groupAlive(pgid) {
		select {
		case <-kill:
			killGroup(pgid)
			return
		case <-tick.C:
		}
	}
}

func (p *Process) finish(cause Cause, duration time.Duration) {
	code := exitCode(p.cmd.ProcessState)
	if cause == TimedOut {
		code = exitTimeout
	}
	p.mu.Lock()
	p.result = Result{
		Output: p.kept.text(), ExitCode: code, Duration: duration, Cause: cause,
	}
	p.mu.Unlock()
	p.outCancel()
	if p.spec.Ended != nil {
		p.spec.Ended()
	}
	close(p.done)
}
