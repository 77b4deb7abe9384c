package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/tools/patch"
	"app-server/protocol"
)

// patchAttempts is how often a patch is planned anew when files change under
// it, between the plan and the work. An editor that saves at the wrong moment
// costs one attempt.
const patchAttempts = 3

// patchTool is apply_patch. It is offered as a custom tool, whose input is the
// patch, and served as a function with the patch in a member as well.
func patchTool() Tool {
	return Tool{Name: "apply_patch", Custom: true, Local: true, Spec: patchSpec, Run: runPatch}
}

// offersPatch reports whether the model may call apply_patch. Where it may not,
// it patches through a shell command.
func (t *Turn) offersPatch() bool {
	return t.Env.Model.FreeformPatch || t.th.o.Features["apply_patch_freeform"]
}

// patchGrammar is the form of a patch for the backend, which lets the model
// write nothing else. It is what patch.Parse takes, without its leniencies.
const patchGrammar = `start: "*** Begin Patch" LF file+ "*** End Patch" LF?
file: add | remove | update
add: "*** Add File: " NAME LF added+
remove: "*** Delete File: " NAME LF
update: "*** Update File: " NAME LF move? hunk+
move: "*** Move to: " NAME LF
hunk: ("@@" | "@@ " NAME) LF line+ ending?
ending: "*** End of File" LF
added: "+" REST LF
line: ("+" | "-" | " ") REST LF
NAME: /(.+)/
REST: /(.*)/
%import common.LF
`

func patchSpec(t *Turn) (jsontext.Value, bool) {
	type format struct {
		Type       string `json:"type"`
		Syntax     string `json:"syntax"`
		Definition string `json:"definition"`
	}
	return encode(struct {
		Type        string `json:"type"`
		Name        string `json:"name"`
		Description string `json:"description"`
		Format      format `json:"format"`
	}{"custom", "apply_patch", "Changes files by a patch. Write the patch itself as the input, not JSON.",
		format{"grammar", "lark", patchGrammar}}), t.offersPatch()
}

func runPatch(ctx context.Context, t *Turn, c Call) Output {
	if !t.offersPatch() {
		return noTool(c)
	}
	text := c.Arguments
	if c.Kind != CallCustom {
		var in struct {
			Input string `json:"input" required:"true"`
		}
		if bad, ok := arguments(c, &in); !ok {
			return bad
		}
		text = in.Input
	}
	return say(t.applyPatch(ctx, c, text, t.Env.Cwd).Text)
}

// patchResult is what came of a patch. Text is for the model.
type patchResult struct {
	Text string
	OK   bool
}

// applyPatch applies a patch in the folder dir, which is absolute, and asks
// before where the policy says so. A patch that cannot be read, does not fit, or
// may not be applied is refused whole, before an item is shown.
func (t *Turn) applyPatch(ctx context.Context, c Call, text, dir string) patchResult {
	parsed, err := patch.Parse(text)
	if err != nil {
		return patchResult{Text: fmt.Sprintf("The patch cannot be read, and nothing was changed: %v", err)}
	}
	r := &patchRun{t: t, id: c.ID, patch: parsed, dir: dir}
	for {
		r.attempts++
		if res, done := r.attempt(ctx); done {
			return res
		}
	}
}

// patchRun is one patch on its way.
type patchRun struct {
	t        *Turn
	id       string
	patch    *patch.Patch
	dir      string
	attempts int
	// item is the item that was started, nil before that.
	item      *protocol.FileChangeItem
	startedMS int64
	// agreed are the files that the user agreed to for this patch.
	agreed []string
}

// attempt plans the patch, asks, and applies it. It is not done where a file was
// changed meanwhile: the new plan needs new checks.
func (r *patchRun) attempt(ctx context.Context) (res patchResult, done bool) {
	plan, err := r.patch.Plan(ctx, patch.OS(), r.dir)
	switch {
	case ctx.Err() != nil:
		return r.fail(ctx, protocol.ItemFailed, interrupted), true
	case err != nil:
		return r.fail(ctx, protocol.ItemFailed, fmt.Sprintf("The patch cannot be applied, and nothing was changed: %v", err)), true
	}
	files := plan.Touched()
	outside, err := r.t.outside(files)
	if err != nil {
		return r.fail(ctx, protocol.ItemFailed, fmt.Sprintf("The patch was not applied: %v.", err)), true
	}
	unsettled := outside
	if r.t.Env.Approval.Mode == protocol.ApprovalUntrusted {
		unsettled = files
	}
	unsettled = r.t.th.patches.unsettled(unsettled, r.agreed)
	if len(outside) > 0 && !r.t.mayAsk() {
		return r.fail(ctx, protocol.ItemDeclined, "The patch was not applied: it "+outsideText(outside)+", and the approval policy does not let the user be asked."), true
	}
	r.show(plan)
	if len(unsettled) > 0 {
		if res, ok := r.ask(ctx, files, outside); !ok {
			return res, true
		}
	}
	var stale *patch.StaleError
	var undo *patch.UndoError
	switch err := r.t.diff.apply(ctx, r.t.Env.Cwd, plan); {
	case errors.As(err, &stale) && r.attempts < patchAttempts:
		return patchResult{}, false
	case errors.As(err, &undo):
		return r.fail(ctx, protocol.ItemFailed, fmt.Sprintf("The patch was applied in part: %v.", err)), true
	case err != nil && ctx.Err() != nil:
		return r.fail(ctx, protocol.ItemFailed, interrupted), true
	case err != nil:
		return r.fail(ctx, protocol.ItemFailed, fmt.Sprintf("The patch could not be applied, and nothing was changed: %v.", err)), true
	}
	summary := plan.Summary()
	r.tell(ctx, summary)
	r.end(protocol.ItemDone)
	r.t.TellDiff()
	return patchResult{Text: summary, OK: true}, true
}

// show starts the item; later it puts what a new plan says into its end.
func (r *patchRun) show(plan *patch.Plan) {
	first := r.item == nil
	r.item = &protocol.FileChangeItem{Type: protocol.ItemFileChange, ID: r.id, Changes: changesOf(plan), Status: protocol.ItemInProgress}
	if first {
		r.startedMS = time.Now().UnixMilli()
		r.t.Host.ItemStarted(r.item)
	}
}

// end completes the item, if there is one.
func (r *patchRun) end(status protocol.ItemStatus) {
	if r.item == nil {
		return
	}
	done := *r.item
	done.Status = status
	r.t.Host.ItemCompleted(&done)
}

// tell shows the parent what came of the patch.
func (r *patchRun) tell(ctx context.Context, text string) {
	r.t.Host.Progress(ctx, protocol.MethodItemFileChangeOutputDelta, &protocol.FileChangeOutputDeltaNotification{
		ThreadID: r.t.th.o.ID, TurnID: r.t.ID, ItemID: r.id, Delta: text,
	})
}

// fail ends the item, if there is one. An item has no member for what went wrong,
// so the parent gets it as output.
func (r *patchRun) fail(ctx context.Context, status protocol.ItemStatus, text string) patchResult {
	if r.item != nil && status == protocol.ItemFailed && ctx.Err() == nil {
		r.tell(ctx, text+"\n")
	}
	r.end(status)
	return patchResult{Text: text}
}

// ask puts the patch to the user. Whatever is no clear yes is a no.
func (r *patchRun) ask(ctx context.Context, files, outside []string) (res patchResult, ok bool) {
	q := &protocol.FileChangeRequestApprovalParams{ThreadID: r.t.th.o.ID, TurnID: r.t.ID, ItemID: r.id, StartedAtMS: r.startedMS}
	if len(outside) > 0 {
		why := "The patch " + outsideText(outside) + "."
		q.Reason = &why
	}
	raw, err := r.t.Host.Ask(ctx, protocol.FlagWaitingOnApproval, protocol.MethodItemFileChangeRequestApproval, q)
	var answer protocol.FileChangeRequestApprovalResponse
	switch {
	case err != nil && ctx.Err() != nil:
		return r.fail(ctx, protocol.ItemDeclined, interrupted), false
	case err != nil:
		return r.fail(ctx, protocol.ItemDeclined, "The patch was not applied: the user could not be asked."), false
	case protocol.Decode(raw, &answer) != nil:
		return r.fail(ctx, protocol.ItemDeclined, "The patch was not applied: the question for approval got no usable answer."), false
	}
	switch answer.Decision {
	case protocol.DecisionAcceptForSession:
		r.t.th.patches.agree(files)
		return patchResult{}, true
	case protocol.DecisionAccept:
		r.agreed = files
		return patchResult{}, true
	case protocol.DecisionCancel:
		res = r.fail(ctx, protocol.ItemDeclined, "The user declined the patch and stopped the turn.")
		r.t.Host.Interrupt()
		return res, false
	}
	return r.fail(ctx, protocol.ItemDeclined, "The user declined the patch. Nothing was changed. Do not try to reach the same in another way."), false
}

// outsideText says in plain words which of the files are outside, without
// listing a whole tree of them.
func outsideText(outside []string) string {
	const most = 3
	names := outside[:min(most, len(outside))]
	text := "changes " + strings.Join(names, ", ")
	if more := len(outside) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + ", which the sandbox does not allow"
}

// outside lists the files that the sandbox does not let be written. They are
// real paths: Plan.Touched has followed all links, and of a link that is removed
// it names the link, wherever that leads.
func (t *Turn) outside(files []string) ([]string, error) {
	folders, err := t.th.r.o.Sandbox.Folders(t.confinement())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(files), folders.Allows), nil
}

// changesOf is a plan as a parent sees it: as in the reference, in the order of
// the paths.
func changesOf(plan *patch.Plan) []protocol.FileUpdateChange {
	out := make([]protocol.FileUpdateChange, 0, len(plan.Changes))
	for i := range plan.Changes {
		c := &plan.Changes[i]
		kind := protocol.PatchKind{Type: protocol.PatchKindType(c.Kind)}
		switch {
		case c.MovePath != "":
			kind.MovePath = protocol.Some(c.MovePath)
		case c.Kind == patch.Update:
			kind.MovePath = protocol.Null[string]()
		}
		out = append(out, protocol.FileUpdateChange{Path: c.Path, Kind: kind, Diff: c.Diff()})
	}
	slices.SortStableFunc(out, func(a, b protocol.FileUpdateChange) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// patchApprovals are the files that the user said yes to for the session.
type patchApprovals struct {
	mu    sync.Mutex
	files map[string]bool // by real path
}

// agree remembers files.
func (a *patchApprovals) agree(files []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.files == nil {
		a.files = map[string]bool{}
	}
	for _, f := range files {
		a.files[f] = true
	}
}

// unsettled lists the files that nobody has agreed to.
func (a *patchApprovals) unsettled(files, agreed []string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(files), func(f string) bool { return a.files[f] || slices.Contains(agreed, f) })
}
