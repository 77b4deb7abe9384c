package tools

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/process"
	"app-server/internal/process/shell"
	"app-server/internal/sandbox"
	"app-server/internal/tools/rules"
	"app-server/protocol"
)

// verdict is what is to be done with a command: exactly one of refusal, which
// tells the model why not, a question, or, with neither, a run. outside is
// whether it then runs outside of the sandbox.
type verdict struct {
	refusal  string
	question *question
	outside  bool
}

// question is what the user is asked about a command.
type question struct {
	reason string // may be empty
	// confined is whether a yes leaves the command in the sandbox. Else it runs
	// outside.
	confined bool
	// amendment is a rule that the user may make for good; nil for none.
	amendment []string
}

// judge decides about a command. The order is the reference's, measured: the
// user's rules; then what removes by force; then what the model wants outside of
// the sandbox; then the approval policy. A command text counts as the commands
// that it is made of, where it is plain enough to be read.
func (t *Turn) judge(c command) verdict {
	full := t.confinement().Mode == protocol.SandboxDangerFullAccess
	set := t.th.r.rules.Load()
	t.th.warnOnce(t.Host, set.Problems...)

	parts := t.parts(c.argv)
	var open [][]string // no rule has a word on these
	var strictest rules.Rule
	var subject []string
	for _, words := range parts {
		r, ok := set.Match(words)
		if !ok {
			open = append(open, words)
		} else if r.Decision > strictest.Decision {
			strictest, subject = r, r.Prefix(words)
		}
	}
	if text, ok := shell.Script(c.argv); ok {
		for _, words := range shell.Mentions(text) {
			if r, _ := set.Match(words); r.Decision > max(strictest.Decision, rules.Allow) {
				strictest, subject = r, r.Prefix(words)
			}
		}
	}
	switch strictest.Decision {
	case rules.Forbidden:
		return verdict{refusal: withReason("The command was not run: a rule of the user forbids "+shell.Quote(subject)+".", strictest.Justification)}
	case rules.Prompt:
		return t.wantsAnswer(t.rulesMayAsk(), question{reason: withReason("A rule wants your approval for "+shell.Quote(subject)+".", strictest.Justification)})
	}
	if len(open) == 0 {
		return verdict{outside: true} // the user's rules allow all of it
	}
	unknown := slices.ContainsFunc(open, func(words []string) bool {
		// A project's .git/config can name programs that git then runs. Outside of
		// the sandbox that is no mere look.
		return !shell.KnownSafe(words) || full && path.Base(words[0]) == "git"
	})

	ask := question{reason: c.reason, amendment: amendment(c, parts, open)}
	mode := t.Env.Approval.Mode
	switch {
	case slices.ContainsFunc(open, removesByForce) && !(full && mode == protocol.ApprovalNever):
		return t.wantsAnswer(t.mayAsk(), ask)
	case c.escalate && (!full || mode == protocol.ApprovalNever):
		return t.wantsAnswer(t.mayAsk(), ask)
	case mode == protocol.ApprovalUntrusted && unknown:
		return verdict{question: &ask}
	case !full && t.th.r.o.Sandbox.Probe().Err != nil:
		t.th.warnSandbox(t.Host)
		if ask.reason == "" {
			ask.reason = "Commands cannot be confined on this system. Run it without a sandbox?"
		}
		return t.wantsAnswer(t.mayAsk(), ask)
	case unknown && len(set.Problems) > 0:
		// A rule that cannot be read may forbid it, or want it to be asked about.
		if !t.rulesMayAsk() {
			return verdict{refusal: "The command was not run: a file of the user's command rules cannot be used, and the approval policy does not let the user be asked. Tell the user."}
		}
		return verdict{question: &question{reason: "A file of your command rules cannot be used, so each command needs your approval. Run this one?", confined: !full}}
	}
	return verdict{outside: full}
}

// wantsAnswer is a question where one may be put, else a refusal.
func (t *Turn) wantsAnswer(may bool, q question) verdict {
	if !may {
		return verdict{refusal: "The command was not run: it needs the user's approval, and the approval policy does not let the user be asked. Find another way that needs none."}
	}
	return verdict{question: &q}
}

func withReason(text, reason string) string {
	if reason == "" {
		return text
	}
	return text + " " + reason
}

// rulesMayAsk reports whether the approval policy lets a rule put a question.
func (t *Turn) rulesMayAsk() bool {
	if a := t.Env.Approval; a.Mode == protocol.ApprovalGranular {
		return a.Granular != nil && a.Granular.Rules
	}
	return t.Env.Approval.Mode != protocol.ApprovalNever
}

// parts are the commands that an argv is made of: those of its text, where it
// hands a plain one to a shell that can be trusted to be a shell, else itself.
func (t *Turn) parts(argv []string) [][]string {
	if text, ok := shell.Script(argv); ok {
		dir, _ := path.Split(argv[0])
		if argv[0] == t.th.r.o.Shell.Path || dir == "" || dir == "/bin/" || dir == "/usr/bin/" {
			if list, ok := shell.Words(text); ok {
				return list
			}
		}
	}
	return [][]string{argv}
}

// removesByForce tells whether a command is an rm that never asks back. The
// reference lets the user decide about those even where the sandbox allows them.
func removesByForce(words []string) bool {
	switch name := path.Base(words[0]); name {
	case "sudo":
		return len(words) > 1 && removesByForce(words[1:])
	case "rm":
		return slices.ContainsFunc(words[1:], func(arg string) bool {
			return len(arg) > len("--") && strings.HasPrefix("--force", arg) || len(arg) > 1 && arg[0] == '-' && arg[1] != '-' && strings.Contains(arg, "f")
		})
	default:
		text, ok := shell.Script(words)
		if !ok {
			return false
		}
		list, ok := shell.Words(text)
		return ok && slices.ContainsFunc(list, removesByForce)
	}
}

// tooWide are programs that do whatever their further arguments say: a rule for
// them alone, or with options only, would allow everything.
var tooWide = []string{
	"bash", "sh", "zsh", "dash", "ksh", "ash", "fish", "busybox", "env", "sudo", "doas", "su", "xargs", "command", "eval", "exec",
	"nohup", "nice", "time", "timeout", "setsid", "stdbuf", "python", "python3", "node", "ruby", "perl", "php", "lua",
	"osascript", "pwsh", "powershell", "git", "npx", "uv", "go", "cargo", "make", "docker", "ssh", "find",
}

func isTooWide(prefix []string) bool {
	return slices.Contains(tooWide, path.Base(prefix[0])) && !slices.ContainsFunc(prefix[1:], func(word string) bool { return !strings.HasPrefix(word, "-") })
}

// amendment proposes a rule: what the model proposes where that covers all that
// no rule covers yet, else the first command without a rule, unless that would
// allow everything. Beside others, commands that only look need no rule.
func amendment(c command, parts, open [][]string) []string {
	wanting := slices.DeleteFunc(slices.Clone(open), func(words []string) bool { return len(parts) > 1 && shell.KnownSafe(words) })
	if len(wanting) == 0 {
		return nil
	}
	covers := func(words []string) bool {
		return len(words) >= len(c.prefix) && slices.Equal(words[:len(c.prefix)], c.prefix)
	}
	if len(c.prefix) > 0 && !isTooWide(c.prefix) && !slices.ContainsFunc(wanting, func(words []string) bool { return !covers(words) }) {
		return c.prefix
	}
	if isTooWide(wanting[0]) {
		return nil
	}
	return wanting[0]
}

// permit puts a question to the user. Where the answer is no, or there is none,
// why tells the model.
func (t *Turn) permit(ctx context.Context, x *execution, q question) (why string) {
	if ctx.Err() != nil {
		return interrupted
	}
	if t.th.approved(x.c, q) {
		return ""
	}
	p := &protocol.CommandExecutionRequestApprovalParams{
		ThreadID: t.th.o.ID, TurnID: t.ID, ItemID: x.c.item, StartedAtMS: x.startedAt.UnixMilli(),
		Command: x.item.Command, Cwd: x.c.dir, CommandActions: x.item.CommandActions, ProposedExecpolicyAmendment: q.amendment,
		AvailableDecisions: []protocol.CommandDecision{{Kind: protocol.DecisionAccept}, {Kind: protocol.DecisionCancel}},
	}
	if q.reason != "" {
		p.Reason = &q.reason
	}
	if q.amendment != nil {
		p.AvailableDecisions = slices.Insert(p.AvailableDecisions, 1, protocol.CommandDecision{Kind: protocol.DecisionAcceptWithAmendment, Amendment: q.amendment})
	}
	raw, err := t.Host.Ask(ctx, protocol.FlagWaitingOnApproval, protocol.MethodItemCommandExecutionRequestApproval, p)
	switch {
	case err != nil && ctx.Err() != nil:
		return interrupted
	case err != nil:
		return "The command was not run: the user could not be asked."
	}
	// What was answered for good holds, also where an interrupt came right after it.
	why = t.decide(x.c, q, raw)
	if why == "" && ctx.Err() != nil {
		return interrupted
	}
	return why
}

// decide does what an answer says, and gives the reason of a no.
func (t *Turn) decide(c command, q question, raw jsontext.Value) (why string) {
	const declined = "The command was not run: the user declined it. Do not try to reach the same in another way."
	var answer protocol.CommandExecutionRequestApprovalResponse
	if err := protocol.Decode(raw, &answer); err != nil {
		return "The command was not run: the answer to the request for approval could not be read."
	}
	switch d := answer.Decision; d.Kind {
	case protocol.DecisionAccept:
		return ""
	case protocol.DecisionAcceptForSession:
		t.th.approve(c, q)
		return ""
	case protocol.DecisionAcceptWithAmendment:
		if err := t.th.r.rules.Allow(d.Amendment); err != nil {
			t.Host.Warn(fmt.Sprintf("The command runs, but the rule for it could not be kept: %v.", err))
			return ""
		}
		t.Host.Inform(fmt.Sprintf("The user has made a rule: commands that begin with %s run outside of the sandbox from now on, and nobody is asked about them.", encode(d.Amendment)))
		return ""
	case protocol.DecisionApplyNetworkPolicy:
		// Nothing was asked about a host here. An allowed command has the network
		// anyway, so that a yes is a yes; no rule is kept.
		if d.Network != nil && d.Network.Action == "allow" {
			return ""
		}
		return declined
	case protocol.DecisionCancel:
		t.Host.Interrupt()
		return interrupted
	}
	return declined
}

// approvalKey names a command whose approval holds for the session: the same
// words in the same folder. A yes to a run in the sandbox is none to one outside.
func approvalKey(c command, q question) string {
	return fmt.Sprintf("%s\x00%s\x00%t", shell.Quote(c.argv), c.dir, q.confined)
}

func (t *Thread) approve(c command, q question) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.approvals == nil {
		t.approvals = map[string]bool{}
	}
	t.approvals[approvalKey(c, q)] = true
}

func (t *Thread) approved(c command, q question) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.approvals[approvalKey(c, q)]
}

// retriesOutside reports whether a command that the sandbox made fail is asked
// about. With on-request it is the model that has to ask.
func (t *Turn) retriesOutside() bool {
	switch t.Env.Approval.Mode {
	case protocol.ApprovalOnFailure, protocol.ApprovalUntrusted, protocol.ApprovalGranular:
		return t.mayAsk()
	}
	return false
}

func (t *Turn) retryQuestion(c command) question {
	parts := t.parts(c.argv)
	set := t.th.r.rules.Load()
	open := slices.DeleteFunc(slices.Clone(parts), func(words []string) bool { _, ok := set.Match(words); return ok })
	return question{reason: "The command failed in the sandbox. Run it again outside?", amendment: amendment(c, parts, open)}
}

// deniedWords are what programs print when they may not do something. They are
// looked for in lower case.
var deniedWords = []string{
	"read-only file system", "operation not permitted", "permission denied", "network is unreachable", "could not resolve",
	"name resolution", "name or service not known", "no such host", "address family not supported", "connection refused",
}

// deniedEnds is how much of an output is searched, in bytes: half of it at each
// end.
const deniedEnds = 32 << 10

// deniedBySandbox guesses whether a command failed because of the sandbox: there
// is no other sign of it than what the command prints. A wrong yes costs the user
// a question.
func deniedBySandbox(r process.Result) bool {
	if r.ExitCode == 0 || r.Cause != process.Exited {
		return false
	}
	if _, failed := sandbox.SetupError(r.ExitCode, r.Output.Head); failed {
		return true
	}
	ends := strings.ToLower(r.Output.Shorten(deniedEnds).String())
	return slices.ContainsFunc(deniedWords, func(w string) bool { return strings.Contains(ends, w) })
}

// setupRemark tells the model, and once the user, that a command never ran since
// its sandbox could not be made.
func (t *Turn) setupRemark(confined bool, r process.Result) string {
	if !confined {
		return ""
	}
	reason, failed := sandbox.SetupError(r.ExitCode, r.Output.Head)
	if !failed {
		return ""
	}
	text := "The sandbox for commands could not be set up: " + strings.TrimSuffix(reason, ".") + "."
	t.th.warnOnce(t.Host, text)
	return text + " The command was not run."
}

// warnSandbox tells once a thread what the sandbox cannot enforce here.
func (t *Thread) warnSandbox(h Host) {
	if w := t.r.o.Sandbox.Probe().Warning(); w != "" {
		t.warnOnce(h, w)
	}
}

// warnOnce sends each warning once a thread.
func (t *Thread) warnOnce(h Host, warnings ...string) {
	for _, w := range warnings {
		t.mu.Lock()
		told := t.warned[w]
		if t.warned == nil {
			t.warned = map[string]bool{}
		}
		t.warned[w] = true
		t.mu.Unlock()
		if !told {
			h.Warn(w)
		}
	}
}
