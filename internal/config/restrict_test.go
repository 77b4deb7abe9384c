package config

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

func TestWorkspaces(t *testing.T) {
	tests := []struct {
		file string
		over string
		want []string
		err  bool
	}{
		{`forced_chatgpt_workspace_id = "org-a"`, "", []string{"org-a"}, false},
		{`forced_chatgpt_workspace_id = ["org-a", " org-b "]`, "", []string{"org-a", "org-b"}, false},
		{`forced_chatgpt_workspace_id = 5`, "", nil, true},
		{`forced_chatgpt_workspace_id = {a = 1}`, "", nil, true},
		{`forced_chatgpt_workspace_id = ["a", 5]`, "", nil, true},
		{`forced_chatgpt_workspace_id = []`, "", nil, true},
		{`forced_chatgpt_workspace_id = ""`, "", nil, true},
		{`forced_chatgpt_workspace_id = ["a", ""]`, "", nil, true},
		{"forced_chatgpt_workspace_id = \"a\"\nforced_chatgpt_workspace_id = \"b\"", "", nil, true},
		{"forced_chatgpt_workspace_id = \"a\"\n[forced_chatgpt_workspace_id]\n", "", nil, true},
		{`forced_chatgpt_workspace_id = 5`, "forced_chatgpt_workspace_id=org", []string{"org"}, false},
		{`forced_chatgpt_workspace_id =`, `forced_chatgpt_workspace_id=["org"]`, []string{"org"}, false},
		{`forced_chatgpt_workspace_id = "a"`, "forced_chatgpt_workspace_id", nil, true},
		{`forced_chatgpt_workspace_id = "a"`, "forced_chatgpt_workspace_id=", nil, true},
		{``, "", nil, false},
	}
	for _, tt := range tests {
		var over []string
		if tt.over != "" {
			over = []string{tt.over}
		}
		c := load(t, tt.file, over...)
		got := c.ForcedWorkspaces
		if (got.Err != nil) != tt.err || got.Set != (tt.want != nil) {
			t.Errorf("%s %s: %+v", tt.file, tt.over, got)
			continue
		}
		if got.Err == nil {
			if diff := cmp.Diff(tt.want, got.Value); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", tt.file, tt.over, diff)
			}
			if len(c.Problems) > 0 && tt.file != "forced_chatgpt_workspace_id =" {
				t.Errorf("%s %s: a repaired value is still a problem: %+v", tt.file, tt.over, c.Problems)
			}
		}
	}
}

func TestSyntaxErrorsHideRestrictions(t *testing.T) {
	const all = "forced_chatgpt_workspace_id = \"org\"\nforced_login_method = \"api\"\nsandbox_mode = \"read-only\"\napproval_policy = \"never\"\n"
	const write = "[sandbox_workspace_write]\nnetwork_access = true\n"
	tests := []struct {
		name, file                                   string
		workspaces, method, sandbox, approval, parts bool
	}{
		{"read before the error", all + "model = \n", false, false, false, false, true},
		{"read after the error", "model = \n" + all, true, true, true, true, true},
		{"never read", "model = \n", true, true, true, true, true},
		{"top level over before the error", "[features]\na = true\nb = \n", false, false, false, false, true},
		{"the error hides a table", all + "[features]\nb = \n" + write, false, false, false, false, true},
		{"the table is over before the error", all + write + "[features]\nb = \n", false, false, false, false, false},
		{"the error is in the table", all + write + "exclude_slash_tmp = yes\n", false, false, false, false, true},
		{"one half read", "forced_login_method = \"api\"\nx y\nsandbox_mode = \"read-only\"\n", true, false, true, true, true},
		{"a profile may be hidden", all + "profile = p\n[profiles.p]\nsandbox_mode = \"read-only\"\n", false, false, true, true, true},
		{"profiles alone hide nothing", all + "x = \n[profiles.p]\nsandbox_mode = \"read-only\"\n", false, false, false, false, true},
		{"a profile may be hidden by escapes", all + "\"\\u0070rofile\" = p\n", false, false, true, true, true},
		{"the profile is hidden", "profile = \"p\"\n" + all + "[features]\na = \n[profiles.p]\nmodel = \"x\"\n", false, false, true, true, true},
		{"the profile is half hidden", "profile = \"p\"\n" + all + "[profiles.p]\nsandbox_mode = \"read-only\"\nx = \n", false, false, false, true, true},
		{"the profile is over", "profile = \"p\"\n" + all + "[profiles.p]\nmodel = \"x\"\n[features]\nx = \n", false, false, false, false, true},
		{"inside an endless text", "x = \"\"\"\n" + all, true, true, true, true, true},
		{"inside a broken text", "x = \"\"\"\n" + all + "\"\"\" z\n", true, true, true, true, true},
		{"bad bytes", "# \xff\n" + all, true, true, true, true, true},
		{"zero byte", "\x00\n" + all, true, true, true, true, true},
		{"no such profile", "profile = \"q\"\n" + all + "[profiles.p]\n", false, false, true, true, false},
		{"profile of another type", "profile = 3\n" + all, false, false, true, true, false},
		{"profile stands twice", "profile = \"p\"\nprofile = \"q\"\n" + all + "[profiles.p]\n[profiles.q]\n", false, false, true, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantHidden(t, load(t, tt.file), tt.file, tt.workspaces, tt.method, tt.sandbox, tt.approval, tt.parts)
		})
	}
}

func TestOverridesRepair(t *testing.T) {
	c := load(t, "sandbox_mode = 3\napproval_policy = 4\n", "sandbox_mode=workspace-write", `approval_policy={granular={rules=true,sandbox_approval=false,mcp_elicitations=true}}`)
	if len(c.Problems) != 0 {
		t.Errorf("problems: %+v", c.Problems)
	}
	if c.SandboxMode != (Restricted[protocol.SandboxMode]{Value: protocol.SandboxWorkspaceWrite, Set: true}) {
		t.Errorf("sandbox: %+v", c.SandboxMode)
	}
	want := Restricted[protocol.ApprovalPolicy]{Set: true, Value: protocol.ApprovalPolicy{Mode: protocol.ApprovalGranular, Granular: &protocol.GranularApproval{Rules: true, MCPElicitations: true}}}
	if diff := cmp.Diff(want, c.ApprovalPolicy); diff != "" {
		t.Errorf("approval (-want +got):\n%s", diff)
	}

	// A member does not repair the table around it.
	c = load(t, "sandbox_workspace_write = 3\n", "sandbox_workspace_write.network_access=true")
	if c.SandboxWorkspaceWrite.Err == nil {
		t.Error("a broken table counts as read")
	}
	// A malformed override lifts nothing.
	for _, over := range []string{"sandbox_mode", "sandbox_mode:danger-full-access", "sandbox_mode=", "profile", `"sandbox_mode=x`} {
		c = load(t, `sandbox_mode = "read-only"`, over)
		if c.SandboxMode.Err == nil || len(c.Problems) == 0 {
			t.Errorf("%s: %+v %+v", over, c.SandboxMode, c.Problems)
		}
	}
}

func TestWorkspaceWrite(t *testing.T) {
	c := load(t, "[sandbox_workspace_write]\nwritable_roots = [\"~/x\", \"rel\", \"/a/../b\", \"~\", \"~user\"]\nnetwork_access = true\n", "sandbox_workspace_write.exclude_slash_tmp=true")
	want := Restricted[WorkspaceWrite]{Set: true, Value: WorkspaceWrite{
		WritableRoots: []string{"/home/me/x", filepath.Join(c.Home, "rel"), "/b", "/home/me", filepath.Join(c.Home, "~user")},
		NetworkAccess: true, ExcludeSlashTmp: true,
	}}
	if diff := cmp.Diff(want, c.SandboxWorkspaceWrite); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, file := range []string{
		"sandbox_workspace_write = true", "[[sandbox_workspace_write]]", "[sandbox_workspace_write]\nnetwork_access = 1",
		"[sandbox_workspace_write]\nexclude_slash_tmp = \"no\"", "[sandbox_workspace_write]\nwritable_roots = \"/a\"", "[sandbox_workspace_write]\nwritable_roots = [1]",
		"[sandbox_workspace_write]\nnetwork_access = true\nnetwork_access = false", "[sandbox_workspace_write]\nnetwork_access = true\n[sandbox_workspace_write.network_access]",
	} {
		if c := load(t, file); c.SandboxWorkspaceWrite.Err == nil || len(c.Problems) == 0 {
			t.Errorf("%s: %+v", file, c.SandboxWorkspaceWrite)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{
		"", "model = 1", "[profiles.p]\n", "x = \"\"\"", "a.b.c = {d = [1,\n2]}\n[[a.b.e]]\n", "sandbox_mode = read-only\n", "\xff", "[", "[[x]\n[y]\n",
		"profile = \"p\"\nx = \n[profiles.p]\nsandbox_mode=\"danger-full-access\"\n", "'''\n'''", "a=[\n", "a={\n", "\"a\\", "forced_login_method.x=1", "= 3\r\n", "a = 1979-05-27 07:32:00Z",
	} {
		f.Add(s, s)
	}
	const lock = "forced_chatgpt_workspace_id = \"org\"\nforced_login_method = \"api\"\n"
	f.Fuzz(func(t *testing.T, before, after string) {
		load(t, before, after)
		load := func(_ *testing.T, file string) *Config {
			src := &source{name: fileName, broken: -1, data: []byte(file)}
			l := layers{system: newTable(&source{broken: -1}), over: newTable(src)}
			l.user, l.found = parseFile(src)
			return decode(l)
		}

		// What follows a restriction cannot change it.
		c := load(t, lock+after)
		if !c.ForcedWorkspaces.Set && c.ForcedWorkspaces.Err == nil || c.ForcedWorkspaces.Set && !cmp.Equal(c.ForcedWorkspaces.Value, []string{"org"}) {
			t.Errorf("workspaces lifted: %+v", c.ForcedWorkspaces)
		}
		if !c.ForcedLoginMethod.Set && c.ForcedLoginMethod.Err == nil || c.ForcedLoginMethod.Set && c.ForcedLoginMethod.Value != "api" {
			t.Errorf("method lifted: %+v", c.ForcedLoginMethod)
		}
		// One that follows something unreadable is hidden or there, unless the
		// text before has opened a table or a text.
		c = load(t, "x = \n"+lock+after)
		if c.ForcedWorkspaces.Err == nil || c.ForcedLoginMethod.Err == nil {
			t.Errorf("after a syntax error: %+v %+v", c.ForcedWorkspaces, c.ForcedLoginMethod)
		}
	})
}
