package tools

import (
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
	want := regexp.MustCompile(`^Chunk ID: [0-9a-f]{6}\nWall time: 0\.\d{4} seconds\nProcess exited with code 3\nOriginal token count: 4\nOutput:\nfirst\nsecond\n$`)
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
