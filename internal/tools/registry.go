package tools

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"app-server/internal/process"
	"app-server/internal/process/shell"
	"app-server/internal/sandbox"
	"app-server/internal/tools/rules"
	"app-server/protocol"
)

// Tool is one thing that the model may call.
type Tool struct {
	Name string
	// Spec describes the tool to the model, in the backend's form, and says no
	// where it is not offered in this turn. For the same Env it always says the
	// same. A tool that is not offered is served all the same when it is called,
	// as in the reference, unless Run says otherwise.
	Spec func(*Turn) (jsontext.Value, bool)
	// Parallel is whether a call may run beside other calls.
	Parallel bool
	// Local is whether the tool works on this machine: a turn may be without it.
	Local bool
	// Custom is whether the tool takes a free text, too.
	Custom bool
	// Run runs one call. What went wrong is told in the output. It must return
	// soon after ctx has ended.
	Run func(ctx context.Context, t *Turn, c Call) Output
}

// Options are what a [Registry] works with.
type Options struct {
	// Home is the server's own folder. Rules that the user made for good are
	// kept in it.
	Home      string
	Sandbox   *sandbox.Sandbox
	Processes *process.Manager
	Shell     shell.Shell
	// Environ is the environment that commands inherit from.
	Environ []string
	// UserHome is the user's home folder; it may be empty.
	UserHome string
	// Log may be nil.
	Log *zap.Logger
}

// Registry is the table of tools. It is made once and not changed while threads
// use it. It owns the running commands of all threads.
type Registry struct {
	o     Options
	log   *zap.Logger
	tools map[string]Tool
	order []string
	rules *rules.Book

	watchers sync.WaitGroup // of commands that outlive their call
	mu       sync.Mutex
	closed   bool
}

// NewRegistry makes a registry without tools.
func NewRegistry(o Options) *Registry {
	r := &Registry{o: o, log: o.Log, tools: map[string]Tool{}, rules: rules.Open(o.Home)}
	if r.log == nil {
		r.log = zap.NewNop()
	}
	return r
}

// Add takes in a tool, which is offered after those before it. A name that is
// taken panics.
func (r *Registry) Add(t Tool) {
	if _, taken := r.tools[t.Name]; taken {
		panic("tools: " + t.Name + " is registered twice")
	}
	r.tools[t.Name] = t
	r.order = append(r.order, t.Name)
}

// Close ends all commands and waits for them, and for the end of their items.
// Calling it again is harmless.
func (r *Registry) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.o.Processes.Close()
	r.watchers.Wait()
}

// ThreadOptions are what tools know of a thread.
type ThreadOptions struct {
	ID string
	// Dynamic are the tools of the parent.
	Dynamic []protocol.DynamicToolSpec
	// Environment is shell_environment_policy; Withhold names variables that
	// hold this server's own credentials and that no command inherits.
	Environment process.Policy
	Withhold    []string
	// Features are the feature flags of the configuration.
	Features map[string]bool
	// NoLoginShell is whether no shell of the model's may read the user's profile.
	NoLoginShell bool
	// WebSearch is the hosted web search: "live", "cached", or "disabled".
	// Empty means the default.
	WebSearch string
	Search    SearchOptions
}

// Thread is what tools keep for a thread. It is safe for concurrent use.
type Thread struct {
	r         *Registry
	o         ThreadOptions
	dynamic   dynamicTools
	patches   patchApprovals
	grants    grants
	terminals terminals

	mu        sync.Mutex
	approvals map[string]bool // commands that were approved for the session
	warned    map[string]bool
}

// Open makes the tools of a thread. Close must be called in the end.
func (r *Registry) Open(o ThreadOptions) *Thread {
	return &Thread{r: r, o: o, dynamic: newDynamicTools(o.Dynamic)}
}

// Close ends the thread's commands and waits for them, and for the end of their
// items.
func (t *Thread) Close() {
	t.r.o.Processes.CloseOwner(t.o.ID)
	t.CleanTerminals()
}

// Turn is the tools under the settings of one turn. It is safe for concurrent
// use.
type Turn struct {
	th   *Thread
	ID   string
	Env  Env
	Host Host

	items  *openItems // which Host is
	diff   turnDiff
	grants grants
	specs  func() []jsontext.Value // made once: a turn may ask the model often
}

// Begin makes the tools of a turn. Stop ends what an interrupted turn began.
func (t *Thread) Begin(id string, e Env, h Host) *Turn {
	items := &openItems{Host: h, open: map[string]protocol.ThreadItem{}}
	u := &Turn{th: t, ID: id, Env: e, Host: items, items: items}
	u.specs = sync.OnceValue(u.listSpecs)
	return u
}

// Specs lists the tools offered, in the backend's form. The list depends on
// nothing but the thread and the Env, since a changed list spoils the backend's
// prompt cache. It is not to be changed.
func (t *Turn) Specs() []jsontext.Value { return t.specs() }

func (t *Turn) listSpecs() []jsontext.Value {
	var specs []jsontext.Value
	for _, name := range t.th.r.order {
		if tool := t.th.r.tools[name]; tool.Spec != nil && t.has(tool) && !t.th.dynamic.replaces(name) {
			if s, offered := tool.Spec(t); offered {
				specs = append(specs, s)
			}
		}
	}
	return append(specs, t.th.dynamic.specs...)
}

// Parallel reports whether a call may run beside others.
func (t *Turn) Parallel(c Call) bool {
	tool, _ := t.find(c)
	return tool.Parallel
}

// find looks up the tool of a call. The parent's tools go before our own, so
// that a parent can put its own in the place of one of them.
func (t *Turn) find(c Call) (Tool, bool) {
	if tool, ok := t.th.dynamic.tools[dynamicName{c.Namespace, c.Name}]; ok {
		return tool, true
	}
	if c.Namespace != "" {
		return Tool{}, false
	}
	tool, ok := t.th.r.tools[c.Name]
	return tool, ok && t.has(tool)
}

// has is whether the turn has a tool of this server's.
func (t *Turn) has(tool Tool) bool { return !(tool.Local && t.Env.Detached) }

// noTool answers a call of what is not there.
func noTool(c Call) Output {
	return say("There is no tool named " + c.Name + ". Use only the tools that were offered.")
}

// Run runs one call. It never fails: what went wrong is a text for the model. A
// tool that panics has failed, with its item, and nothing else has.
func (t *Turn) Run(ctx context.Context, c Call) (out Output) {
	defer func() {
		if p := recover(); p != nil {
			t.th.r.log.Error("panic in a tool", zap.String("thread", t.th.o.ID), zap.String("turn", t.ID), zap.String("tool", c.Name), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			t.items.fail(c.ID)
			out = say(fmt.Sprintf("The tool %s failed with an internal error.", c.Name))
		}
	}()
	tool, known := t.find(c)
	switch {
	case !known:
		return noTool(c)
	case c.Kind == CallCustom && !tool.Custom:
		return say("The tool " + c.Name + " takes JSON arguments, not a free text. Call it as a function.")
	case c.Kind == CallFunction && !jsontext.Value(c.Arguments).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)):
		return say("The arguments of the call are not valid JSON. Send the call again with valid arguments.")
	}
	return tool.Run(ctx, t, c)
}

// arguments decodes the arguments of a call; where they do not fit, the output
// tells the model why.
func arguments(c Call, into any) (bad Output, ok bool) {
	if err := protocol.Decode(jsontext.Value(c.Arguments), into); err != nil {
		why := strings.TrimPrefix(err.Error(), "Invalid request: ") // the words are those for a parent
		return say(fmt.Sprintf("The arguments of %s cannot be used: %s. Send the call again with valid arguments.", c.Name, why)), false
	}
	return Output{}, true
}

// function describes a function tool.
func function(name, description string, parameters any) jsontext.Value {
	return encode(struct {
		Type        string `json:"type"`
		Name        string `json:"name"`
		Description string `json:"description"`
		Strict      bool   `json:"strict"`
		Parameters  any    `json:"parameters"`
	}{"function", name, description, false, parameters})
}

// encode makes raw JSON. The values given always encode.
func encode(v any) jsontext.Value {
	raw, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err != nil {
		panic(err)
	}
	return raw
}

// Builtin lists the tools of this server, in the order in which they are
// offered.
func Builtin() []Tool {
	return []Tool{
		execTool(), writeTool(), shellCommandTool(), shellTool(), containerExecTool(), localShellTool(),
		planTool(), questionTool(), permissionsTool(), patchTool(), searchTool(), imageTool(),
	}
}
