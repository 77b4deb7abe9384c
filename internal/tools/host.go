package tools

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// Host is a turn as its tools see it. Its methods are safe for concurrent use.
// A command may outlive its turn, and its end is then told by the same Host.
type Host interface {
	// ItemStarted and ItemCompleted tell the parent of an item, and record it.
	ItemStarted(protocol.ThreadItem)
	ItemCompleted(protocol.ThreadItem)
	// Notify sends a notification that the parent must get.
	Notify(method string, params any)
	// Progress sends one that only shows progress. It may wait for a slow
	// parent, until ctx ends.
	Progress(ctx context.Context, method string, params any)
	// Ask puts a question to the parent and waits for the answer, for hours if
	// need be, until ctx ends. While it waits the thread's status has the flag,
	// where that is not empty. The error is the context's, or says that the
	// parent answered with an error or cannot answer any more. An answer that came
	// before the end of ctx counts, also where ctx has ended by now.
	Ask(ctx context.Context, flag protocol.ThreadActiveFlag, method string, params any) (jsontext.Value, error)
	// Interrupt ends the turn as interrupted, as turn/interrupt does: the user
	// chose to cancel. The contexts of the turn's calls are done when it returns.
	Interrupt()
	// Warn sends a warning about the thread.
	Warn(message string)
	// Inform tells the model something with its next request.
	Inform(text string)
}

// Env is what tools depend on in a turn.
type Env struct {
	Model Model
	// OutputTokens is how much of an output the model is given.
	OutputTokens int
	// Cwd is the turn's working directory, absolute.
	Cwd string
	// Detached is whether the model must not work on this machine: the tools that
	// do are neither offered nor run.
	Detached bool
	Sandbox  protocol.SandboxPolicy
	Approval protocol.ApprovalPolicy
	// Mode is the collaboration mode; empty counts as the default one.
	Mode protocol.ModeKind
}

// Model is what the catalogue says about a model's tools.
type Model struct {
	Slug string
	// FreeformPatch is whether apply_patch is offered as a custom tool.
	FreeformPatch bool
	// ShellCommand is whether the model is used to shell_command. It counts where
	// exec_command is switched off.
	ShellCommand bool
	// Images is whether the model can look at images; OriginalDetail whether it
	// can at their full size; SearchImages whether the web search may give it
	// some.
	Images, OriginalDetail, SearchImages bool
}

// CallKind is the form in which the model called.
type CallKind int

const (
	// CallFunction has JSON arguments.
	CallFunction CallKind = iota
	// CallCustom has a free text as input.
	CallCustom
	// CallLocalShell is the hosted form of a shell call; its arguments are the
	// JSON of its action.
	CallLocalShell
)

// Call is one call of the model.
type Call struct {
	// ID is the id under which the parent sees the call: the backend's call id,
	// unless that was used in the turn before. No two calls of a turn share one.
	ID   string
	Kind CallKind
	Name string
	// Namespace is set where the tool was offered inside one.
	Namespace string
	// Arguments are the JSON arguments, or the text of a custom call.
	Arguments string
}

// Output is what the model is told about a call.
type Output struct {
	Text string
	// Content, where not nil, replaces Text: a list of content parts in the
	// backend's form.
	Content jsontext.Value
}

// say makes an output of a text.
func say(text string) Output { return Output{Text: text} }

// interrupted answers a call that the turn's end cut off. The model reads it
// with the next turn at the earliest.
const interrupted = "The call was interrupted."
