package tools

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"app-server/protocol"
)

const (
	never     = protocol.ApprovalNever
	onRequest = protocol.ApprovalOnRequest
	untrusted = protocol.ApprovalUntrusted
	onFailure = protocol.ApprovalOnFailure
	full      = protocol.PolicyDangerFullAccess
	readOnly  = protocol.PolicyReadOnly
)

func TestExec(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	out := exec(b.turn(h, never, full), t.Context(), "echo first; sleep .2; echo second; exit 3", "")
	want := regexp.MustCompile(`^Chunk ID: [0-9a-f]{6}\nWall time: \d+\.\d{4} seconds\nProcess exited with code 3\nOriginal token count: 4\nOutput:\nfirst\nsecond\n$`)
	if !want.MatchString(out) {
		t.Errorf("the model got %q", out)
	}
	started, done := h.command(t)
	if started.ProcessID == nil || started.Status != protocol.ItemInProgress || started.Source != protocol.CommandUnifiedExec || started.Cwd != b.cwd || started.AggregatedOutput != nil {
		t.Errorf("started %+v", started)
	}
	if started.Command != "/bin/sh -c 'echo first; sleep .2; echo second; exit 3'" {
		t.Errorf("command %s", started.Command)
	}
	if done.Status != protocol.ItemFailed || *done.ExitCode != 3 || *done.AggregatedOutput != "first\nsecond\n" || *done.DurationMS < 100 {
		t.Errorf("completed %+v", done)
	}
	if got := h.deltas(); got != "first\nsecond\n" {
		t.Errorf("deltas %q", got)
	}
}

// TestLate: what has happened counts, though the time for it has passed by now.
func TestLate(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	turn := b.turn(h, never, full)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // a select takes either of two that are ready
		x, problem := turn.start(t.Context(), command{item: "c1", argv: []string{"/bin/true"}, dir: b.cwd, source: protocol.CommandUnifiedExec})
		if problem != "" {
			t.Fatal(problem)
		}
		<-x.proc.Done()
		x.output(over, []byte("x"))
		if ended, _ := x.attend(t.Context(), 0); !ended {
			t.Fatal("it still runs")
		}
		x.proc.Release()
	}
	if got := h.deltas(); got != strings.Repeat("x", 20) {
		t.Errorf("deltas %q", got)
	}
}

func TestSandboxedExec(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	needSandbox(t, b)
	out := exec(b.turn(h, never, readOnly), t.Context(), "touch made; env", "")
	if !strings.Contains(out, "Read-only file system") || !strings.Contains(out, "CODEX_SANDBOX_NETWORK_DISABLED=1") || !strings.Contains(out, "CODEX_THREAD_ID=thread") {
		t.Errorf("the model got %q", out)
	}
	if _, err := os.Stat(filepath.Join(b.cwd, "made")); err == nil {
		t.Error("a file was made")
	}
}
