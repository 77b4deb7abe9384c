package tools

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/process"
	"app-server/internal/tools/patch"
	"app-server/protocol"
)

// How long a command of the older tools may run, as in the reference.
const (
	defaultTimeout = 10 * time.Second
	maxTimeout     = 24 * time.Hour
)

// timeout is the time limit that a call asks for, in milliseconds.
func timeout(ms *float64) time.Duration {
	if ms == nil {
		return defaultTimeout
	}
	return milliseconds(*ms, time.Millisecond, maxTimeout)
}

// shellCommandTool is shell_command: a command text that is run to its end.
func shellCommandTool() Tool {
	return Tool{Name: "shell_command", Parallel: true, Local: true, Spec: shellCommandSpec, Run: runShellCommand}
}

func shellCommandSpec(t *Turn) (jsontext.Value, bool) {
	return function("shell_command", "Runs a command in the user's shell to its end, and returns its output and exit code.",
		objectSchema(t.describeText(map[string]any{
			"command":    textSchema("The command text."),
			"timeout_ms": typeSchema("number", "When to end the command, in milliseconds. Default 10000."),
		}), "command")), t.featureOn("shell_tool") && !t.offersExec() && t.Env.Model.ShellCommand
}

func runShellCommand(ctx context.Context, t *Turn, c Call) Output {
	var in struct {
		Command   string   `json:"command" required:"true"`
		TimeoutMS *float64 `json:"timeout_ms"`
		textArguments
	}
	if bad, ok := arguments(c, &in); !ok {
		return bad
	}
	cmd, answered, ok := t.textCommand(ctx, c, in.Command, "", in.textArguments)
	if !ok {
		return answered
	}
	cmd.timeout = timeout(in.TimeoutMS)
	r, text, problem := t.runToEnd(ctx, cmd)
	if problem != "" {
		return say(problem)
	}
	return say(fmt.Sprintf("Exit code: %d\nWall time: %v seconds\nOutput:\n%s", r.ExitCode, tenths(r.Duration), text))
}

// shellTool is shell: an argv that is run to its end.
func shellTool() Tool {
	return Tool{Name: "shell", Parallel: true, Local: true, Spec: shellSpec, Run: runShell}
}

// containerExecTool is shell under the name that some models know it by. It is
// never offered.
func containerExecTool() Tool {
	return Tool{Name: "container.exec", Parallel: true, Local: true, Run: runShell}
}

func shellSpec(t *Turn) (jsontext.Value, bool) {
	return function("shell", `Runs a program to its end, and returns its output and exit code as JSON. For a command text run a shell: ["bash", "-lc", TEXT].`,
		objectSchema(permissions{}.describe(map[string]any{
			"command":    listSchema("The program and its arguments.", map[string]any{"type": "string"}),
			"workdir":    textSchema("The working directory; the turn's by default."),
			"timeout_ms": typeSchema("number", "When to end the command, in milliseconds. Default 10000."),
		}), "command")), t.featureOn("shell_tool") && !t.offersExec() && !t.Env.Model.ShellCommand
}

func runShell(ctx context.Context, t *Turn, c Call) Output {
	var in struct {
		Command   []string `json:"command" required:"true"`
		Workdir   string   `json:"workdir"`
		TimeoutMS *float64 `json:"timeout_ms"`
		permissions
	}
	if bad, ok := arguments(c, &in); !ok {
		return bad
	}
	if bad, ok := in.check(); !ok {
		return bad
	}
	cmd := command{argv: in.Command, dir: t.folder(in.Workdir), timeout: timeout(in.TimeoutMS)}
	in.apply(&cmd)
	return t.runArgv(ctx, c, cmd)
}

// localShellTool is the hosted form of shell, which some models call by
// themselves. It is never offered.
func localShellTool() Tool {
	return Tool{Name: "local_shell", Parallel: true, Local: true, Run: runLocalShell}
}

func runLocalShell(ctx context.Context, t *Turn, c Call) Output {
	if c.Kind == CallFunction { // the name alone: the arguments are those of shell
		return runShell(ctx, t, c)
	}
	var in struct {
		Command   []string `json:"command" required:"true"`
		Workdir   string   `json:"working_directory"`
		TimeoutMS *float64 `json:"timeout_ms"`
	}
	if bad, ok := arguments(c, &in); !ok {
		return bad
	}
	return t.runArgv(ctx, c, command{argv: in.Command, dir: t.folder(in.Workdir), timeout: timeout(in.TimeoutMS)})
}

// runArgv runs an argv of shell or local_shell.
func (t *Turn) runArgv(ctx context.Context, c Call, cmd command) Output {
	if len(cmd.argv) == 0 || cmd.argv[0] == "" {
		return say("The command was not run: it is empty.")
	}
	if p, ok := patch.FindCall(cmd.argv); ok {
		r := t.applyPatch(ctx, c, p.Patch, p.Workdir(cmd.dir))
		if !r.OK {
			return say(r.Text)
		}
		return shellOutput(r.Text, 0, 0)
	}
	cmd.item, cmd.source = c.ID, protocol.CommandByAgent
	r, text, problem := t.runToEnd(ctx, cmd)
	if problem != "" {
		return say(problem)
	}
	return shellOutput(text, r.ExitCode, r.Duration)
}

// shellOutput is the form in which shell answers.
func shellOutput(text string, exitCode int, d time.Duration) Output {
	type metadata struct {
		ExitCode int     `json:"exit_code"`
		Duration float64 `json:"duration_seconds"`
	}
	return say(string(encode(struct {
		Output   string   `json:"output"`
		Metadata metadata `json:"metadata"`
	}{text, metadata{exitCode, tenths(d)}})))
}

// runToEnd runs a command that does not outlive its call. text is its output for
// the model.
func (t *Turn) runToEnd(ctx context.Context, cmd command) (r process.Result, text, problem string) {
	x, problem := t.start(ctx, cmd)
	if problem != "" {
		return r, "", problem
	}
	_, remark := x.attend(ctx, forever)
	x.proc.Release()
	r = x.proc.Result()
	text = x.shown(r.Output, t.outputBytes(), true)
	if r.Cause == process.TimedOut {
		text = fmt.Sprintf("[The command was ended after %v ms, its time limit.]\n%s", cmd.timeout.Milliseconds(), text)
	}
	if remark != "" {
		text = strings.TrimSuffix(text, "\n") + "\n" + remark + "\n"
	}
	return r, text, ""
}

// tenths is a time in seconds, to a tenth.
func tenths(d time.Duration) float64 { return math.Round(d.Seconds()*10) / 10 }
