package tools

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

var permissionsOn = map[string]bool{"request_permissions_tool": true}

func TestRequestPermissions(t *testing.T) {
	p := newBench(t)
	extra := filepath.Join(filepath.Dir(p.cwd), "extra")
	for _, dir := range []string{extra + "/sub", p.cwd + "/in"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link(t, extra, p.cwd+"/link")
	link(t, p.cwd, extra+"/out")
	ask := `{"permissions":{"file_system":{"write":["` + extra + `"]}},"reason":"why"}`
	grant := func(dirs, more string) string {
		return `{"permissions":{"fileSystem":{"read":null,"write":[` + dirs + `]},"network":null}` + more + `}`
	}
	quoted := `"` + extra + `"`
	wanted := `{"network":null,"fileSystem":{"read":null,"write":[` + quoted + `],"entries":[{"path":{"type":"path","path":` + quoted + `},"access":"write"}]}}`
	granted := func(dir, scope string) string {
		return `{"permissions":{"network":null,"file_system":{"write":["` + dir + `"]}},"scope":"` + scope + `"}`
	}
	for _, c := range []struct {
		name, args, answer string
		err                error
		approval           protocol.ApprovalMode
		granular           *protocol.GranularApproval
		asked              string // permissions of the question
		says               string
	}{
		{"turn", ask, grant(quoted, ""), nil, protocol.ApprovalOnRequest, nil, wanted, granted(extra, "turn")},
		{"session", ask, grant(quoted, `,"scope":"session"`), nil, protocol.ApprovalUntrusted, nil, wanted, granted(extra, "session")},
		{"through a link", `{"permissions":{"file_system":{"write":["link"]}}}`, grant(quoted, ""), nil, protocol.ApprovalOnRequest, nil, wanted, granted(extra, "turn")},
		{"less", ask, grant(`"`+extra+`/sub"`, ""), nil, protocol.ApprovalOnRequest, nil, wanted, granted(extra+"/sub", "turn")},
		{"more", ask, grant(quoted+`,"/etc","`+extra+`/../home"`, ""), nil, protocol.ApprovalOnRequest, nil, wanted, granted(extra, "turn")},
		{"more, through a link", ask, grant(`"`+extra+`/out"`, ""), nil, protocol.ApprovalOnRequest, nil, wanted, "granted nothing"},
		{"as it was named", `{"permissions":{"file_system":{"write":["link"]}}}`, grant(`"`+p.cwd+`/link"`, ""), nil, protocol.ApprovalOnRequest, nil, wanted, granted(extra, "turn")},
		{"as entries", ask, `{"permissions":{"fileSystem":{"entries":[{"path":{"type":"special","value":{"kind":"root"}},"access":"write"},{"path":{"type":"path","path":` + quoted + `},"access":"write"}]}}}`, nil, protocol.ApprovalOnRequest, nil, wanted, granted(extra, "turn")},
		{"network", `{"permissions":{"network":{"enabled":true}}}`, `{"permissions":{"network":{"enabled":true}}}`, nil, protocol.ApprovalOnFailure, nil, `{"network":{"enabled":true},"fileSystem":null}`, `{"permissions":{"network":{"enabled":true},"file_system":null},"scope":"turn"}`},
		{"network not asked for", ask, `{"permissions":{"network":{"enabled":true}}}`, nil, protocol.ApprovalOnRequest, nil, wanted, "granted nothing"},
		{"read", `{"permissions":{"file_system":{"read":["/etc"]}}}`, `{"permissions":{"fileSystem":{"read":["/etc"],"write":null}}}`, nil, protocol.ApprovalOnRequest, nil, `{"network":null,"fileSystem":{"read":["/etc"],"write":null,"entries":[{"path":{"type":"path","path":"/etc"},"access":"read"}]}}`, `"read":["/etc"]`},
		{"nothing granted", ask, `{"permissions":{}}`, nil, protocol.ApprovalOnRequest, nil, wanted, "granted nothing"},
		{"error", ask, ``, errors.New("x"), protocol.ApprovalOnRequest, nil, wanted, "could not be asked"},
		{"rubbish", ask, `{"zz":1}`, nil, protocol.ApprovalOnRequest, nil, wanted, "no usable answer"},
		{"never", ask, grant(quoted, ""), nil, protocol.ApprovalNever, nil, "", "does not let"},
		{"granular no", ask, grant(quoted, ""), nil, protocol.ApprovalGranular, &protocol.GranularApproval{SandboxApproval: true}, "", "does not let"},
		{"granular yes", ask, grant(quoted, ""), nil, protocol.ApprovalGranular, &protocol.GranularApproval{RequestPermissions: true}, wanted, granted(extra, "turn")},
		{"nothing asked", `{"permissions":{"file_system":{},"network":{"enabled":false}}}`, "", nil, protocol.ApprovalOnRequest, nil, "", "No permission"},
		{"no folder", `{"permissions":{"file_system":{"write":["nowhere"]}}}`, "", nil, protocol.ApprovalOnRequest, nil, "", "not a folder"},
		{"no permissions", `{}`, "", nil, protocol.ApprovalOnRequest, nil, "", "permissions"},
		{"wrong type", `{"permissions":{"file_system":{"write":[7]}}}`, "", nil, protocol.ApprovalOnRequest, nil, "", "cannot be used"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &fakeHost{answer: func(string, any) (string, error) { return c.answer, c.err }}
			e := p.env(protocol.PolicyReadOnly, c.approval)
			e.Approval.Granular = c.granular
			out := p.begin(t, e, h, ThreadOptions{Features: permissionsOn}).Run(t.Context(), call("request_permissions", c.args))
			asked := ""
			if len(values[any](h, asks)) > 0 {
				asked = asJSON(t, values[*protocol.PermissionsRequestApprovalParams](h, asks)[0].Permissions)
			}
			if asked != c.asked || !strings.Contains(out.Text, c.says) {
				t.Errorf("asked %s; the model hears %q", asked, out.Text)
			}
		})
	}
}

// Grants widen what follows: for the turn, or for the thread. The working
// directory of a read-only turn stays read-only.
func TestGrantsWidenTheSandbox(t *testing.T) {
	p := newBench(t)
	base := filepath.Dir(p.cwd)
	one, two := filepath.Join(base, "one"), filepath.Join(base, "two")
	for _, dir := range []string{one, two} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	th := p.Open(ThreadOptions{ID: "thread", Features: permissionsOn})
	defer th.Close()
	grant := func(turn *Turn, dir, scope string) {
		t.Helper()
		turn.Host = &fakeHost{answer: answering(`{"permissions":{"fileSystem":{"read":null,"write":["` + dir + `"]},"network":{"enabled":true}},"scope":"` + scope + `"}`)}
		turn.Run(t.Context(), call("request_permissions", `{"permissions":{"network":{"enabled":true},"file_system":{"write":["`+dir+`"]}}}`))
	}
	writable := func(turn *Turn) []string {
		t.Helper()
		f, err := p.o.Sandbox.Folders(turn.confinement())
		if err != nil {
			t.Fatal(err)
		}
		return f.Writable
	}
	first := th.Begin("t1", p.env(protocol.PolicyReadOnly, protocol.ApprovalOnRequest), &fakeHost{})
	grant(first, one, "session")
	grant(first, two, "turn")
	if diff := cmp.Diff([]string{one, two}, writable(first)); diff != "" || !first.confinement().Network {
		t.Error(diff)
	}
	second := th.Begin("t2", p.env(protocol.PolicyReadOnly, protocol.ApprovalNever), &fakeHost{})
	if diff := cmp.Diff([]string{one}, writable(second)); diff != "" {
		t.Error(diff)
	}
	third := th.Begin("t3", p.env(protocol.PolicyWorkspaceWrite, protocol.ApprovalNever), &fakeHost{})
	if diff := cmp.Diff([]string{one, p.cwd}, writable(third)); diff != "" {
		t.Error(diff)
	}
	// Patches follow, without a question.
	h := &fakeHost{}
	second.Host = h
	if out := second.Run(t.Context(), custom("*** Add File: "+one+"/n.txt", "+x")); len(values[protocol.ThreadItem](h, ended)) != 1 {
		t.Error(out.Text)
	}
	full := th.Begin("t4", p.env(protocol.PolicyDangerFullAccess, protocol.ApprovalNever), &fakeHost{})
	if got := full.confinement(); got.Mode != protocol.SandboxDangerFullAccess {
		t.Errorf("%+v", got)
	}
	other := p.Open(ThreadOptions{ID: "other"})
	defer other.Close()
	if got := other.Begin("t5", p.env(protocol.PolicyReadOnly, protocol.ApprovalNever), h).confinement(); got.Mode != protocol.SandboxReadOnly || got.Network {
		t.Errorf("%+v", got)
	}
	// The server's home stays closed whatever is granted.
	grant(first, p.home, "turn")
	if f, err := p.o.Sandbox.Folders(first.confinement()); err != nil || f.Allows(filepath.Join(p.home, "config.toml")) {
		t.Error("the home is writable", err)
	}
}
