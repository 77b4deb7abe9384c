//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/fake"
	"app-server/protocol"
)

const (
	// leakCalls is how many tool calls the measured turn makes, in responses of
	// leakBatch. The turn before it, which makes what is made once and kept, is
	// one such response.
	leakCalls, leakBatch = 200, 20
	// leakSlack is how much more memory may be resident after the measured turn,
	// in KiB: its history, half a MiB, what the collector has not given back yet,
	// and first uses. raceFactor is what the race detector makes of it.
	leakSlack, raceFactor = 12 << 10, 3
	// settleTime is how long what ends by itself may take to be gone.
	settleTime = time.Minute
)

// leakKinds are the kinds of calls, of which a response has two each: patches that
// fit and that do not, a plan, a call that cannot be run, and commands that succeed
// and fail, with pipes and on a terminal, with children left behind, with a time
// limit, and going on in the background. NUMBER is the number of the call, MARK a
// word by which its processes are found.
var leakKinds = [leakBatch / 2]func(id string, n int, mark string) fake.Step{
	func(id string, n int, _ string) fake.Step {
		return fake.CustomCall(id, "apply_patch", fmt.Sprintf("*** Begin Patch\n*** Add File: file-%d\n+text\n*** End Patch", n))
	},
	func(id string, n int, _ string) fake.Step {
		return fake.CustomCall(id, "apply_patch", "*** Begin Patch\n*** Update File: missing\n@@\n-a\n+b\n*** End Patch")
	},
	function("update_plan", `{"plan":[{"step":"number NUMBER","status":"in_progress"}]}`),
	function("no_such_tool", `{"number":NUMBER,"mark":"MARK"}`),
	function("exec_command", `{"cmd":"echo NUMBER","login":false}`),
	function("exec_command", `{"cmd":"echo NUMBER; exit 3","login":false}`),
	function("exec_command", `{"cmd":"sleep MARK & (sleep MARK; true) & cat /no/such/file","login":false}`),
	function("exec_command", `{"cmd":"head -c 5000 /dev/zero | tr '\\0' x","tty":true,"login":false}`),
	function("shell", `{"command":["sleep","MARK"],"timeout_ms":20}`),
	function("exec_command", `{"cmd":"sleep MARK","yield_time_ms":250,"login":false}`),
}

func function(name, arguments string) func(string, int, string) fake.Step {
	return func(id string, n int, mark string) fake.Step {
		return fake.FunctionCall(id, name, strings.NewReplacer("NUMBER", strconv.Itoa(n), "MARK", mark).Replace(arguments))
	}
}

// TestNothingLeaks runs a turn of 200 tool calls. Afterwards there is no file
// descriptor, process or goroutine that was not there before, and memory is about
// as it was.
func TestNothingLeaks(t *testing.T) {
	if testing.Short() {
		t.Skip("runs some hundred processes")
	}
	t.Run("child", func(t *testing.T) {
		server := serverBinary(t)
		var pid int
		l := startLeaks(t, func(l fake.Launch) (*fake.Process, error) {
			l.Path, l.Args = server, []string{leadingWord}
			p, err := fake.StartChild(l)
			if err == nil {
				pid = p.PID
			}
			return p, err
		})
		l.turn(t, leakBatch)
		files, memory := openFiles(t, pid), resident(t, pid)
		l.turn(t, leakCalls)
		settles(t, "open files", files, func() int { return openFiles(t, pid) })
		settles(t, "processes", 0, func() int { return children(t, pid) + marked(t, l.mark) })
		slack := leakSlack
		if raceEnabled {
			slack *= raceFactor
		}
		settles(t, "KiB of resident memory, with slack", memory+slack, func() int { return resident(t, pid) })
	})
	t.Run("process", func(t *testing.T) {
		l := startLeaks(t, func(l fake.Launch) (*fake.Process, error) { return startInProcess(l, nil) })
		l.turn(t, leakBatch)
		goroutines, files := runtime.NumGoroutine(), openFiles(t, os.Getpid())
		l.turn(t, leakCalls)
		settles(t, "goroutines", goroutines, runtime.NumGoroutine)
		settles(t, "open files", files, func() int { return openFiles(t, os.Getpid()) })
		settles(t, "processes", 0, func() int { return marked(t, l.mark) })
	})
}

// leaks is a server with a thread, and the model that calls its tools.
type leaks struct {
	backend *fake.Backend
	parent  *fake.Parent
	thread  string
	ended   chan protocol.Turn
	mark    string
	calls   int
}

func startLeaks(t *testing.T, start func(fake.Launch) (*fake.Process, error)) *leaks {
	t.Helper()
	home, project := t.TempDir(), t.TempDir()
	// Seconds that no other sleep takes.
	l := &leaks{backend: fake.NewBackend(), ended: make(chan protocol.Turn, 1), mark: fmt.Sprintf("77%d%d", os.Getpid(), time.Now().UnixNano()%1000)}
	endpoint, err := l.backend.ListenLoopback()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.backend.Close)
	t.Cleanup(endpoint.Close)
	config := fmt.Sprintf("model_provider = \"mock\"\nweb_search = \"disabled\"\n[model_providers.mock]\nname = \"Mock\"\nbase_url = \"%s/v1\"\n", endpoint.URL)
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	process, err := start(fake.Launch{Dir: project, Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "CODEX_HOME=" + home}})
	if err != nil {
		t.Fatal(err)
	}
	l.parent = fake.NewParent(process, fake.ParentOptions{Notification: func(method string, params jsontext.Value) {
		var n protocol.TurnCompletedNotification
		if method == protocol.MethodTurnCompleted && json.Unmarshal(params, &n) == nil {
			l.ended <- n.Turn
		}
	}})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), settleTime)
		defer cancel()
		if code, err := l.parent.Close(ctx); code != 0 || err != nil {
			t.Errorf("end of the server: code %d, %v\n%s", code, err, l.parent.Stderr())
		}
	})
	l.call(t, protocol.MethodInitialize, map[string]any{"clientInfo": map[string]any{"name": "leaks", "version": "1"}, "capabilities": map[string]any{"experimentalApi": true}}, nil)
	if err := l.parent.Notify("initialized", nil); err != nil {
		t.Fatal(err)
	}
	var started protocol.ThreadStartResponse
	l.call(t, protocol.MethodThreadStart, map[string]any{"model": "gpt-5.2", "sandbox": "workspace-write", "approvalPolicy": "never"}, &started)
	l.thread = started.Thread.ID
	return l
}

func (l *leaks) call(t *testing.T, method string, params, result any) {
	t.Helper()
	if err := l.parent.Call(t.Context(), method, params, result); err != nil {
		t.Fatal(err)
	}
}

// turn runs a turn of so many calls, and ends the commands that it leaves in the
// background.
func (l *leaks) turn(t *testing.T, calls int) {
	t.Helper()
	for done := 0; done < calls; done += leakBatch {
		steps := []fake.Step{fake.Created("r")}
		for range leakBatch {
			kind := leakKinds[l.calls%leakBatch/2]
			steps = append(steps, kind(fmt.Sprintf("call-%d", l.calls), l.calls, l.mark))
			l.calls++
		}
		l.backend.Add(fake.Stream(append(steps, fake.Completed("r", fake.Usage{}))...))
	}
	l.backend.Add(fake.Stream(fake.Answer(1, "Done.")...))
	asked := len(l.backend.Requests())
	l.call(t, protocol.MethodTurnStart, map[string]any{"threadId": l.thread, "input": []any{map[string]any{"type": "text", "text": "go"}}}, nil)
	select {
	case turn := <-l.ended:
		if turn.Status != protocol.TurnCompleted {
			t.Fatalf("the turn ended as %s: %v", turn.Status, turn.Error)
		}
	case <-l.parent.Gone():
		t.Fatalf("the server has ended: %s", l.parent.Stderr())
	case <-t.Context().Done():
		t.Fatal("the turn did not end")
	}
	requests := l.backend.Requests()[asked:]
	if want := calls/leakBatch + 1; len(requests) != want {
		t.Fatalf("requests: want %d, got %d", want, len(requests))
	}
	if got := bytes.Count(requests[len(requests)-1].Body, []byte(`_call_output"`)); got != l.calls {
		t.Fatalf("outputs in the last request: want %d, got %d", l.calls, got)
	}
	l.call(t, protocol.MethodThreadBackgroundTerminalsClean, map[string]any{"threadId": l.thread}, nil)
}

// settles wants a count to be no more than it was, now or soon.
func settles(t *testing.T, what string, most int, count func() int) {
	t.Helper()
	deadline := time.Now().Add(settleTime)
	for {
		n := count()
		if n <= most {
			t.Logf("%s: %d before, %d after", what, most, n)
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: %d before, %d after", what, most, n)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func openFiles(t *testing.T, pid int) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// children counts the children of a process, those included that have ended and
// that it has not waited for.
func children(t *testing.T, pid int) (n int) {
	t.Helper()
	eachProcess(t, "stat", func(stat []byte) {
		// The name in parentheses may hold anything; state and parent follow.
		if f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]); len(f) > 1 && string(f[1]) == strconv.Itoa(pid) {
			n++
		}
	})
	return n
}

// marked counts the processes with a word in their command line.
func marked(t *testing.T, word string) (n int) {
	t.Helper()
	eachProcess(t, "cmdline", func(line []byte) {
		if bytes.Contains(line, []byte(word)) {
			n++
		}
	})
	return n
}

func eachProcess(t *testing.T, file string, see func([]byte)) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if data, err := os.ReadFile(path); err == nil { // else it has just ended
			see(data)
		}
	}
}

// resident is the memory of a process in KiB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest + " -")[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
