package tools

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/process"
	"app-server/internal/sandbox"
	"app-server/internal/tools/patch"
	"app-server/protocol"
)

// How long a call waits for its command, as in the reference: the default and
// the bounds of exec_command, of write_stdin with input, and of write_stdin that
// only looks. The last one waits long, or a model would look again and again.
var (
	execPatience  = patience{10 * time.Second, 250 * time.Millisecond, 30 * time.Second}
	writePatience = patience{250 * time.Millisecond, 250 * time.Millisecond, 30 * time.Second}
	pollPatience  = patience{5 * time.Second, 5 * time.Second, 5 * time.Minute}
)

type patience struct{ byDefault, least, most time.Duration }

// of is the wait for what a call asks for, in milliseconds.
func (p patience) of(ms *float64) time.Duration {
	if ms == nil {
		return p.byDefault
	}
	return milliseconds(*ms, p.least, p.most)
}

// milliseconds turns a number of the model into a time within bounds.
func milliseconds(ms float64, least, most time.Duration) time.Duration {
	if !(ms > 0) {
		return least
	}
	if ms > float64(most/time.Millisecond) {
		return most
	}
	return max(least, time.Duration(ms*float64(time.Millisecond)))
}

// bytesPerToken is the rule of thumb by which output is measured.
const bytesPerToken = 4

// defaultOutput is how much output exec_command returns where the call does not
// say, in tokens; the reference's number.
const defaultOutput = 10_000

// outputBytes is how much of an output the model gets.
func (t *Turn) outputBytes() int { return t.Env.OutputTokens * bytesPerToken }

// outputLimit is the same where the model asks for so many tokens.
func (t *Turn) outputLimit(tokens *float64) int {
	n := float64(defaultOutput)
	if tokens != nil && *tokens >= 0 {
		n = *tokens
	}
	return int(min(n, float64(t.Env.OutputTokens))) * bytesPerToken
}

// interruptKey is what Ctrl-C types.
const interruptKey = "\x03"

// permissions are the arguments that the command tools share.
type permissions struct {
	Sandbox       string   `json:"sandbox_permissions"`
	Justification string   `json:"justification"`
	PrefixRule    []string `json:"prefix_rule"`
}

// check reports what is wrong with the arguments.
func (p permissions) check() (bad Output, ok bool) {
	switch p.Sandbox {
	case "", "use_default", "require_escalated":
		return Output{}, true
	}
	return say("sandbox_permissions must be use_default or require_escalated. The command was not run."), false
}

func (p permissions) apply(c *command) {
	c.escalate, c.reason, c.prefix = p.Sandbox == "require_escalated", p.Justification, p.PrefixRule
}

// textArguments are the arguments of the tools that take a command text, but for
// the text itself.
type textArguments struct {
	Workdir string `json:"workdir"`
	Login   *bool  `json:"login"`
	permissions
}

// textCommand makes the command of a call that hands a text to a shell: the
// user's, or another one by its name. Where nothing is to be run, the call is
// answered already.
func (t *Turn) textCommand(ctx context.Context, c Call, text, shellName string, a textArguments) (cmd command, answered Output, ok bool) {
	if bad, ok := a.check(); !ok {
		return command{}, bad, false
	}
	dir := t.folder(a.Workdir)
	if p, ok := patch.FindScript(text); ok {
		return command{}, say(t.applyPatch(ctx, c, p.Patch, p.Workdir(dir)).Text), false
	}
	sh, login := t.th.r.o.Shell.Named(shellName), !t.th.o.NoLoginShell
	if a.Login != nil {
		if *a.Login && !login {
			return command{}, say("The command was not run: the configuration allows no login shell. Leave login out."), false
		}
		login = *a.Login
	}
	cmd = command{item: c.ID, argv: sh.Plain(text), dir: dir, source: protocol.CommandByAgent}
	if login {
		cmd.argv = sh.Login(text)
	}
	a.apply(&cmd)
	return cmd, Output{}, true
}

// describeText adds to the members of a command text's tool those that all such
// tools have.
func (t *Turn) describeText(properties map[string]any) map[string]any {
	properties["workdir"] = textSchema("The working directory; the turn's by default.")
	if !t.th.o.NoLoginShell {
		properties["login"] = typeSchema("boolean", "Whether the shell reads the user's profile. Default true.")
	}
	return permissions{}.describe(properties)
}

func (p permissions) describe(properties map[string]any) map[string]any {
	properties["sandbox_permissions"] = textSchema("use_default, or require_escalated to run outside of the sandbox, for which the user is asked.")
	properties["justification"] = textSchema("With require_escalated: a short question to the user that says what the command is for.")
	properties["prefix_rule"] = listSchema("With require_escalated: the first words of the command, where the user could sensibly allow all commands that begin so from now on.", map[string]any{"type": "string"})
	return properties
}

func typeSchema(name, description string) map[string]any {
	return map[string]any{"type": name, "description": description}
}

// featureOn reports whether a feature that is on by default was not switched off.
func (t *Turn) featureOn(name string) bool {
	on, set := t.th.o.Features[name]
	return on || !set
}

// offersExec reports whether the model gets exec_command rather than an older
// form of a shell.
func (t *Turn) offersExec() bool { return t.featureOn("shell_tool") && t.featureOn("unified_exec") }

// execTool is exec_command: a command text that may go on after the call.
func execTool() Tool {
	return Tool{Name: "exec_command", Parallel: true, Local: true, Spec: execSpec, Run: runExec}
}

func execSpec(t *Turn) (jsontext.Value, bool) {
	return function("exec_command", "Runs a command in a shell. Returns its output and exit code, or, where it still runs after yield_time_ms, a session ID for write_stdin.",
		objectSchema(t.describeText(map[string]any{
			"cmd":               textSchema("The command text."),
			"shell":             textSchema("The shell program; the user's by default."),
			"tty":               typeSchema("boolean", "Whether to run on a terminal, which programs that talk to a user need. Only then can input be written. Default false."),
			"yield_time_ms":     typeSchema("number", "How long to wait for the end, in milliseconds. Default 10000."),
			"max_output_tokens": typeSchema("number", "How much output to return; of more, the middle is left out. Default 10000."),
		}), "cmd")), t.offersExec()
}

func runExec(ctx context.Context, t *Turn, c Call) Output {
	var in struct {
		Cmd       string   `json:"cmd" required:"true"`
		Shell     string   `json:"shell"`
		TTY       bool     `json:"tty"`
		Yield     *float64 `json:"yield_time_ms"`
		MaxTokens *float64 `json:"max_output_tokens"`
		textArguments
	}
	if bad, ok := arguments(c, &in); !ok {
		return bad
	}
	cmd, answered, ok := t.textCommand(ctx, c, in.Cmd, in.Shell, in.textArguments)
	if !ok {
		return answered
	}
	cmd.source, cmd.terminal = protocol.CommandUnifiedExec, in.TTY

	x, problem := t.start(ctx, cmd)
	if problem != "" {
		return say(problem)
	}
	begin := time.Now()
	ended, remark := x.attend(ctx, execPatience.of(in.Yield))
	if !ended {
		x.leave(ctx)
	}
	return x.report(time.Since(begin), t.outputLimit(in.MaxTokens), remark)
}

// report tells the model of the output since the last report, and of the end.
func (x *execution) report(wall time.Duration, limit int, remark string) Output {
	fresh, ended := x.take()
	var b strings.Builder
	var id [3]byte
	rand.Read(id[:])
	fmt.Fprintf(&b, "Chunk ID: %s\nWall time: %.4f seconds\n", hex.EncodeToString(id[:]), wall.Seconds())
	if ended {
		fmt.Fprintf(&b, "Process exited with code %d\n", x.proc.Result().ExitCode)
	} else {
		fmt.Fprintf(&b, "Process running with session ID %d\n", x.proc.ID())
	}
	fmt.Fprintf(&b, "Original token count: %d\nOutput:\n", (fresh.Bytes()+bytesPerToken-1)/bytesPerToken)
	b.WriteString(x.shown(fresh, limit, ended))
	if remark != "" {
		b.WriteString("\n" + remark + "\n")
	}
	return say(b.String())
}

// shown is the output as the model gets it: under the number of its lines where it
// does not get all. What the sandbox printed in place of
// a command that it could not run is told in a remark instead.
func (x *execution) shown(out process.Text, limit int, ended bool) string {
	if ended && x.confined {
		if _, failed := sandbox.SetupError(x.proc.Result().ExitCode, out.Head); failed {
			return ""
		}
	}
	out = out.Shorten(limit)
	if out.Omitted > 0 {
		return fmt.Sprintf("Total output lines: %d\n\n%v", out.Lines, out)
	}
	return out.String()
}

// writeTool is write_stdin: input for a command that goes on, or a look at it. Its
// calls run alone, so that what is typed comes in the order of the calls.
func writeTool() Tool {
	return Tool{Name: "write_stdin", Local: true, Spec: writeSpec, Run: runWrite}
}

func writeSpec(t *Turn) (jsontext.Value, bool) {
	return function("write_stdin", "Writes to a command that still runs, or only looks at it, and returns its new output.",
		objectSchema(map[string]any{
			"session_id":        typeSchema("number", "The session ID of the command."),
			"chars":             textSchema("What to write; empty to only look. A command without a terminal takes nothing but \\u0003, which interrupts it."),
			"yield_time_ms":     typeSchema("number", "How long to wait for output, in milliseconds. Default 250, and 5000 for a look, which is also the least."),
			"max_output_tokens": typeSchema("number", "How much output to return; of more, the middle is left out. Default 10000."),
		}, "session_id")), t.offersExec()
}

func runWrite(ctx context.Context, t *Turn, c Call) Output {
	var in struct {
		Session   float64  `json:"session_id" required:"true"`
		Chars     string   `json:"chars"`
		Yield     *float64 `json:"yield_time_ms"`
		MaxTokens *float64 `json:"max_output_tokens"`
	}
	if bad, ok := arguments(c, &in); !ok {
		return bad
	}
	x := t.th.terminals.find(int(in.Session))
	if x == nil {
		return say(fmt.Sprintf("There is no command with session ID %.0f. It may have ended and been told of.", in.Session))
	}
	begin := time.Now()
	if in.Chars != "" && !x.takes(in.Chars) && !x.ended() {
		return say("Nothing was written: the command has no terminal, so its input is closed. Run it with tty set to write to it.")
	}
	x.tellInput(t, in.Chars)
	wait, remark := pollPatience.of(in.Yield), ""
	if in.Chars != "" {
		wait = writePatience.of(in.Yield)
		switch err := x.write(ctx, in.Chars, wait); {
		case ctx.Err() != nil:
			return say(interrupted)
		case errors.Is(err, context.DeadlineExceeded):
			remark = "[Not all of the input could be written: the command does not read it.]"
		case err != nil && !errors.Is(err, process.ErrEnded) && !x.ended():
			return say("Nothing was written: " + err.Error())
		}
	}
	timer := time.NewTimer(wait - time.Since(begin))
	defer timer.Stop()
	select {
	case <-x.done:
	case <-timer.C:
	case <-ctx.Done():
		return say(interrupted)
	}
	return x.report(time.Since(begin), t.outputLimit(in.MaxTokens), remark)
}

// tellInput tells the parent of input before the command gets it, and so before
// whatever comes of it. Nothing is told of a command after its end.
func (x *execution) tellInput(t *Turn, chars string) {
	x.ending.Lock()
	defer x.ending.Unlock()
	if !x.ended() {
		t.Host.Notify(protocol.MethodItemCommandExecutionTerminalInteraction, &protocol.TerminalInteractionNotification{
			ThreadID: t.th.o.ID, TurnID: t.ID, ItemID: x.c.item, ProcessID: fmt.Sprint(x.proc.ID()), Stdin: chars,
		})
	}
}

// takes reports whether a command can be given such input: any on a terminal, and
// without one an interrupt.
func (x *execution) takes(chars string) bool { return x.c.terminal || chars == interruptKey }

// write gives a command input, and waits no longer than that for it to be read.
// A command without a terminal has no input but can be interrupted.
func (x *execution) write(ctx context.Context, chars string, wait time.Duration) error {
	if chars == interruptKey && (!x.c.terminal || x.unread.Load()) {
		return x.proc.Interrupt()
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := x.proc.Write(ctx, []byte(chars))
	if errors.Is(err, context.DeadlineExceeded) {
		x.unread.Store(true)
	}
	return err
}
