package tools

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"app-server/internal/process"
	"app-server/protocol"
)

var sessionID = regexp.MustCompile(`Process running with session ID (\d+)`)

// session starts a command that outlives its call, since something else ends it,
// and returns its id. What it has printed by then nobody knows.
func session(t *testing.T, turn *Turn, cmd, more string) string {
	t.Helper()
	id, _ := sessionAnd(t, turn, cmd, more)
	return id
}

// sessionAnd returns what it has printed as well.
func sessionAnd(t *testing.T, turn *Turn, cmd, more string) (id, text string) {
	t.Helper()
	out := exec(turn, t.Context(), cmd, `,"yield_time_ms":250`+more)
	m := sessionID.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("the model got %q", out)
	}
	return m[1], printed(out)
}

// firstWords waits for output, and returns its first piece.
func firstWords(t *testing.T, h *fakeHost) string {
	t.Helper()
	return until[*protocol.CommandExecutionOutputDeltaNotification](t, h, "").Delta
}

// typeIn calls write_stdin.
func typeIn(turn *Turn, ctx context.Context, id, chars, more string) string {
	return turn.Run(ctx, Call{ID: "w1", Name: "write_stdin", Arguments: `{"session_id":` + id + `,"chars":` + string(encode(chars)) + more + `}`}).Text
}

// TestSession: what a session prints comes in pieces, its end completes the item
// before the model hears of it, and then it is forgotten.
func TestSession(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	turn := b.turn(h, never, full)
	id, text := sessionAnd(t, turn, "echo a; "+untilGo+"; echo b; exit 4", "")
	if got := firstWords(t, h); got != "a\n" {
		t.Errorf("delta %q", got)
	}
	b.letGo(t)
	out := typeIn(turn, t.Context(), id, "", waitLong)
	if !strings.Contains(out, "Process exited with code 4\n") || text+printed(out) != "a\nb\n" {
		t.Errorf("the model got %q, then %q", text, out)
	}
	started, done := h.command(t)
	if *started.ProcessID != id || *done.ProcessID != id || *done.ExitCode != 4 || *done.AggregatedOutput != "a\nb\n" {
		t.Errorf("completed %+v", done)
	}
	look := until[*protocol.TerminalInteractionNotification](t, h, "")
	if look.ProcessID != id || look.ItemID != "c1" || look.Stdin != "" {
		t.Errorf("terminalInteraction %+v", look)
	}
	if out := typeIn(turn, t.Context(), id, "", ""); !strings.Contains(out, "no command with session ID "+id) {
		t.Errorf("the model got %q", out)
	}
}

func TestSessionInput(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	turn := b.turn(h, never, full)
	id := session(t, turn, "cat", `,"tty":true`)
	first := typeIn(turn, t.Context(), id, "hello\n", "")
	if !strings.Contains(first, "session ID "+id) {
		t.Errorf("the model got %q", first)
	}
	last := typeIn(turn, t.Context(), id, "\x04", waitLong)
	if !strings.Contains(last, "exited with code 0") || printed(first)+printed(last) != "hello\r\nhello\r\n" {
		t.Errorf("the model got %q, then %q", first, last)
	}
	var typed []string
	for _, n := range values[*protocol.TerminalInteractionNotification](h, "") {
		typed = append(typed, n.Stdin)
	}
	if strings.Join(typed, "|") != "hello\n|\x04" {
		t.Errorf("typed %q", typed)
	}
}

func TestSessionWithoutInput(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	turn := b.turn(h, never, full)
	id := session(t, turn, "trap 'echo stopped; exit 5' INT; echo ready; while :; do sleep .05; done", "")
	firstWords(t, h)
	if out := typeIn(turn, t.Context(), id, "hello\n", ""); !strings.Contains(out, "Nothing was written") {
		t.Errorf("the model got %q", out)
	}
	if out := typeIn(turn, t.Context(), id, "\x03", waitLong); !strings.Contains(out, "exited with code 5") || !strings.Contains(out, "stopped") {
		t.Errorf("the model got %q", out)
	}
}

// TestSessionInputTold: the parent hears of input before whatever comes of it,
// also where the command ends by it at once.
func TestSessionInputTold(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	turn := b.turn(h, never, full)
	id := session(t, turn, "read x; echo got-$x", `,"tty":true`)
	if out := typeIn(turn, t.Context(), id, "bye\n", waitLong); !strings.Contains(out, "got-bye") {
		t.Errorf("the model got %q", out)
	}
	var order []string
	for _, e := range h.seen() {
		switch e.value.(type) {
		case *protocol.TerminalInteractionNotification:
			order = append(order, "typed")
		case *protocol.CommandExecutionOutputDeltaNotification:
			order = append(order, "printed")
		case *protocol.CommandExecutionItem:
			order = append(order, e.told)
		}
	}
	if want := []string{"started", "typed", "printed", ended}; !slices.Equal(slices.Compact(order), want) {
		t.Errorf("told %q, want %q", order, want)
	}
}

// slowHost lets a command end while the parent is told of its input.
type slowHost struct {
	*fakeHost
	x    *execution
	free bool // whether the end could have been told meanwhile
}

func (h *slowHost) Notify(method string, params any) {
	if method == protocol.MethodItemCommandExecutionTerminalInteraction {
		h.x.proc.Stop()
		<-h.x.proc.Done()
		if h.free = h.x.ending.TryLock(); h.free {
			h.x.ending.Unlock()
		}
	}
	h.fakeHost.Notify(method, params)
}

// TestSessionEndsWhileInputIsTold: nothing is told of a command after its end, which
// waits for what is being told.
func TestSessionEndsWhileInputIsTold(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	turn := b.turn(h, never, full)
	id := session(t, turn, "exec sleep 60", `,"tty":true`)
	n, err := strconv.Atoi(id)
	if err != nil {
		t.Fatal(err)
	}
	slow := &slowHost{fakeHost: h, x: turn.th.terminals.find(n)}
	turn.Host = slow
	typeIn(turn, t.Context(), id, "x\n", "")
	if slow.free {
		t.Error("the end did not wait")
	}
	seen := h.seen()
	if last := seen[len(seen)-1]; last.told != ended {
		t.Errorf("told at last: %+v", last)
	}
}

// TestSandboxedTerminal: a terminal and a sandbox at once.
func TestSandboxedTerminal(t *testing.T) {
	b := newBench(t)
	needSandbox(t, b)
	out := exec(b.turn(&fakeHost{}, never, readOnly), t.Context(), "stty size; test -t 0 && touch made", `,"tty":true`)
	if !strings.Contains(out, "24 80") || !strings.Contains(out, "Read-only") {
		t.Errorf("the model got %q", out)
	}
}

// TestOutlivesTurn: the end of a command is told though its turn is over.
func TestOutlivesTurn(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	session(t, b.turn(h, never, full), untilGo+"; echo late; exit 5", "")
	b.letGo(t)
	done := until[*protocol.CommandExecutionItem](t, h, ended)
	if *done.ExitCode != 5 || *done.AggregatedOutput != "late\n" || h.deltas() != "late\n" {
		t.Errorf("completed %+v", done)
	}
}

// alive tells whether a process runs.
func alive(t *testing.T, pid string) bool {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(pid))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" { // an ended one that nobody has reaped is not alive
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(n) + "/stat")
		return err == nil && !strings.Contains(string(stat), ") Z ")
	}
	p, err := os.FindProcess(n)
	return err == nil && p.Signal(syscall.Signal(0)) == nil
}

// gone waits until a process that was killed has ended, which nobody waits for in
// the system's place.
func gone(t *testing.T, pid string) bool {
	t.Helper()
	for limit := time.Now().Add(tooLong); alive(t, pid); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			return false
		}
	}
	return true
}

// TestStop: an interrupt ends the commands that its turn began, and no others.
func TestStop(t *testing.T) {
	b, mine, other := newBench(t), &fakeHost{}, &fakeHost{}
	before := b.turn(other, never, full)
	session(t, before, "sleep 600", "")
	turn := b.turn(mine, never, full)
	session(t, turn, "sleep 600 & echo $!; wait", "")
	pid := firstWords(t, mine)
	if !alive(t, pid) {
		t.Fatal("it does not run")
	}
	turn.Cut() // begins what Stop waits for
	turn.Stop()
	if _, done := mine.command(t); done.Status != protocol.ItemFailed || !gone(t, pid) {
		t.Errorf("completed %+v", done)
	}
	if len(values[*protocol.CommandExecutionItem](other, ended)) != 0 {
		t.Error("a command of another turn was ended")
	}
	b.th.CleanTerminals()
	if _, done := other.command(t); done.Status != protocol.ItemFailed {
		t.Errorf("completed %+v", done)
	}
}

// TestInterruptedCall: ctx ends the command that its call waits for.
func TestInterruptedCall(t *testing.T) {
	for _, call := range []Call{
		{ID: "c1", Name: "exec_command", Arguments: `{"cmd":"sleep 600 & echo $!; wait","login":false}`},
		{ID: "c1", Name: "shell_command", Arguments: `{"command":"sleep 600 & echo $!; wait","login":false,"timeout_ms":600000}`},
	} {
		t.Run(call.Name, func(t *testing.T) {
			b, h := newBench(t), &fakeHost{}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan Output)
			go func() { done <- b.turn(h, never, full).Run(ctx, call) }()
			pid := firstWords(t, h)
			cancel()
			<-done
			if _, item := h.command(t); item.Status != protocol.ItemFailed || !gone(t, pid) {
				t.Errorf("completed %+v", item)
			}
		})
	}
}

// TestClose: nothing outlives the thread, a child in a session of its own
// included, and all items end.
func TestClose(t *testing.T) {
	for _, policy := range []protocol.SandboxPolicyType{full, readOnly} {
		t.Run(string(policy), func(t *testing.T) {
			b, h := newBench(t), &fakeHost{}
			needSandbox(t, b)
			session(t, b.turn(h, never, policy), "setsid sh -c 'echo $$; sleep 600' & wait", "")
			pid := firstWords(t, h)
			b.th.Close()
			if _, done := h.command(t); done.Status != protocol.ItemFailed || !gone(t, pid) {
				t.Errorf("completed %+v", done)
			}
		})
	}
}

// TestRegistryClose: the end of the server ends sessions and their items, too.
func TestRegistryClose(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	session(t, b.turn(h, never, full), "sleep 600 & echo $!; wait", "")
	pid := firstWords(t, h)
	b.Close()
	if _, done := h.command(t); done.Status != protocol.ItemFailed || !gone(t, pid) {
		t.Errorf("completed %+v", done)
	}
	if out := exec(b.turn(&fakeHost{}, never, full), t.Context(), "true", ""); !strings.Contains(out, "about to end") {
		t.Errorf("the model got %q", out)
	}
}

// TestTooMany: the oldest session makes room for a new one, and a tool without
// sessions tells the model.
func TestTooMany(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	turn := b.turn(h, never, full)
	var running []*process.Process
	for range process.MaxRunning - 1 {
		p, err := b.o.Processes.Start(process.Spec{Argv: []string{"/bin/sleep", "60"}, Owner: "thread"})
		if err != nil {
			t.Fatal(err)
		}
		running = append(running, p)
	}
	first := session(t, turn, "sleep 600", "")
	session(t, turn, "sleep 600", "")
	if done := until[*protocol.CommandExecutionItem](t, h, ended); *done.ProcessID != first {
		t.Errorf("session %s was ended, not %s", *done.ProcessID, first)
	}
	out := turn.Run(t.Context(), Call{ID: "c2", Name: "shell_command", Arguments: `{"command":"true"}`}).Text
	if !strings.Contains(out, "64 commands of this thread are running") {
		t.Errorf("the model got %q", out)
	}
	for _, p := range running {
		p.Stop()
	}
}

// TestParallel runs many commands at once on two threads, and leaves nothing.
func TestParallel(t *testing.T) {
	b := newBench(t)
	other := b.Open(ThreadOptions{ID: "other"})
	defer other.Close()
	needSandbox(t, b)
	exec(b.turn(&fakeHost{}, never, readOnly), t.Context(), "true", "") // the probe and the spawning thread are there from now on
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	const commands = 40
	results := make(chan error, commands)
	for i := range commands {
		go func() {
			h := &fakeHost{}
			turn := b.turn(h, never, readOnly)
			if i%2 == 0 {
				turn = other.Begin("turn", turn.Env, h)
			}
			out := exec(turn, t.Context(), fmt.Sprintf("echo out-%d", i), waitLong)
			if want := fmt.Sprintf("out-%d\n", i); !strings.HasSuffix(out, "\n"+want) || h.deltas() != want || h.seen()[len(h.seen())-1].told != ended {
				results <- fmt.Errorf("%d: the model got %q, the parent %q", i, out, h.deltas())
				return
			}
			results <- nil
		}()
	}
	for range commands {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	for limit := time.Now().Add(tooLong); runtime.NumGoroutine() > goroutines || openFiles(t) > files; runtime.Gosched() {
		if time.Now().After(limit) {
			t.Fatalf("%d goroutines and %d files, before %d and %d", runtime.NumGoroutine(), openFiles(t), goroutines, files)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	list, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
