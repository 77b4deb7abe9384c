package tools

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"app-server/internal/process/shell"
	"app-server/protocol"
)

// TestShellTools goes through what the tools that wait for the end tell the
// model and the parent.
func TestShellTools(t *testing.T) {
	for _, test := range []struct {
		name string
		call Call
		out  string // a pattern
		code int
		text string // of the item
	}{
		{"shell_command", Call{Name: "shell_command", Arguments: `{"command":"echo out; echo err >&2; sleep .2; exit 3","login":false}`},
			`^Exit code: 3\nWall time: \d+(\.\d)? seconds\nOutput:\nout\nerr\n$`, 3, "out\nerr\n"},
		{"shell", Call{Name: "shell", Arguments: `{"command":["/bin/sh","-c","echo out; exit 3"]}`},
			`^\{"output":"out\\n","metadata":\{"exit_code":3,"duration_seconds":\d+(\.\d)?\}\}$`, 3, "out\n"},
		{"shell with a wrong program", Call{Name: "shell", Arguments: `{"command":["no-such-program"]}`},
			`^The command was not run: there is no such program\.$`, -1, "The command was not run: there is no such program."},
		{"local_shell", Call{Kind: CallLocalShell, Name: "local_shell", Arguments: `{"type":"exec","command":["pwd"],"working_directory":"/","timeout_ms":9000,"env":{}}`},
			`^\{"output":"/\\n","metadata":\{"exit_code":0,"duration_seconds":\d+(\.\d)?\}\}$`, 0, "/\n"},
		{"local_shell as a function", Call{Name: "local_shell", Arguments: `{"command":["pwd"],"workdir":"/","working_directory":"/tmp"}`},
			`^\{"output":"/\\n",`, 0, "/\n"},
		{"container.exec", Call{Name: "container.exec", Arguments: `{"command":["pwd"],"workdir":"/"}`},
			`^\{"output":"/\\n",`, 0, "/\n"},
		{"a signal", Call{Name: "shell", Arguments: `{"command":["/bin/sh","-c","kill -9 $$"]}`}, `"exit_code":137`, 137, ""},
		{"bytes that are no text", Call{Name: "shell", Arguments: `{"command":["/bin/sh","-c","printf 'a\\377b'"]}`}, "a\uFFFDb", 0, "a\uFFFDb"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, h := newBench(t), &fakeHost{}
			test.call.ID = "c1"
			out := b.turn(h, never, full).Run(t.Context(), test.call).Text
			if !regexp.MustCompile(test.out).MatchString(out) {
				t.Errorf("the model got %q", out)
			}
			started, done := h.command(t)
			if started.Source != protocol.CommandByAgent || started.ProcessID != nil || *done.ExitCode != test.code || (done.Status == protocol.ItemDone) != (test.code == 0) {
				t.Errorf("started %+v, completed %+v", started, done)
			}
			text := ""
			if done.AggregatedOutput != nil {
				text = *done.AggregatedOutput
			}
			if text != test.text {
				t.Errorf("output %q", text)
			}
		})
	}
}

// TestTimeLimit: a command that runs out of time is ended, and what it printed is
// kept.
func TestTimeLimit(t *testing.T) {
	for limit := 200; ; limit *= 2 {
		b, h := newBench(t), &fakeHost{}
		out := b.turn(h, never, full).Run(t.Context(), call("shell_command", fmt.Sprintf(`{"command":"echo out; sleep 600","login":false,"timeout_ms":%d}`, limit))).Text
		if h.deltas() == "" && limit < 30_000 {
			continue // a shell may take longer to print than the limit; then so may the limit
		}
		if want := regexp.MustCompile(fmt.Sprintf(`^Exit code: 124\nWall time: \d+(\.\d)? seconds\nOutput:\n\[The command was ended after %d ms, its time limit\.\]\nout\n$`, limit)); !want.MatchString(out) {
			t.Errorf("the model got %q", out)
		}
		if _, done := h.command(t); *done.ExitCode != 124 || done.Status != protocol.ItemFailed || *done.AggregatedOutput != "out\n" {
			t.Errorf("completed %+v", done)
		}
		return
	}
}

// TestNoItem: calls that are wrong are answered, and no item is told.
func TestNoItem(t *testing.T) {
	for _, test := range []struct{ name, arguments, want string }{
		{"exec_command", `{"cmd":"pwd","workdir":"/no/such"}`, "/no/such is not an existing folder"},
		{"exec_command", `{"command":"pwd"}`, "cmd"},
		{"exec_command", `{"cmd":7}`, "cmd"},
		{"exec_command", `{"cmd":"pwd","sandbox_permissions":"zzz"}`, "sandbox_permissions"},
		{"exec_command", `{`, "not valid JSON"},
		{"shell_command", `{"command":"pwd","sandbox_permissions":"zzz"}`, "sandbox_permissions"},
		{"shell_command", `{}`, "command"},
		{"shell", `{"command":[]}`, "empty"},
		{"shell", `{"command":[""]}`, "empty"},
		{"shell", `{"command":"ls"}`, "command"},
		{"write_stdin", `{"session_id":77}`, "session ID 77"},
		{"write_stdin", `{}`, "session_id"},
	} {
		b, h := newBench(t), &fakeHost{}
		out := b.turn(h, never, full).Run(t.Context(), Call{ID: "c1", Name: test.name, Arguments: test.arguments}).Text
		if !strings.Contains(out, test.want) || len(h.seen()) != 0 {
			t.Errorf("%s %s: the model got %q", test.name, test.arguments, out)
		}
	}
}

// TestOffered: which shell a model gets follows features and model.
func TestOffered(t *testing.T) {
	b := newBench(t)
	for _, test := range []struct {
		features map[string]bool
		known    bool
		want     string
	}{
		{nil, false, "exec_command write_stdin"},
		{map[string]bool{"unified_exec": true}, true, "exec_command write_stdin"},
		{map[string]bool{"unified_exec": false}, true, "shell_command"},
		{map[string]bool{"unified_exec": false}, false, "shell"},
		{map[string]bool{"shell_tool": false}, true, ""},
		{map[string]bool{"shell_tool": false, "unified_exec": false}, false, ""},
	} {
		th := b.Open(ThreadOptions{ID: "x", Features: test.features})
		var names []string
		for _, raw := range th.Begin("t", Env{Model: Model{ShellCommand: test.known}}, &fakeHost{}).Specs() {
			var spec struct {
				Name       string `json:"name"`
				Parameters struct {
					Properties map[string]struct{ Description string } `json:"properties"`
				} `json:"parameters"`
			}
			if err := json.Unmarshal(raw, &spec); err != nil {
				t.Fatal(err)
			}
			if slices.Contains([]string{"exec_command", "write_stdin", "shell_command", "shell", "local_shell"}, spec.Name) {
				names = append(names, spec.Name)
			}
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("%v, known %v: %q", test.features, test.known, got)
		}
	}
}

// TestActionsOnTheWire: what a command does, in members that fit its kind.
func TestActionsOnTheWire(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	exec(b.turn(h, never, full), t.Context(), "cat a.go && ls && rg word src", "")
	started, _ := h.command(t)
	path := filepath.Join(b.cwd, "a.go")
	want := []protocol.CommandAction{
		{Type: protocol.ActionRead, Command: "cat a.go", Name: protocol.Some("a.go"), Path: protocol.Some(path)},
		{Type: protocol.ActionListFiles, Command: "ls", Path: protocol.Null[string]()},
		{Type: protocol.ActionSearch, Command: "rg word src", Query: protocol.Some("word"), Path: protocol.Some("src")},
	}
	if diff := cmp.Diff(want, started.CommandActions); diff != "" {
		t.Error(diff)
	}
}

// TestFlood: of a long output the model gets both ends, the parent all.
func TestFlood(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	out := exec(b.turn(h, never, full), t.Context(), "seq 1 100000; echo THE-END", "")
	if len(out) > 41_000 || !strings.Contains(out, "\n1\n2\n") || !strings.HasSuffix(out, "THE-END\n") || !strings.Contains(out, "Original token count: 147226\n") {
		t.Errorf("%d bytes: %.200q", len(out), out)
	}
	if got := h.deltas(); len(got) != 588_903 || !strings.HasSuffix(got, "100000\nTHE-END\n") {
		t.Errorf("the parent got %d bytes", len(got))
	}
	out = exec(b.turn(&fakeHost{}, never, full), t.Context(), "seq 1 100000; echo THE-END", `,"max_output_tokens":20`)
	if len(out) > 300 || !strings.HasSuffix(out, "THE-END\n") {
		t.Errorf("%d bytes: %q", len(out), out)
	}
}

func TestUserCommand(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	b.o.Shell = shell.Shell{Path: "/bin/sh"}
	out := b.turn(h, never, readOnly).UserCommand(t.Context(), "u1", "echo user-$((1+1)) > made; cat made; exit 3")
	want := regexp.MustCompile(`^<user_shell_command>\n<command>\necho user-\$\(\(1\+1\)\) > made; cat made; exit 3\n</command>\n<result>\nExit code: 3\nDuration: \d+\.\d{4} seconds\nOutput:\n(?s:.*)user-2\n\n</result>\n</user_shell_command>$`)
	if !want.MatchString(out) {
		t.Errorf("the model is told %q", out)
	}
	started, done := h.command(t)
	if started.ID != "u1" || started.Source != protocol.CommandByUser || started.ProcessID != nil || *done.ExitCode != 3 || !made(b) || len(h.approvals()) != 0 {
		t.Errorf("completed %+v", done)
	}
}

// TestBrokenSandbox: a command that its sandbox kept from running is told of once
// to the user and clearly to the model.
func TestBrokenSandbox(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	needSandbox(t, b)
	turn := b.turn(h, never, full)
	for range 2 {
		x, problem := turn.start(t.Context(), command{item: "c1", argv: []string{"/bin/sh", "-c", "echo 'app-server: sandbox: no room'; exit 125"}, dir: b.cwd, source: protocol.CommandUnifiedExec})
		if problem != "" {
			t.Fatal(problem)
		}
		x.confined = true
		_, remark := x.attend(t.Context(), forever)
		out := x.report(0, 1000, remark).Text
		if !strings.Contains(out, "could not be set up: no room. The command was not run.") || strings.Contains(out, "app-server:") {
			t.Errorf("the model got %q", out)
		}
	}
	if len(h.warnings()) != 1 || !strings.Contains(h.warnings()[0], "no room") {
		t.Errorf("warnings %q", h.warnings())
	}
}

// TestEnvironment: what commands see of this server's variables.
func TestEnvironment(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	b.o.Environ = append(os.Environ(), "MINE=1", "SECRET_OF_SERVER=x", "TERM=xterm")
	th := b.Open(ThreadOptions{ID: "t-7", Withhold: []string{"SECRET_OF_SERVER"}})
	defer th.Close()
	turn := th.Begin("turn", Env{OutputTokens: testOutput, Cwd: b.cwd, Sandbox: protocol.SandboxPolicy{Type: full}, Approval: protocol.ApprovalPolicy{Mode: never}}, h)
	out := exec(turn, context.Background(), "echo $MINE-$SECRET_OF_SERVER-$TERM-$CODEX_CI-$CODEX_THREAD_ID", "")
	if !strings.HasSuffix(out, "\n1--dumb-1-t-7\n") {
		t.Errorf("the model got %q", out)
	}
	if out := turn.UserCommand(t.Context(), "u1", "echo $MINE-$SECRET_OF_SERVER-$TERM-$CODEX_CI"); !strings.Contains(out, "\n1--xterm-\n") {
		t.Errorf("the model is told %q", out)
	}
}

// TestPatchInShell: an apply_patch in any shell tool is a patch and no command.
func TestPatchInShell(t *testing.T) {
	const text = "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: made\n+x\n*** End Patch\nEOF"
	quoted := string(encode(text))
	for name, arguments := range map[string]string{
		"exec_command": `{"cmd":` + quoted + `}`, "shell_command": `{"command":` + quoted + `}`, "shell": `{"command":["bash","-lc",` + quoted + `]}`,
	} {
		b, h := newBench(t), &fakeHost{}
		out := b.turn(h, never, full).Run(t.Context(), Call{ID: "c1", Name: name, Arguments: arguments}).Text
		if len(values[*protocol.CommandExecutionItem](h, "")) > 0 {
			t.Errorf("%s: a command was told", name)
		}
		if !made(b) || !strings.Contains(out, "made") {
			t.Errorf("%s: the model got %q", name, out)
		}
	}
}
