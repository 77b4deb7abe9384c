package session

import (
	"context"
	"iter"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/backend"
)

// Parent is the application on the other end of the wire. Both methods are safe
// for concurrent use.
type Parent interface {
	// Notify sends a notification. It encodes params before it returns and may
	// wait while the parent reads too slowly; ctx ends that wait.
	Notify(ctx context.Context, method string, params any) error
	// Ask sends a request and waits for its answer. It returns the request's id
	// too, also with an error; -1 where the request was never sent.
	Ask(ctx context.Context, method string, params any) (id int64, answer jsontext.Value, err error)
}

// Model is the backend: one attempt of one response at a time. The error that
// the sequence may yield is a *[backend.Error], and the last thing it yields.
type Model interface {
	Stream(ctx context.Context, r *backend.Request) iter.Seq2[backend.Event, error]
}

// Tools are what the model may call. Both methods are safe for concurrent use
// by several threads.
type Tools interface {
	// Specs lists the tools offered, in the backend's form. Within a thread the
	// answer for the same ToolEnv must not change, since a changed list spoils
	// the backend's prompt cache.
	Specs(ToolEnv) []jsontext.Value
	// Run runs one call. It never fails: what went wrong is a text for the
	// model. It must return soon after ctx has ended.
	Run(context.Context, Call) Output
}

// ToolEnv is what the choice of tools depends on.
type ToolEnv struct {
	Model string
	Cwd   string
}

// CallKind is the form in which the model called.
type CallKind int

const (
	// CallFunction has JSON arguments.
	CallFunction CallKind = iota
	// CallCustom has a free text as input.
	CallCustom
	// CallUnserved is a hosted form of call that this server cannot run, such as
	// local_shell_call. It is answered like a call of an unknown tool.
	CallUnserved
)

// Call is one call of the model.
type Call struct {
	ThreadID, TurnID string
	// ID is the backend's call id; the output goes back under it.
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

// noTools offers nothing. Every call is then one of an unknown tool.
type noTools struct{}

func (noTools) Specs(ToolEnv) []jsontext.Value { return nil }

func (noTools) Run(_ context.Context, c Call) Output { return unknownTool(c) }

// unknownTool is the answer to a call of a tool that was never offered.
func unknownTool(c Call) Output {
	if c.Kind == CallUnserved {
		return Output{Text: "This kind of call is not supported: " + c.Name + ". Use only the tools that were offered."}
	}
	return Output{Text: "There is no tool named " + c.Name + ". Use only the tools that were offered."}
}
