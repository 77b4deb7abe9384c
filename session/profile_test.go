package session

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

// TestPermissionProfiles: each policy is told as the profile that means the same.
func TestPermissionProfiles(t *testing.T) {
	for _, c := range []struct {
		policy protocol.SandboxPolicy
		want   string
	}{
		{protocol.SandboxPolicy{Type: protocol.PolicyDangerFullAccess}, `{"type":"disabled"}`},
		{protocol.SandboxPolicy{Type: protocol.PolicyExternalSandbox, NetworkAccess: true}, `{"type":"external","network":{"enabled":true}}`},
		{
			protocol.SandboxPolicy{Type: protocol.PolicyReadOnly},
			`{"type":"managed","network":{"enabled":false},"fileSystem":{"type":"restricted","entries":[{"path":{"type":"special","value":{"kind":"root"}},"access":"read"}]}}`,
		},
		{
			protocol.SandboxPolicy{Type: protocol.PolicyWorkspaceWrite, WritableRoots: []string{"/w"}},
			`{"type":"managed","network":{"enabled":false},"fileSystem":{"type":"restricted","entries":[` +
				`{"path":{"type":"special","value":{"kind":"root"}},"access":"read"},{"path":{"type":"special","value":{"kind":"current_working_directory"}},"access":"write"},` +
				`{"path":{"type":"special","value":{"kind":"slash_tmp"}},"access":"write"},{"path":{"type":"special","value":{"kind":"tmpdir"}},"access":"write"},` +
				`{"path":{"type":"path","path":"/w"},"access":"write"},{"path":{"type":"path","path":"/nowhere/.codex"},"access":"read"}]}}`,
		},
		{
			protocol.SandboxPolicy{Type: protocol.PolicyWorkspaceWrite, ExcludeSlashTmp: true, ExcludeTmpdirEnvVar: true, NetworkAccess: true},
			`{"type":"managed","network":{"enabled":true},"fileSystem":{"type":"restricted","entries":[` +
				`{"path":{"type":"special","value":{"kind":"root"}},"access":"read"},{"path":{"type":"special","value":{"kind":"current_working_directory"}},"access":"write"},` +
				`{"path":{"type":"path","path":"/nowhere/.codex"},"access":"read"}]}}`,
		},
	} {
		profile := profileOf(c.policy, "/nowhere")
		raw, err := json.Marshal(profile)
		if d := cmp.Diff(c.want, string(raw)); err != nil || d != "" {
			t.Errorf("%+v: %v %s", c.policy, err, d)
		}
		var read protocol.PermissionProfile
		if err := protocol.Decode(raw, &read); err != nil {
			t.Error(err)
		}
		if back, err := policyOf(&read, "/nowhere"); err != nil {
			t.Errorf("%s: %v", raw, err)
		} else if d := cmp.Diff(c.policy, back); d != "" {
			t.Errorf("%s, read back: %s", raw, d)
		}
	}
}

// TestPolicyOfProfile: a profile is enforced in full or refused.
func TestPolicyOfProfile(t *testing.T) {
	const (
		root = `{"path":{"type":"special","value":{"kind":"root"}},"access":"read"}`
		cwd  = `{"path":{"type":"special","value":{"kind":"current_working_directory"}},"access":"write"}`
	)
	restricted := func(entries ...string) string {
		return `{"type":"managed","network":{"enabled":false},"fileSystem":{"type":"restricted","entries":[` + strings.Join(entries, ",") + `]}}`
	}
	special := func(kind, access string) string {
		return `{"path":{"type":"special","value":{"kind":"` + kind + `"}},"access":"` + access + `"}`
	}
	plain := func(path, access string) string {
		return `{"path":{"type":"path","path":"` + path + `"},"access":"` + access + `"}`
	}
	workspace := protocol.SandboxPolicy{Type: protocol.PolicyWorkspaceWrite, ExcludeSlashTmp: true, ExcludeTmpdirEnvVar: true}
	for name, c := range map[string]struct {
		profile string
		want    protocol.SandboxPolicy
		refused string
	}{
		"all files and network": {`{"type":"managed","network":{"enabled":true},"fileSystem":{"type":"unrestricted"}}`, protocol.SandboxPolicy{Type: protocol.PolicyDangerFullAccess}, ""},
		"all files, no network": {`{"type":"managed","network":{"enabled":false},"fileSystem":{"type":"unrestricted"}}`, protocol.SandboxPolicy{}, "network"},
		"project roots":         {restricted(root, special("project_roots", "write")), workspace, ""},
		"root named twice":      {restricted(root, special("minimal", "read"), cwd, special("tmpdir", "read")), workspace, ""},
		"kept outside":          {restricted(root, cwd, plain("/etc", "read")), workspace, ""},
		"kept folder":           {restricted(root, cwd, plain("/p/.git", "read")), workspace, ""},
		"kept inside":           {restricted(root, cwd, plain("/p/secret", "read")), workspace, "/p/secret"},
		"kept deeper":           {restricted(root, cwd, plain("/p/sub/.git", "read")), workspace, "/p/sub/.git"},
		"kept around":           {restricted(root, cwd, special("slash_tmp", "write"), plain("/tmp/x", "read")), workspace, "/tmp/x"},
		"kept, tmpdir":          {restricted(root, cwd, special("tmpdir", "write"), plain("/etc", "read")), workspace, "/etc"},
		"nothing":               {restricted(), workspace, "reading"},
		"some readable":         {restricted(plain("/usr", "read"), cwd), workspace, "reading"},
		"minimal":               {restricted(special("minimal", "read"), cwd), workspace, "reading"},
		"hidden":                {restricted(root, cwd, plain("/etc/shadow", "none")), workspace, "hidden"},
		"glob":                  {restricted(root, cwd, `{"path":{"type":"glob_pattern","pattern":"**/*.env"},"access":"read"}`), workspace, "hidden"},
		"root writable":         {restricted(special("root", "write")), workspace, "root"},
		"part of a project":     {restricted(root, `{"path":{"type":"special","value":{"kind":"project_roots","subpath":"x"}},"access":"write"}`), workspace, "project_roots"},
		"only elsewhere":        {restricted(root, plain("/opt", "write")), workspace, "outside"},
		"relative":              {restricted(root, cwd, plain("x", "write")), workspace, "absolute"},
		"kept part":             {restricted(root, cwd, `{"path":{"type":"special","value":{"kind":"project_roots","subpath":"secret"}},"access":"read"}`), workspace, "/p/secret"},
		"kept part, .git":       {restricted(root, cwd, `{"path":{"type":"special","value":{"kind":"project_roots","subpath":".git"}},"access":"read"}`), workspace, ""},
		"kept and written":      {restricted(root, cwd, special("current_working_directory", "read")), workspace, "/p"},
		"no value":              {restricted(`{"path":{"type":"special"},"access":"read"}`), workspace, "value"},
		"no files":              {`{"type":"managed","network":{"enabled":false}}`, workspace, "fileSystem"},
		"external":              {`{"type":"external"}`, workspace, "network"},
	} {
		var p protocol.PermissionProfile
		if err := protocol.Decode([]byte(c.profile), &p); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := policyOf(&p, "/p")
		switch {
		case c.refused != "":
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: got %+v, %v", name, got, err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		default:
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
	}
}

// TestProfileWhereTheModelWorks: what a profile keeps is kept in the folder that is
// worked in, which need not be the thread's.
func TestProfileWhereTheModelWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			there   = `"environments":[{"environmentId":"local","cwd":"/elsewhere"}]`
			profile = `"permissionProfile":{"type":"managed","network":{"enabled":false},"fileSystem":{"type":"restricted","entries":[
				{"path":{"type":"special","value":{"kind":"root"}},"access":"read"},
				{"path":{"type":"special","value":{"kind":"current_working_directory"}},"access":"write"},
				{"path":{"type":"path","path":"/elsewhere/secret"},"access":"read"}]}}`
		)
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		start := func(params string) error {
			_, _, err := w.StartThread(t.Context(), w.config(), decode[protocol.ThreadStartParams](t, params))
			return err
		}
		turn := func(params string) error {
			_, _, err := w.StartTurn(t.Context(), decode[protocol.TurnStartParams](t, `{"threadId":"`+w.thread+`","input":[],`+params+`}`))
			return err
		}
		if err := start(`{` + there + `,` + profile + `}`); reason(err) != protocol.ReasonInvalidParams {
			t.Errorf("thread/start: %v", err)
		}
		w.start(`{}`)
		if err := turn(there + `,` + profile); reason(err) != protocol.ReasonInvalidParams {
			t.Errorf("turn/start: %v", err)
		}
		w.start(`{` + there + `}`)
		if err := turn(profile); reason(err) != protocol.ReasonInvalidParams {
			t.Errorf("turn/start in the thread's environment: %v", err)
		}
		if err := turn(profile + `,"cwd":"/home"`); err != nil {
			t.Errorf("turn/start elsewhere: %v", err)
		}
		// The profile stays when the turn's environment does not.
		w.start(`{"cwd":"/elsewhere"}`)
		if err := turn(`"environments":[{"environmentId":"local","cwd":"/home"}],` + profile); reason(err) != protocol.ReasonInvalidParams {
			t.Errorf("turn/start in an environment of its own: %v", err)
		}
	})
}
