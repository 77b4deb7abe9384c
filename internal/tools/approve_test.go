package tools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"app-server/internal/sandbox"
	"app-server/protocol"
)

const escalated = `,"sandbox_permissions":"require_escalated","justification":"because"`

func made(b *bench) bool {
	_, err := os.Stat(filepath.Join(b.cwd, "made"))
	return err == nil
}

// TestAnswers goes through what a parent may answer.
func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		name, answer string
		err          error
		status       protocol.ItemStatus
		interrupts   int
		rules        string
	}{
		{name: "accept", answer: `{"decision":"accept"}`, status: protocol.ItemDone},
		{name: "acceptForSession", answer: `{"decision":"acceptForSession"}`, status: protocol.ItemDone},
		{name: "amendment", answer: `{"decision":{"acceptWithExecpolicyAmendment":{"execpolicy_amendment":["touch","made"]}}}`, status: protocol.ItemDone, rules: "prefix_rule(pattern=[\"touch\", \"made\"], decision=\"allow\")\n"},
		{name: "empty amendment", answer: `{"decision":{"acceptWithExecpolicyAmendment":{"execpolicy_amendment":[]}}}`, status: protocol.ItemDone},
		{name: "network allow", answer: `{"decision":{"applyNetworkPolicyAmendment":{"network_policy_amendment":{"action":"allow","host":"x"}}}}`, status: protocol.ItemDone},
		{name: "network deny", answer: `{"decision":{"applyNetworkPolicyAmendment":{"network_policy_amendment":{"action":"deny","host":"x"}}}}`, status: protocol.ItemDeclined},
		{name: "decline", answer: `{"decision":"decline"}`, status: protocol.ItemDeclined},
		{name: "cancel", answer: `{"decision":"cancel"}`, status: protocol.ItemDeclined, interrupts: 1},
		{name: "unknown", answer: `{"decision":"zzz"}`, status: protocol.ItemDeclined},
		{name: "rubbish", answer: `[7]`, status: protocol.ItemDeclined},
		{name: "nothing", answer: ``, status: protocol.ItemDeclined},
		{name: "error", err: errors.New("the parent says no"), status: protocol.ItemDeclined},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			h := &fakeHost{answer: func(string, any) (string, error) {
				return test.answer, test.err
			}}
			out := exec(b.turn(h, onRequest, readOnly), t.Context(), "touch made", escalated)
			started, done := h.command(t)
			if done.Status != test.status || made(b) != (test.status == protocol.ItemDone) || h.interrupts() != test.interrupts || out == "" {
				t.Errorf("status %s, made %v, interrupts %d, the model got %q", done.Status, made(b), h.interrupts(), out)
			}
			if test.status == protocol.ItemDeclined && (done.ExitCode != nil || done.AggregatedOutput != nil) {
				t.Errorf("a declined command has an outcome: %+v", done)
			}
			got, _ := os.ReadFile(filepath.Join(b.home, "rules", "default.rules"))
			if string(got) != test.rules {
				t.Errorf("rules %q", got)
			}
			want := &protocol.CommandExecutionRequestApprovalParams{
				ThreadID: "thread", TurnID: "turn", ItemID: "c1", StartedAtMS: h.approvals()[0].StartedAtMS, Reason: new("because"),
				Command: "/bin/sh -c 'touch made'", Cwd: b.cwd, CommandActions: started.CommandActions,
				ProposedExecpolicyAmendment: []string{"touch", "made"},
				AvailableDecisions: []protocol.CommandDecision{
					{Kind: protocol.DecisionAccept}, {Kind: protocol.DecisionAcceptWithAmendment, Amendment: []string{"touch", "made"}}, {Kind: protocol.DecisionCancel},
				},
			}
			if diff := cmp.Diff(want, h.approvals()[0]); diff != "" || h.approvals()[0].StartedAtMS == 0 {
				t.Error(diff)
			}
			if events := h.seen(); events[0].told != begun || events[1].line() != "ask waitingOnApproval" {
				t.Error("asked before item/started")
			}
		})
	}
}

// TestWhoIsAsked goes through policies and commands. A case says what becomes of
// a command without an answer from the user: asked, run or refused.
func TestWhoIsAsked(t *testing.T) {
	granular := func(g protocol.GranularApproval) protocol.ApprovalPolicy {
		return protocol.ApprovalPolicy{Mode: protocol.ApprovalGranular, Granular: &g}
	}
	plain := func(m protocol.ApprovalMode) protocol.ApprovalPolicy { return protocol.ApprovalPolicy{Mode: m} }
	const rulesFile = `prefix_rule(pattern=["mkdir"])
prefix_rule(pattern=["git", "pull"], decision="prompt", justification="It uses the network.")
prefix_rule(pattern=["make", ["a", "b"]], decision="forbidden")
`
	for _, test := range []struct {
		name     string
		approval protocol.ApprovalPolicy
		sandbox  protocol.SandboxPolicyType
		command  string
		more     string
		want     string
	}{
		{"untrusted, known", plain(untrusted), readOnly, "ls", "", "run"},
		{"untrusted, unknown", plain(untrusted), readOnly, "touch x", "", "asked touch x"},
		{"untrusted, full access", plain(untrusted), full, "touch x", "", "asked touch x"},
		{"untrusted, a look with git", plain(untrusted), readOnly, "git status", "", "run"},
		{"untrusted, a look with git and full access", plain(untrusted), full, "git status", "", "asked git status"},
		{"untrusted, list", plain(untrusted), readOnly, "cat x | wc -l && touch x && go build", "", "asked touch x"},
		{"untrusted, text that cannot be read", plain(untrusted), readOnly, "echo a > x", "", "asked /bin/sh -c echo a > x"},
		{"untrusted, escalated", plain(untrusted), readOnly, "touch x", escalated, "asked touch x"},
		{"on-request", plain(onRequest), readOnly, "touch x", "", "run"},
		{"on-request, escalated", plain(onRequest), readOnly, "touch x", escalated, "asked touch x"},
		{"on-request, escalated, full access", plain(onRequest), full, "touch x", escalated, "run"},
		{"on-request, prefix rule", plain(onRequest), readOnly, "touch a b", escalated + `,"prefix_rule":["touch","a"]`, "asked touch a"},
		{"on-request, prefix rule beside what only looks", plain(onRequest), readOnly, "touch a b && echo made", escalated + `,"prefix_rule":["touch"]`, "asked touch"},
		{"on-request, prefix rule that covers a part", plain(onRequest), readOnly, "touch a && mkfifo b", escalated + `,"prefix_rule":["touch"]`, "asked touch a"},
		{"on-request, prefix rule of another command", plain(onRequest), readOnly, "touch x", escalated + `,"prefix_rule":["git","pull"]`, "asked touch x"},
		{"on-request, prefix rule that is too wide", plain(onRequest), readOnly, "python3 x.py", escalated + `,"prefix_rule":["python3"]`, "asked python3 x.py"},
		{"on-request, prefix rule of an interpreter", plain(onRequest), readOnly, "bash -c 'touch x'", escalated + `,"prefix_rule":["bash","-c"]`, "asked bash -c touch x"},
		{"on-request, an interpreter alone", plain(onRequest), readOnly, "python3", escalated, "asked "},
		{"on-request, rm -rf", plain(onRequest), full, "echo a && rm -rf x", "", "asked rm -rf x"},
		{"on-request, nested rm -fr", plain(onRequest), readOnly, "bash -c '/bin/rm -fr x'", "", "asked bash -c /bin/rm -fr x"},
		{"on-request, rm --for", plain(onRequest), readOnly, "rm --for x", "", "asked rm --for x"},
		{"on-request, prefix rule of what runs others", plain(onRequest), readOnly, "nohup touch x", escalated + `,"prefix_rule":["nohup"]`, "asked nohup touch x"},
		{"on-request, rm", plain(onRequest), readOnly, "rm x", "", "run"},
		{"never, escalated", plain(never), readOnly, "touch x", escalated, "refused"},
		{"never, escalated, full access", plain(never), full, "touch x", escalated, "refused"},
		{"on-request, escalated, full access", plain(onRequest), full, "touch x", escalated, "run"},
		{"never, rm -rf", plain(never), readOnly, "rm -rf x", "", "refused"},
		{"never, rm -rf, full access", plain(never), full, "rm -rf x", "", "run"},
		{"granular, escalated", granular(protocol.GranularApproval{SandboxApproval: true}), readOnly, "touch x", escalated, "asked touch x"},
		{"granular without, escalated", granular(protocol.GranularApproval{Rules: true}), readOnly, "touch x", escalated, "refused"},
		{"granular without rules", granular(protocol.GranularApproval{SandboxApproval: true}), readOnly, "git pull", "", "refused"},
		{"granular with rules", granular(protocol.GranularApproval{Rules: true}), readOnly, "git pull", "", "asked "},
		{"rule allows", plain(untrusted), readOnly, "mkdir x", "", "run"},
		{"rule allows what a line seems to go on with", plain(untrusted), readOnly, "mkdir x \\\r\ntouch y", "", "asked /bin/sh -c mkdir x \\\r\ntouch y"},
		{"rule allows a part", plain(untrusted), readOnly, "mkdir x && touch y", "", "asked touch y"},
		{"rule asks", plain(onRequest), full, "git pull origin", "", "asked "},
		{"rule asks, never", plain(never), full, "git pull", "", "refused"},
		{"rule asks, output into a file", plain(onRequest), full, "git pull > log", "", "asked "},
		{"rule forbids, in parentheses", plain(onRequest), full, "(A=b make a $X) &", "", "refused"},
		{"rule forbids, in another shell", plain(onRequest), full, "mkdir x && bash -c 'make b'", "", "refused"},
		{"rule allows, output into a file", plain(untrusted), readOnly, "mkdir x > log", "", "asked /bin/sh -c mkdir x > log"},
		{"rule forbids", plain(onRequest), full, "cd . && make b c", "", "refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, h := newBench(t), &fakeHost{answer: deciding(`"decline"`)}
			needSandbox(t, b)
			if err := os.MkdirAll(filepath.Join(b.home, "rules"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(b.home, "rules", "a.rules"), []byte(rulesFile), 0o600); err != nil {
				t.Fatal(err)
			}
			turn := b.turn(h, never, test.sandbox)
			turn.Env.Approval = test.approval
			exec(turn, t.Context(), test.command, test.more)
			got := "refused"
			for _, e := range h.seen() {
				switch v := e.value.(type) {
				case *protocol.CommandExecutionRequestApprovalParams:
					got = "asked " + strings.Join(v.ProposedExecpolicyAmendment, " ")
				case *protocol.CommandExecutionItem:
					if e.told == ended && v.Status != protocol.ItemDeclined {
						got = "run"
					}
				}
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestRetryOutside(t *testing.T) {
	for _, mode := range []protocol.ApprovalMode{onFailure, onRequest, never} {
		for _, decision := range []string{`"accept"`, `"decline"`} {
			t.Run(string(mode)+decision, func(t *testing.T) {
				b, h := newBench(t), &fakeHost{answer: deciding(decision)}
				needSandbox(t, b)
				out := exec(b.turn(h, mode, readOnly), t.Context(), "echo try; touch made && echo yes", "")
				_, done := h.command(t)
				asked, accepted := mode == onFailure, mode == onFailure && decision == `"accept"`
				if (len(h.approvals()) == 1) != asked || made(b) != accepted {
					t.Fatalf("asked %d times, made %v", len(h.approvals()), made(b))
				}
				status := protocol.ItemFailed
				switch {
				case accepted:
					status = protocol.ItemDone
				case asked:
					status = protocol.ItemDeclined
				}
				if done.Status != status || strings.Contains(out, "yes") != accepted || !strings.Contains(out, "try") {
					t.Errorf("status %s, the model got %q", done.Status, out)
				}
			})
		}
	}
}

// TestNoSandbox: where the host cannot confine commands nothing runs without a
// question, and the user is warned once.
func TestNoSandbox(t *testing.T) {
	for _, test := range []struct {
		approval protocol.ApprovalMode
		sandbox  protocol.SandboxPolicyType
		command  string
		asked    bool
		run      bool
	}{
		{onRequest, readOnly, "touch made", true, true},
		{untrusted, readOnly, "ls; touch made", true, true},
		{onFailure, readOnly, "touch made", true, true},
		{never, readOnly, "touch made", false, false},
		{never, full, "touch made", false, true},
	} {
		b, h := newBench(t), &fakeHost{answer: deciding(`"accept"`)}
		b.o.Sandbox = sandbox.New(sandbox.Options{Known: &sandbox.Support{Err: errors.New("no walls")}})
		for range 2 {
			exec(b.turn(h, test.approval, test.sandbox), t.Context(), test.command, "")
		}
		warnings := 1
		if test.sandbox == full || test.approval == untrusted { // an untrusted command was to be asked about anyway
			warnings = 0
		}
		if (len(h.approvals()) > 0) != test.asked || made(b) != test.run || len(h.warnings()) != warnings {
			t.Errorf("%s, %s: asked %d times, made %v, warnings %q", test.approval, test.sandbox, len(h.approvals()), made(b), h.warnings())
		}
	}
}

// TestWeakSandbox: what the sandbox cannot enforce is told once a thread.
func TestWeakSandbox(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	needSandbox(t, b)
	weak := b.o.Sandbox.Probe()
	weak.Missing = []string{"Something is missing."}
	b.o.Sandbox = sandbox.New(sandbox.Options{Known: &weak})
	exec(b.turn(h, never, full), t.Context(), "true", "")
	if len(h.warnings()) != 0 {
		t.Errorf("warned without a sandbox: %q", h.warnings())
	}
	for range 2 {
		exec(b.turn(h, never, readOnly), t.Context(), "true", "")
	}
	if len(h.warnings()) != 1 || !strings.Contains(h.warnings()[0], "Something is missing.") {
		t.Errorf("warnings %q", h.warnings())
	}
}

// TestCancelEndsTheTurn: after a cancel nothing of the turn is asked or run.
func TestCancelEndsTheTurn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b, h := newBench(t), &fakeHost{answer: deciding(`"cancel"`), cancel: cancel}
	turn := b.turn(h, onRequest, readOnly)
	exec(turn, ctx, "touch made", escalated)
	exec(turn, ctx, "touch made", escalated)
	exec(turn, ctx, "true", "")
	if len(h.approvals()) != 1 || h.interrupts() != 1 {
		t.Errorf("asked %d times, interrupted %d times", len(h.approvals()), h.interrupts())
	}
	h.command(t)
}

// TestBadRules: while a file of rules cannot be read, no rule spares a question,
// what restricts holds, and everything that does more than look is asked about.
// The user is warned once.
func TestBadRules(t *testing.T) {
	const good = `prefix_rule(pattern=["touch"])
prefix_rule(pattern=["git", "pull"], decision="forbidden")
`
	for _, test := range []struct {
		command  string
		approval protocol.ApprovalMode
		sandbox  protocol.SandboxPolicyType
		asked    bool
		made     bool
	}{
		{"touch made", onRequest, full, true, true},
		{"touch made", onRequest, readOnly, true, false}, // a yes leaves it in the sandbox
		{"touch made", untrusted, readOnly, true, true},
		{"touch made", never, full, false, false},
		{"ls", onRequest, full, false, false},
		{"ls && touch made", onRequest, full, true, true},
		{"touch made; git pull", onRequest, full, false, false},
	} {
		t.Run(fmt.Sprint(test.command, test.approval, test.sandbox), func(t *testing.T) {
			b, h := newBench(t), &fakeHost{answer: deciding(`"acceptForSession"`)}
			needSandbox(t, b)
			writeFile(t, filepath.Join(b.home, "rules", "a.rules"), "prefix_rule(pattern=7)")
			writeFile(t, filepath.Join(b.home, "rules", "b.rules"), good)
			for range 2 {
				exec(b.turn(h, test.approval, test.sandbox), t.Context(), test.command, "")
			}
			if (len(h.approvals()) == 1) != test.asked || made(b) != test.made {
				t.Errorf("asked %d times, made %v", len(h.approvals()), made(b))
			}
			if w := h.warnings(); len(w) != 1 || !strings.Contains(w[0], "a.rules") || !strings.Contains(w[0], "line 1") {
				t.Errorf("warnings %q", w)
			}
		})
	}
}

// TestYesInTheSandbox: a yes for the session that left a command in the sandbox
// is none to a run outside of it.
func TestYesInTheSandbox(t *testing.T) {
	b, h := newBench(t), &fakeHost{answer: deciding(`"acceptForSession"`)}
	needSandbox(t, b)
	writeFile(t, filepath.Join(b.home, "rules", "a.rules"), "prefix_rule(pattern=7)")
	exec(b.turn(h, onRequest, readOnly), t.Context(), "touch made", "")
	exec(b.turn(h, onRequest, readOnly), t.Context(), "touch made", escalated)
	if len(h.approvals()) != 2 {
		t.Errorf("asked %d times", len(h.approvals()))
	}
}

func TestApprovalForSession(t *testing.T) {
	b, h := newBench(t), &fakeHost{answer: deciding(`"acceptForSession"`)}
	for range 2 {
		os.Remove(filepath.Join(b.cwd, "made"))
		exec(b.turn(h, onRequest, readOnly), t.Context(), "touch made", escalated)
		if !made(b) {
			t.Fatal("not run")
		}
	}
	if len(h.approvals()) != 1 {
		t.Errorf("asked %d times", len(h.approvals()))
	}
	exec(b.turn(h, onRequest, readOnly), t.Context(), "touch other", escalated)
	if len(h.approvals()) != 2 {
		t.Error("another command was approved with it")
	}
}

// TestLateYes: a yes that comes with the interrupt runs nothing.
func TestLateYes(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	h := &fakeHost{answer: func(string, any) (string, error) {
		cancel()
		return `{"decision":"accept"}`, nil
	}}
	exec(b.turn(h, onRequest, readOnly), ctx, "touch made", escalated)
	if _, done := h.command(t); done.Status != protocol.ItemDeclined || made(b) {
		t.Errorf("status %s, made %v", done.Status, made(b))
	}
}

// TestNoAnswer: an interrupt ends a question that nobody answers.
func TestNoAnswer(t *testing.T) {
	b, h := newBench(t), &fakeHost{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan string)
	go func() { done <- exec(b.turn(h, onRequest, readOnly), ctx, "touch made", escalated) }()
	until[any](t, h, asks)
	cancel()
	<-done
	if _, item := h.command(t); item.Status != protocol.ItemDeclined || made(b) {
		t.Errorf("status %s", item.Status)
	}
}

// TestStrangeShell: rules do not hold for the words of a text that goes to a
// program which only has the name of a shell.
func TestStrangeShell(t *testing.T) {
	b := newBench(t)
	turn := b.turn(&fakeHost{}, untrusted, readOnly)
	argv := []string{"/project/bash", "-c", "ls"}
	if got := turn.parts(argv); !slices.Equal(got[0], argv) {
		t.Errorf("taken apart: %v", got)
	}
}

// TestAnswerBeforeInterrupt: an answer counts that came right before an interrupt,
// whoever is looked at first. Nothing is run or changed any more.
func TestAnswerBeforeInterrupt(t *testing.T) {
	b := newBench(t)
	th := b.Open(ThreadOptions{ID: "thread", Dynamic: parsed(t, `[`+dynamicSpec("look_up", "")+`]`), Features: map[string]bool{"request_permissions_tool": true}})
	defer th.Close()
	extra := t.TempDir()
	ask := func(id, answer string, c Call) (h *fakeHost, out string) {
		ctx, cancel := context.WithCancel(t.Context())
		h = &fakeHost{answer: func(string, any) (string, error) { cancel(); return answer, nil }}
		e := b.env(protocol.PolicyReadOnly, protocol.ApprovalOnRequest)
		e.Mode = protocol.ModePlan
		return h, th.Begin(id, e, h).Run(ctx, c).Text
	}
	command := call("exec_command", `{"login":false,"cmd":"touch made"`+escalated+waitLong+`}`)
	h, _ := ask("t1", `{"decision":"acceptForSession"}`, command)
	if _, done := h.command(t); done.Status != protocol.ItemDeclined || made(b) {
		t.Errorf("command %s, made %v", done.Status, made(b))
	}
	h = &fakeHost{}
	if th.Begin("t2", b.env(protocol.PolicyReadOnly, protocol.ApprovalOnRequest), h).Run(t.Context(), command); !made(b) || len(h.approvals()) > 0 {
		t.Errorf("the command was asked about again: %d", len(h.approvals()))
	}
	_, out := ask("t3", `{"permissions":{"fileSystem":{"read":null,"write":["`+extra+`"]}},"scope":"session"}`,
		call("request_permissions", `{"permissions":{"file_system":{"write":["`+extra+`"]}}}`))
	if len(th.grants.folders) != 1 {
		t.Errorf("granted %v: %s", th.grants.folders, out)
	}
	_, out = ask("t4", `{"answers":{"q":{"answers":["yes"]}}}`, call("request_user_input", `{"questions":[{"id":"q","header":"h","question":"?","options":[{"label":"yes","description":"d"}]}]}`))
	if !strings.Contains(out, `"yes"`) {
		t.Errorf("answer %s", out)
	}
	_, out = ask("t5", `{"contentItems":[{"type":"inputText","text":"found"}],"success":true}`, call("look_up", `{}`))
	if out != "found" {
		t.Errorf("the parent's tool gave %s", out)
	}
}
