package tools

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"app-server/internal/process"
	"app-server/internal/process/shell"
	"app-server/internal/sandbox"
	"app-server/protocol"
)

// command is a program that somebody wants to run.
type command struct {
	// item is the id of its item.
	item string
	argv []string
	// dir is its folder, absolute.
	dir    string
	source protocol.CommandSource
	// escalate asks for a run outside of the sandbox, for the reason given.
	escalate bool
	reason   string
	// prefix is the beginning of such commands that the model would have allowed
	// for good.
	prefix   []string
	terminal bool
	timeout  time.Duration // 0: none
}

// terminalSize is the size of the terminals of commands.
var terminalSize = process.Size{Rows: 24, Cols: 80}

// execution is a command from the start of its item to the end of it. Its
// methods but watch belong to one goroutine: that of the call until the call
// leaves it behind, then that of watch. Calls of write_stdin use write and take.
type execution struct {
	t *Turn
	c command
	// item is how the item began; startedAt is zero before it has.
	item      protocol.CommandExecutionItem
	startedAt time.Time
	// announced is closed when item/started was told, which output waits for.
	announced chan struct{}
	// proc is the process, or the last one of several tries, and confined whether
	// it runs in a sandbox.
	proc     *process.Process
	confined bool
	// unread is whether input was written that nobody reads. The system looks at
	// nothing that comes behind it, not even a Ctrl-C.
	unread atomic.Bool
	// ending is held while item/completed is told, or what must come before it.
	ending sync.Mutex
	// done is closed when item/completed was told.
	done chan struct{}
}

// newExecution begins nothing.
func (t *Turn) newExecution(c command) *execution {
	return &execution{t: t, c: c, announced: make(chan struct{}), done: make(chan struct{}), item: protocol.CommandExecutionItem{
		Type: protocol.ItemCommandExecution, ID: c.item, Command: shell.Quote(c.argv), Cwd: c.dir, Source: c.source,
		Status: protocol.ItemInProgress, CommandActions: t.actions(c),
	}}
}

// actions are what the command does, in the form of the wire.
func (t *Turn) actions(c command) []protocol.CommandAction {
	actions := []protocol.CommandAction{}
	for _, a := range shell.ActionsOf(c.argv, shell.Place{Cwd: c.dir, Home: t.th.r.o.UserHome}) {
		out := protocol.CommandAction{Type: protocol.CommandActionType(a.Kind), Command: a.Command}
		switch a.Kind {
		case shell.Read:
			out.Name, out.Path = protocol.Some(a.Name), nullable(a.Path)
		case shell.ListFiles:
			out.Path = nullable(a.Path)
		case shell.Search:
			out.Query, out.Path = nullable(a.Query), nullable(a.Path)
		}
		actions = append(actions, out)
	}
	return actions
}

func nullable(s *string) protocol.Optional[string] {
	return protocol.Optional[string]{Present: true, Value: s}
}

// start runs a command once the rules and, where it is needed, the user allow
// it. Where it does not run, the problem says why, and no item is left open.
func (t *Turn) start(ctx context.Context, c command) (x *execution, problem string) {
	if ctx.Err() != nil {
		return nil, interrupted
	}
	if strings.Contains(strings.Join(c.argv, ""), "\x00") {
		return nil, "The command was not run: it has a NUL character in it, which no program can be given."
	}
	if info, err := os.Stat(c.dir); err != nil || !info.IsDir() {
		return nil, fmt.Sprintf("The command was not run: its working directory %s is not an existing folder.", c.dir)
	}
	v := t.judge(c)
	if v.refusal != "" {
		return nil, v.refusal
	}
	x = t.newExecution(c)
	outside := v.outside
	if v.question != nil {
		x.begin()
		if why := t.permit(ctx, x, *v.question); why != "" {
			x.complete(protocol.ItemDeclined)
			return nil, why
		}
		outside = !v.question.confined
	}
	if err := x.launch(outside); err != nil {
		x.begin()
		return nil, x.fail(err)
	}
	x.begin()
	return x, ""
}

// begin tells the start of the item, once.
func (x *execution) begin() {
	if !x.startedAt.IsZero() {
		return
	}
	x.startedAt = time.Now()
	item := x.item
	x.t.Host.ItemStarted(&item)
	close(x.announced)
}

// launch starts the process, in the sandbox or outside of it.
func (x *execution) launch(outside bool) error {
	t, o := x.t, x.t.th.r.o
	spec := process.Spec{
		Argv: x.c.argv, Dir: x.c.dir, Owner: t.th.o.ID, Timeout: x.c.timeout, Output: x.output,
		Env: t.th.o.Environment.Environ(o.Environ, t.th.o.Withhold),
	}
	if x.c.source != protocol.CommandByUser {
		plain := process.Headless()
		plain["CODEX_THREAD_ID"] = &t.th.o.ID
		spec.Env = process.Override(spec.Env, plain)
	}
	if x.c.terminal {
		spec.Terminal = &terminalSize
	}
	release := func() {}
	x.confined = !outside && t.confinement().Mode != protocol.SandboxDangerFullAccess
	if x.confined {
		t.th.warnSandbox(t.Host)
		c, err := o.Sandbox.Command(t.confinement(), x.c.argv)
		if err != nil {
			return err
		}
		spec.Argv, spec.Attr, spec.Env = c.Argv, c.Attr, append(spec.Env, c.Env...)
		release = c.Release
	}
	spec.Ended = release
	proc, err := o.Processes.Start(spec)
	if errors.Is(err, process.ErrFull) && x.c.source == protocol.CommandUnifiedExec && t.th.terminals.endIdle() {
		proc, err = o.Processes.Start(spec)
	}
	if err != nil {
		release()
		return err
	}
	x.proc = proc
	if x.c.source == protocol.CommandUnifiedExec {
		id := fmt.Sprint(proc.ID())
		x.item.ProcessID = &id
	}
	return nil
}

// output tells a piece of output. It comes after the item's start, whatever the
// command prints in its first moment.
func (x *execution) output(ctx context.Context, piece []byte) {
	select {
	case <-x.announced:
	default:
		select {
		case <-x.announced:
		case <-ctx.Done():
			return
		}
	}
	x.t.Host.Progress(ctx, protocol.MethodItemCommandExecutionOutputDelta, &protocol.CommandExecutionOutputDeltaNotification{
		ThreadID: x.t.th.o.ID, TurnID: x.t.ID, ItemID: x.c.item, Delta: string(piece),
	})
}

// forever is the patience of who waits for the end.
const forever = time.Duration(math.MaxInt64)

// attend waits for the end of the command, or until patience is over. When ctx
// ends the command is stopped. A command that the sandbox made fail is run again
// outside where the policy and the user allow it; remark tells the model what came
// of the question. Once it has ended, the item is completed.
func (x *execution) attend(ctx context.Context, patience time.Duration) (ended bool, remark string) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-x.proc.Done():
	case <-timer.C:
		select {
		case <-x.proc.Done(): // which counts where both come at once
		default:
			return false, ""
		}
	case <-ctx.Done():
		x.proc.Stop()
		<-x.proc.Done()
	}
	r := x.proc.Result()
	if ctx.Err() != nil || !x.confined || !deniedBySandbox(r) || !x.t.retriesOutside() {
		x.conclude()
		return true, x.t.setupRemark(x.confined, r)
	}
	if why := x.t.permit(ctx, x, x.t.retryQuestion(x.c)); why != "" {
		x.complete(protocol.ItemDeclined)
		return true, "It failed in the sandbox. " + why
	}
	first := x.proc
	if err := x.launch(true); err != nil {
		first.Release()
		return true, x.fail(err)
	}
	first.Release()
	return x.attend(ctx, patience)
}

// conclude tells the end of a command that has run.
func (x *execution) conclude() {
	if r := x.proc.Result(); r.ExitCode == 0 && r.Cause == process.Exited {
		x.complete(protocol.ItemDone)
	} else {
		x.complete(protocol.ItemFailed)
	}
}

// complete tells the end of the item.
func (x *execution) complete(status protocol.ItemStatus) {
	item := x.item
	item.Status = status
	if x.proc != nil {
		r := x.proc.Result()
		ms := r.Duration.Milliseconds()
		item.ExitCode, item.DurationMS = &r.ExitCode, &ms
		if text := r.Output.String(); text != "" {
			item.AggregatedOutput = &text
		}
	}
	x.ending.Lock()
	defer x.ending.Unlock()
	x.t.Host.ItemCompleted(&item)
	close(x.done)
}

// fail completes the item of a command that could not be started, and says why.
func (x *execution) fail(err error) string {
	text := "The command was not run: " + startProblem(err)
	item, none := x.item, -1
	var ms int64
	item.Status, item.AggregatedOutput, item.ExitCode, item.DurationMS = protocol.ItemFailed, &text, &none, &ms
	x.t.Host.ItemCompleted(&item)
	close(x.done)
	return text
}

// startProblem puts an error of a start into words.
func startProblem(err error) string {
	switch {
	case errors.Is(err, process.ErrFull):
		return fmt.Sprintf("%d commands of this thread are running. End some of them first.", process.MaxRunning)
	case errors.Is(err, process.ErrNotFound):
		return "there is no such program."
	case errors.Is(err, process.ErrDir):
		return "its working directory is not an existing folder."
	case errors.Is(err, context.Canceled):
		return "the turn was interrupted."
	case errors.Is(err, process.ErrClosed):
		return "the server is about to end."
	case errors.Is(err, syscall.E2BIG):
		return "it is longer than the system allows. Put the text into a file."
	case errors.Is(err, sandbox.ErrUnsupported):
		return "this system cannot confine it to the sandbox, and it may not run outside."
	}
	// The path in such an error may be that of this server's own program.
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err.Error() + "."
	}
	return err.Error()
}

// folder resolves the folder that a call names against the turn's.
func (t *Turn) folder(workdir string) string {
	if workdir == "" {
		return t.Env.Cwd
	}
	if !filepath.IsAbs(workdir) {
		workdir = filepath.Join(t.Env.Cwd, workdir)
	}
	return filepath.Clean(workdir)
}
