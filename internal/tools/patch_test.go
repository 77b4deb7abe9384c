package tools

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

func patchText(lines ...string) string {
	return "*** Begin Patch\n" + strings.Join(lines, "\n") + "\n*** End Patch"
}

// custom is a call of apply_patch with a free text.
func custom(lines ...string) Call {
	return Call{ID: "c1", Kind: CallCustom, Name: "apply_patch", Arguments: patchText(lines...)}
}

// quiet and asking are what a parent hears of a patch that is applied.
var (
	quiet  = []string{"started inProgress", "item/fileChange/outputDelta", "completed completed", "turn/diff/updated"}
	asking = []string{"started inProgress", "ask waitingOnApproval", "item/fileChange/outputDelta", "completed completed", "turn/diff/updated"}
)

func TestPatchAsksWhereThePolicySays(t *testing.T) {
	const full, ro, ws = protocol.PolicyDangerFullAccess, protocol.PolicyReadOnly, protocol.PolicyWorkspaceWrite
	yes, no := &protocol.GranularApproval{SandboxApproval: true}, &protocol.GranularApproval{RequestPermissions: true}
	for _, c := range []struct {
		name     string
		mode     protocol.SandboxPolicyType
		approval protocol.ApprovalMode
		granular *protocol.GranularApproval
		path     string
		want     []string
	}{
		{"inside", ws, protocol.ApprovalOnRequest, nil, "n.txt", quiet},
		{"inside, never", ws, protocol.ApprovalNever, nil, "n.txt", quiet},
		{"inside, on failure", ws, protocol.ApprovalOnFailure, nil, "n.txt", quiet},
		{"inside, untrusted", ws, protocol.ApprovalUntrusted, nil, "n.txt", asking},
		{"inside, granular without sandbox", ws, protocol.ApprovalGranular, no, "n.txt", quiet},
		{"outside", ws, protocol.ApprovalOnRequest, nil, "../n.txt", asking},
		{"outside, on failure", ws, protocol.ApprovalOnFailure, nil, "../n.txt", asking},
		{"outside, never", ws, protocol.ApprovalNever, nil, "../n.txt", nil},
		{"outside, granular", ws, protocol.ApprovalGranular, yes, "../n.txt", asking},
		{"outside, granular without sandbox", ws, protocol.ApprovalGranular, no, "../n.txt", nil},
		{"read-only", ro, protocol.ApprovalOnRequest, nil, "n.txt", asking},
		{"read-only, never", ro, protocol.ApprovalNever, nil, "n.txt", nil},
		{"full access", full, protocol.ApprovalOnRequest, nil, "../n.txt", quiet},
		{"full access, untrusted", full, protocol.ApprovalUntrusted, nil, "n.txt", asking},
		{"git", ws, protocol.ApprovalOnRequest, nil, ".git/hooks/pre-commit", asking},
		{"git, never", ws, protocol.ApprovalNever, nil, ".git/hooks/pre-commit", nil},
		{"git that is not there", ws, protocol.ApprovalNever, nil, "new/.Git/config", nil},
		{"config folder that is not there", ws, protocol.ApprovalOnRequest, nil, ".codex/config.toml", asking},
		{"git, full access", full, protocol.ApprovalNever, nil, ".git/hooks/pre-commit", quiet},
		{"home", ws, protocol.ApprovalOnRequest, nil, "../home/config.toml", asking},
		{"home, never", ws, protocol.ApprovalNever, nil, "../home/config.toml", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newBench(t)
			writeFile(t, filepath.Join(p.cwd, ".git/HEAD"), "ref: x\n")
			h := &fakeHost{answer: answering(`{"decision":"accept"}`)}
			e := p.env(c.mode, c.approval)
			e.Approval.Granular = c.granular
			out := p.begin(t, e, h, ThreadOptions{}).Run(t.Context(), custom("*** Add File: "+c.path, "+x"))
			if diff := cmp.Diff(c.want, h.take()); diff != "" {
				t.Error(diff, out.Text)
			}
			wrote := readFile(t, filepath.Join(p.cwd, c.path)) == "x\n"
			if wrote != (c.want != nil) {
				t.Errorf("written: %v; output %q", wrote, out.Text)
			}
		})
	}
}

func TestPatchDecisions(t *testing.T) {
	declined := []string{"started inProgress", "ask waitingOnApproval", "completed declined"}
	for _, c := range []struct {
		name, answer string
		err          error
		want         []string
		says         string
	}{
		{"decline", `{"decision":"decline"}`, nil, declined, "declined the patch"},
		{"cancel", `{"decision":"cancel"}`, nil, append(declined[:3:3], "interrupt"), "stopped"},
		{"unknown decision", `{"decision":"maybe"}`, nil, declined, "no usable answer"},
		{"no decision", `{}`, nil, declined, "no usable answer"},
		{"text", `"yes"`, nil, declined, "no usable answer"},
		{"null", `null`, nil, declined, "no usable answer"},
		{"error", ``, errors.New("no such method"), declined, "could not be asked"},
		{"accept", `{"decision":"accept"}`, nil, asking, "Patch applied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newBench(t)
			h := &fakeHost{answer: func(string, any) (string, error) { return c.answer, c.err }}
			out := p.begin(t, p.env(protocol.PolicyReadOnly, protocol.ApprovalOnRequest), h, ThreadOptions{}).Run(t.Context(), custom("*** Add File: n.txt", "+x"))
			if diff := cmp.Diff(c.want, h.take()); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(out.Text, c.says) {
				t.Errorf("the model hears %q", out.Text)
			}
			if c.name != "accept" && readFile(t, filepath.Join(p.cwd, "n.txt")) != "" {
				t.Error("written")
			}
		})
	}
}

func TestPatchInterruptedWhileAsked(t *testing.T) {
	p := newBench(t)
	h := &fakeHost{}
	turn := p.begin(t, p.env(protocol.PolicyReadOnly, protocol.ApprovalOnRequest), h, ThreadOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan Output)
	go func() { done <- turn.Run(ctx, custom("*** Add File: n.txt", "+x")) }()
	until[any](t, h, asks)
	cancel()
	select {
	case <-done:
	case <-time.After(tooLong):
		t.Fatal("the call goes on")
	}
	if diff := cmp.Diff([]string{"started inProgress", "ask waitingOnApproval", "completed declined"}, h.take()); diff != "" {
		t.Error(diff)
	}
	if readFile(t, filepath.Join(p.cwd, "n.txt")) != "" {
		t.Error("written")
	}
}

// A yes that comes together with the interrupt writes nothing.
func TestPatchLateYes(t *testing.T) {
	p := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	h := &fakeHost{answer: func(string, any) (string, error) { cancel(); return `{"decision":"accept"}`, nil }}
	p.begin(t, p.env(protocol.PolicyReadOnly, protocol.ApprovalOnRequest), h, ThreadOptions{}).Run(ctx, custom("*** Add File: n.txt", "+x"))
	if readFile(t, filepath.Join(p.cwd, "n.txt")) != "" {
		t.Error("written")
	}
}

// acceptForSession holds for the files of the patch, on this thread, as long as
// the policy lets anything be asked.
func TestPatchAcceptForSession(t *testing.T) {
	update := []string{"*** Update File: n.txt", "@@", "-x", "+y"}
	for _, c := range []struct {
		name     string
		second   []string
		approval protocol.ApprovalMode
		want     []string
	}{
		{"same file", update, protocol.ApprovalOnRequest, quiet},
		{"same file, untrusted", update, protocol.ApprovalUntrusted, quiet},
		{"same file, never", update, protocol.ApprovalNever, nil},
		{"removed", []string{"*** Delete File: n.txt"}, protocol.ApprovalOnRequest, quiet},
		{"other file", []string{"*** Add File: m.txt", "+y"}, protocol.ApprovalOnRequest, asking},
		{"one more", append(update[:4:4], "*** Add File: m.txt", "+y"), protocol.ApprovalOnRequest, asking},
		{"moved", append([]string{update[0], "*** Move to: m.txt"}, update[1:]...), protocol.ApprovalOnRequest, asking},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newBench(t)
			h := &fakeHost{answer: answering(`{"decision":"acceptForSession"}`)}
			th := p.Open(ThreadOptions{ID: "thread"})
			defer th.Close()
			th.Begin("t1", p.env(protocol.PolicyReadOnly, protocol.ApprovalOnRequest), h).Run(t.Context(), custom("*** Add File: n.txt", "+x"))
			h.take()
			out := th.Begin("t2", p.env(protocol.PolicyReadOnly, c.approval), h).Run(t.Context(), custom(c.second...))
			if diff := cmp.Diff(c.want, h.take()); diff != "" {
				t.Error(diff, out.Text)
			}
		})
	}
}

func TestPatchRefusedWhole(t *testing.T) {
	for _, c := range []struct {
		name string
		call Call
		says string
	}{
		{"no patch", Call{Kind: CallCustom, Name: "apply_patch", Arguments: "hello"}, "cannot be read"},
		{"bad section", custom("nonsense"), "line 2"},
		{"missing file", custom("*** Add File: n.txt", "+x", "*** Update File: none.txt", "@@", "-a", "+b"), "none.txt"},
		{"no match", custom("*** Add File: n.txt", "+x", "*** Update File: old.txt", "@@", "-zzz", "+b"), "old.txt"},
		{"no input", call("apply_patch", `{"patch":"x"}`), "input"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newBench(t)
			writeFile(t, filepath.Join(p.cwd, "old.txt"), "one\ntwo\n")
			h := &fakeHost{}
			out := p.begin(t, p.env(protocol.PolicyWorkspaceWrite, protocol.ApprovalOnRequest), h, ThreadOptions{}).Run(t.Context(), c.call)
			if got := h.take(); got != nil {
				t.Errorf("told: %q", got)
			}
			if !strings.Contains(out.Text, c.says) {
				t.Errorf("the model hears %q", out.Text)
			}
			if readFile(t, filepath.Join(p.cwd, "n.txt")) != "" {
				t.Error("half of it was written")
			}
		})
	}
}

func TestPatchItem(t *testing.T) {
	p := newBench(t)
	writeFile(t, filepath.Join(p.cwd, ".git/HEAD"), "ref: x\n")
	writeFile(t, filepath.Join(p.cwd, "sub/a.txt"), "one\ntwo\n")
	writeFile(t, filepath.Join(p.cwd, "sub/d.txt"), "gone\n")
	h := &fakeHost{}
	e := p.env(protocol.PolicyWorkspaceWrite, protocol.ApprovalOnRequest)
	e.Cwd = filepath.Join(p.cwd, "sub")
	turn := p.begin(t, e, h, ThreadOptions{})
	res := turn.applyPatch(t.Context(), Call{ID: "c9"}, patchText("*** Add File: n.txt", "+x", "*** Update File: a.txt", "*** Move to: b.txt", "@@", " one", "-two", "+TWO", "*** Delete File: d.txt"), e.Cwd)
	if !res.OK {
		t.Fatal(res.Text)
	}
	item := values[*protocol.FileChangeItem](h, ended)[0]
	var got []string
	for _, c := range item.Changes {
		rel, err := filepath.Rel(p.cwd, c.Path)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rel+" "+strings.ReplaceAll(asJSON(t, c.Kind), p.cwd, ""))
	}
	want := []string{`sub/a.txt {"type":"update","move_path":"/sub/b.txt"}`, `sub/d.txt {"type":"delete"}`, `sub/n.txt {"type":"add"}`}
	if diff := cmp.Diff(want, got); diff != "" || item.ID != "c9" {
		t.Error(diff, item.ID)
	}
	// The names of the turn's diff are relative to the repository.
	d := lastDiff(h)
	for _, part := range []string{"b/sub/n.txt", "rename to sub/b.txt", "a/sub/d.txt"} {
		if !strings.Contains(d, part) {
			t.Errorf("no %s in %s", part, d)
		}
	}
}

func TestPatchFunctionAndOffer(t *testing.T) {
	p := newBench(t)
	e := p.env(protocol.PolicyWorkspaceWrite, protocol.ApprovalOnRequest)
	h := &fakeHost{}
	args := asJSON(t, map[string]string{"input": patchText("*** Add File: n.txt", "+x")})
	if out := p.begin(t, e, h, ThreadOptions{}).Run(t.Context(), call("apply_patch", args)); !strings.Contains(out.Text, "A n.txt") {
		t.Errorf("as a function: %q", out.Text)
	}
	e.Model.FreeformPatch = false
	turn := p.begin(t, e, h, ThreadOptions{})
	for _, c := range []Call{custom("*** Add File: m.txt", "+x"), call("apply_patch", args)} {
		if out := turn.Run(t.Context(), c); !strings.Contains(out.Text, "no tool named apply_patch") {
			t.Errorf("not offered: %q", out.Text)
		}
	}
	if turn = p.begin(t, e, h, ThreadOptions{Features: map[string]bool{"apply_patch_freeform": true}}); !turn.offersPatch() {
		t.Error("not offered by the feature")
	}
	if out := turn.Run(t.Context(), Call{Kind: CallCustom, Name: "update_plan", Arguments: "x"}); !strings.Contains(out.Text, "JSON") {
		t.Errorf("a free text for a function: %q", out.Text)
	}
}

// A file that changes while the user thinks makes a new plan, which needs no
// second question for the same files.
func TestPatchPlansAgainWhenAFileChanges(t *testing.T) {
	p := newBench(t)
	file := filepath.Join(p.cwd, "a.txt")
	writeFile(t, file, "one\ntwo\n")
	h := &fakeHost{answer: func(string, any) (string, error) {
		writeFile(t, file, "zero\none\ntwo\n")
		return `{"decision":"accept"}`, nil
	}}
	out := p.begin(t, p.env(protocol.PolicyReadOnly, protocol.ApprovalOnRequest), h, ThreadOptions{}).Run(t.Context(), custom("*** Update File: a.txt", "@@", "-two", "+TWO"))
	if diff := cmp.Diff(asking, h.take()); diff != "" {
		t.Error(diff, out.Text)
	}
	if got := readFile(t, file); got != "zero\none\nTWO\n" {
		t.Errorf("file %q", got)
	}
}

// A link that is turned around while the user thinks leads nowhere else: the
// yes was for the file that was found.
func TestPatchDoesNotFollowATurnedLink(t *testing.T) {
	p := newBench(t)
	writeFile(t, filepath.Join(p.cwd, "real/a.txt"), "one\n")
	writeFile(t, filepath.Join(p.home, "a.txt"), "one\n")
	link(t, filepath.Join(p.cwd, "real"), filepath.Join(p.cwd, "link"))
	h := &fakeHost{answer: func(string, any) (string, error) {
		link(t, p.home, filepath.Join(p.cwd, "link"))
		return `{"decision":"accept"}`, nil
	}}
	p.begin(t, p.env(protocol.PolicyReadOnly, protocol.ApprovalOnRequest), h, ThreadOptions{}).Run(t.Context(), custom("*** Update File: link/a.txt", "@@", "-one", "+ONE"))
	if got := readFile(t, filepath.Join(p.home, "a.txt")); got != "one\n" {
		t.Errorf("the other file is now %q", got)
	}
	if got := readFile(t, filepath.Join(p.cwd, "real/a.txt")); got != "ONE\n" {
		t.Errorf("the file is now %q", got)
	}
}

// Patches of one turn that run at once each do their work, and the diff has it
// all.
func TestPatchesAtOnce(t *testing.T) {
	p := newBench(t)
	h := &fakeHost{}
	turn := p.begin(t, p.env(protocol.PolicyWorkspaceWrite, protocol.ApprovalOnRequest), h, ThreadOptions{})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			name := fmt.Sprintf("n%d.txt", i)
			res := turn.applyPatch(t.Context(), Call{ID: name}, patchText("*** Add File: "+name, "+x"), p.cwd)
			if !res.OK {
				t.Error(res.Text)
			}
			turn.TellDiff()
		})
	}
	all.Wait()
	last := lastDiff(h)
	for i := range 4 {
		if !strings.Contains(last, fmt.Sprintf("b/n%d.txt", i)) {
			t.Errorf("n%d.txt is not in the last diff", i)
		}
	}
}

// lastDiff is the last diff of a turn that was told.
func lastDiff(h *fakeHost) string {
	list := values[*protocol.TurnDiffUpdatedNotification](h, "")
	return list[len(list)-1].Diff
}

func TestTellDiff(t *testing.T) {
	p := newBench(t)
	h := &fakeHost{}
	turn := p.begin(t, p.env(protocol.PolicyWorkspaceWrite, protocol.ApprovalOnRequest), h, ThreadOptions{})
	turn.TellDiff()
	turn.Run(t.Context(), custom("*** Add File: n.txt", "+x"))
	h.take()
	turn.TellDiff() // nothing new
	if got := h.take(); got != nil {
		t.Errorf("told again: %q", got)
	}
	writeFile(t, filepath.Join(p.cwd, "n.txt"), "changed by a command\n")
	turn.TellDiff()
	if got := h.take(); len(got) != 1 {
		t.Errorf("told: %q", got)
	}
	if d := lastDiff(h); !strings.Contains(d, "+changed by a command") {
		t.Error(d)
	}
}
