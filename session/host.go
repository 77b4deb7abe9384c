package session

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/backend"
	"app-server/internal/config"
	"app-server/internal/process"
	"app-server/internal/tools"
	"app-server/protocol"
)

// host shows a turn to its tools. Tools of one turn run side by side, so its
// methods keep to what several goroutines may do.
type host struct{ u *turn }

var _ tools.Host = host{}

func (h host) ItemStarted(item protocol.ThreadItem)   { h.u.itemStarted(item) }
func (h host) ItemCompleted(item protocol.ThreadItem) { h.u.itemCompleted(item) }
func (h host) Notify(method string, params any)       { h.u.notify(method, params) }
func (h host) Warn(message string)                    { h.u.th.m.warn(h.u.th.id, message) }

func (h host) Inform(text string) {
	h.u.note(messageItem(roleDeveloper, textPart(text)))
}

func (h host) Progress(ctx context.Context, method string, params any) {
	h.u.th.tell(ctx, method, params)
}

// Interrupt cancels the turn before it returns, so that the model is asked
// nothing more, whenever the thread's goroutine gets to know of it.
func (h host) Interrupt() {
	h.u.cancel()
	h.u.th.post(func() { h.u.closing = true })
}

// Ask tells the thread's status around the question, and that the question is
// settled. The reference does not tell that of calls of the parent's own tools;
// they have no flag. Here the parent is told of those that an interrupt has
// settled, since it still works on them.
func (h host) Ask(ctx context.Context, flag protocol.ThreadActiveFlag, method string, params any) (jsontext.Value, error) {
	h.u.waitOn(flag, 1)
	defer h.u.waitOn(flag, -1)
	id, answer, err := h.u.th.m.parent.Ask(ctx, method, params)
	if errors.Is(err, ErrParentGone) {
		h.Interrupt() // nobody has said no, and the model is not to be told so
	}
	if id >= 0 && (flag != "" || err != nil && ctx.Err() != nil) {
		h.u.notify(protocol.MethodServerRequestResolved, &protocol.ServerRequestResolvedNotification{ThreadID: h.u.th.id, RequestID: id})
	}
	return answer, err
}

// waitOn counts a question in or out, and tells the status where it changes. The
// lock is held while it is told, so that two questions do not tell it in the
// wrong order.
func (u *turn) waitOn(flag protocol.ThreadActiveFlag, more int) {
	if flag == "" {
		return
	}
	u.asking.Lock()
	defer u.asking.Unlock()
	before := u.waits[flag]
	if u.waits == nil {
		u.waits = map[protocol.ThreadActiveFlag]int{}
	}
	u.waits[flag] += more
	if (before == 0) == (u.waits[flag] == 0) {
		return
	}
	status := protocol.ThreadStatus{Type: protocol.StatusActive, ActiveFlags: []protocol.ThreadActiveFlag{}}
	for _, f := range []protocol.ThreadActiveFlag{protocol.FlagWaitingOnApproval, protocol.FlagWaitingOnUserInput} {
		if u.waits[f] > 0 {
			status.ActiveFlags = append(status.ActiveFlags, f)
		}
	}
	u.setStatus(status)
}

// setStatus records and tells the thread's status.
func (u *turn) setStatus(s protocol.ThreadStatus) {
	u.th.post(func() { u.th.status = s })
	u.notify(protocol.MethodThreadStatusChanged, &protocol.ThreadStatusChangedNotification{ThreadID: u.th.id, Status: s})
}

// maxOutputTokens bounds tool_output_token_limit: a model's whole window is more
// than any output should fill.
const maxOutputTokens = 250_000

// toolEnv is what the tools of a turn depend on.
func toolEnv(s settings, info backend.ModelInfo, cfg *config.Config) tools.Env {
	of := info.Tools
	if l := cfg.ToolOutputTokenLimit; l != nil {
		of.OutputTokens = int(min(*l, maxOutputTokens))
	}
	return tools.Env{
		Model: tools.Model{
			Slug: s.model, FreeformPatch: of.FreeformPatch, ShellCommand: of.ShellCommand,
			Images: of.Images, OriginalDetail: of.OriginalDetail, SearchImages: of.SearchImages,
		},
		OutputTokens: of.OutputTokens,
		Cwd:          s.place(), Detached: s.detached, Sandbox: s.sandbox, Approval: s.approval, Mode: s.mode,
	}
}

// toolOptions are what the tools of a thread depend on.
func toolOptions(id string, cfg *config.Config, dynamic []protocol.DynamicToolSpec) tools.ThreadOptions {
	e, search := cfg.ShellEnvironment.Value, cfg.WebSearch
	o := tools.ThreadOptions{
		ID: id, Dynamic: dynamic, Features: cfg.Features, NoLoginShell: cfg.NoLoginShell, WebSearch: search.Mode,
		Search: tools.SearchOptions{
			ContextSize: search.ContextSize, AllowedDomains: search.AllowedDomains,
			Location: tools.SearchLocation{Country: search.Country, Region: search.Region, City: search.City, Timezone: search.Timezone},
		},
		Environment: process.Policy{
			Inherit: process.Inherit(e.Inherit), DefaultExcludes: e.DefaultExcludes,
			Exclude: e.Exclude, IncludeOnly: e.IncludeOnly, Set: e.Set,
		},
	}
	if cfg.ShellEnvironment.Err != nil {
		// Nobody knows what the user meant to keep back, so that is nearly all.
		o.Environment = process.Policy{Inherit: process.InheritCore, DefaultExcludes: true}
	}
	// No command gets the keys with which this server calls its providers.
	for _, p := range cfg.Providers {
		if p.EnvKey != "" {
			o.Withhold = append(o.Withhold, p.EnvKey)
		}
		for _, name := range p.EnvHTTPHeaders {
			o.Withhold = append(o.Withhold, name)
		}
	}
	return o
}
