package tools

import (
	"context"
	"fmt"

	"app-server/protocol"
)

// UserCommand runs a command text that the user typed, outside of any sandbox
// and without a question, to its end or that of ctx. The item has the id given.
// The result tells the model about it, to be put into the history as a message
// of the user.
func (t *Turn) UserCommand(ctx context.Context, itemID, text string) string {
	x := t.newExecution(command{item: itemID, argv: t.th.r.o.Shell.Login(text), dir: t.Env.Cwd, source: protocol.CommandByUser})
	x.begin()
	err := ctx.Err()
	if err == nil {
		err = x.launch(true)
	}
	if err != nil {
		return userText(text, x.fail(err))
	}
	x.attend(ctx, forever)
	x.proc.Release()
	r := x.proc.Result()
	return userText(text, fmt.Sprintf("Exit code: %d\nDuration: %.4f seconds\nOutput:\n%s", r.ExitCode, r.Duration.Seconds(), r.Output.Shorten(t.outputBytes())))
}

// userText is the reference's form, which models know.
func userText(command, result string) string {
	return "<user_shell_command>\n<command>\n" + command + "\n</command>\n<result>\n" + result + "\n</result>\n</user_shell_command>"
}
