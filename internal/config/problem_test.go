package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

func TestProblemPlaces(t *testing.T) {
	tests := []struct {
		name, file string
		want       []place
	}{
		{"empty file", "", nil},
		{"unknown keys", "nonsense = 3\n[other]\nx = [1, 2]\n", nil},
		{"unknown feature flag", "[features]\nbrand_new = true\n", nil},
		{"flag of another type", "[features]\nbrand_new = \"x\"\n", []place{{"features.brand_new", 2, 13, 2, 15}}},
		{"integer for a text", "model = 17\n", []place{{"model", 1, 9, 1, 10}}},
		{"indented", "\n   model =   17\n", []place{{"model", 2, 14, 2, 15}}},
		{"columns are characters", "\"é\" = 1\nü = 3\n", []place{{"", 2, 1, 2, 1}}},
		{"characters before", "a = { \"é\" = 1 }\nmodel_providers.\"é\".name = 3\n", []place{{`model_providers."é".name`, 2, 28, 2, 28}, {`model_providers."é"`, 2, 1, 2, 24}}},
		{"unknown enum value", "sandbox_mode = \"zzz\"\n", []place{{"sandbox_mode", 1, 16, 1, 20}}},
		{"list for a text", "forced_login_method = [\"api\"]\n", []place{{"forced_login_method", 1, 23, 1, 29}}},
		{"number in a list", "forced_chatgpt_workspace_id = [\"a\", 5]\n", []place{{"forced_chatgpt_workspace_id", 1, 37, 1, 37}}},
		{"list over several lines", "model = [\n 1,\n 2 # x\n]\n", []place{{"model", 1, 9, 4, 1}}},
		{"empty list", "forced_chatgpt_workspace_id = []\n", []place{{"forced_chatgpt_workspace_id", 1, 31, 1, 32}}},
		{"empty text", "forced_chatgpt_workspace_id = \"\"\n", []place{{"forced_chatgpt_workspace_id", 1, 31, 1, 32}}},
		{"several", "model = 1\nsandbox_mode = 2\napproval_policy = true\n", []place{
			{"sandbox_mode", 2, 16, 2, 16}, {"approval_policy", 3, 19, 3, 22}, {"model", 1, 9, 1, 9},
		}},
		{"no value", "model = \"a\"\nmodel_verbosity = \nservice_tier = \"flex\"\n", []place{{"model_verbosity", 2, 19, 2, 19}}},
		{"text without quotes", "sandbox_mode = read-only\n", []place{{"sandbox_mode", 1, 16, 1, 16}}},
		{"open text", "model = \"abc\nservice_tier = \"flex\"\n", []place{{"model", 1, 13, 1, 13}}},
		{"header not closed", "[model_providers.x\nname = \"x\"\n[features]\na = true\n", []place{{"model_providers.x", 1, 19, 1, 19}}},
		{"error at the end", "model =", []place{{"model", 1, 7, 1, 7}}},
		{"key in a table", "[sandbox_workspace_write]\nnetwork_access = yes\n", []place{{"sandbox_workspace_write.network_access", 2, 18, 2, 18}}},
		{"key twice", "model = \"a\"\nmodel = \"b\"\n", []place{{"model", 2, 1, 2, 5}}},
		{"table twice", "[features]\na = true\n[features]\nb = true\n", []place{{"features", 3, 2, 3, 9}}},
		{"not UTF-8", "model = \"a\xff\"\n", []place{{"model", 1, 11, 1, 11}}},
		{"malformed number", "model_context_window = 007\n", []place{{"model_context_window", 1, 24, 1, 25}}},
		{"number too large", "model_context_window = 99999999999999999999\n", []place{{"model_context_window", 1, 24, 1, 43}}},
		{"negative window", "model_context_window = -5\n", []place{{"model_context_window", 1, 24, 1, 25}}},
		{"no such profile", "profile = \"p\"\n", []place{{"profile", 1, 11, 1, 13}}},
		{"in a profile", "profile = \"p\"\n[profiles.p]\nmodel = 4\n", []place{{"profiles.p.model", 3, 9, 3, 9}}},
		{"no such provider", "model_provider = \"nope\"\n", []place{{"model_provider", 1, 18, 1, 23}}},
		{"built-in provider", "[model_providers.openai]\nname = \"x\"\n", []place{{"model_providers.openai", 1, 2, 1, 23}}},
		{"provider without URL", "[model_providers.x]\nname = \"x\"\n", []place{{"model_providers.x", 1, 2, 1, 18}}},
		{"provider with a bad header", "[model_providers.x]\nname = \"x\"\nbase_url = \"http://x\"\nhttp_headers = { a = \"b\", c = 1 }\n", []place{{"model_providers.x.http_headers.c", 4, 31, 4, 31}}},
		{"wire API chat", "[model_providers.x]\nname = \"x\"\nbase_url = \"http://x\"\nwire_api = \"chat\"\n", []place{{"model_providers.x.wire_api", 4, 12, 4, 17}}},
		{"granular lacks a member", "approval_policy = { granular = { rules = true, mcp_elicitations = true } }\n", []place{{"approval_policy.granular", 1, 32, 1, 72}}},
		{"granular with a text", "[approval_policy.granular]\nrules = true\nmcp_elicitations = true\nsandbox_approval = \"no\"\n", []place{{"approval_policy.granular.sandbox_approval", 4, 20, 4, 23}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := load(t, tt.file)
			if diff := cmp.Diff(tt.want, places(c)); diff != "" {
				t.Errorf("problems (-want +got):\n%s\n%v", diff, c.Problems)
			}
			for _, p := range c.Problems {
				if p.Path != filepath.Join(c.Home, fileName) || p.Summary == "" || !strings.HasPrefix(p.Details, p.Path) {
					t.Errorf("incomplete: %+v", p)
				}
			}
		})
	}
}

func TestProblemsKeepValuesToThemselves(t *testing.T) {
	const secret = "s3cr3t"
	for _, file := range []string{
		`model = ["s3cr3t"]`, `sandbox_mode = "s3cr3t"`, `forced_login_method = "s3cr3t"`, `service_tier = "s3cr3t"`,
		`model_providers.x = "s3cr3t"`, `model_providers.x.http_headers = "s3cr3t"`, `chatgpt_base_url = "s3cr3t://x"`,
		`openai_base_url = "http://s3cr3t:s3cr3t@\u0000"`, `api_key = "s3cr3t`, `api_key = s3cr3t`, `api_key = """s3cr3t`,
		`model_provider = "s3cr3t"`, `profile = "s3cr3t"`, "a = 1\na = \"s3cr3t\"", `experimental_bearer_token "s3cr3t"`,
		"[model_providers.x]\nname=\"x\"\nbase_url=\"http://x\"\nexperimental_bearer_token = [\"s3cr3t\"]", `x = "\qs3cr3t"`,
	} {
		c := load(t, file, `model_providers.x.env_key=["s3cr3t"]`, "s3cr3t", "=s3cr3t", `a."b=s3cr3t`)
		for _, p := range c.Problems {
			if text := p.Summary + p.Details + p.Key; strings.Contains(text, secret) {
				t.Errorf("%s: %s", file, text)
			}
		}
		for _, err := range []error{c.SandboxMode.Err, c.ForcedLoginMethod.Err, c.ForcedWorkspaces.Err, c.Providers["x"].Err, c.Providers["openai"].Err} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, fileName), 0o700); err != nil {
		t.Fatal(err)
	}
	c := loadHome(home)
	if len(c.Problems) != 1 || c.Problems[0].Path == "" || c.Problems[0].Range != nil {
		t.Fatalf("problems: %+v", c.Problems)
	}
	wantHidden(t, c, "all of them", true, true, true, true, true)

	c = loadHome(home, "sandbox_mode=read-only", "approval_policy=never", "forced_login_method=api", "forced_chatgpt_workspace_id=org",
		"sandbox_workspace_write={network_access=false,exclude_slash_tmp=true,exclude_tmpdir_env_var=true,writable_roots=[]}")
	wantHidden(t, c, "all given", false, false, false, false, false)
}

func TestLinkThatLeadsNowhere(t *testing.T) {
	home := t.TempDir()
	if err := os.Symlink(filepath.Join(home, "none"), filepath.Join(home, fileName)); err != nil {
		t.Skip("no symbolic links here")
	}
	c := loadHome(home)
	if len(c.Problems) != 1 {
		t.Errorf("problems: %+v", c.Problems)
	}
	wantHidden(t, c, "dangling link", true, true, true, true, true)
}

func TestPrintingShowsNoSecrets(t *testing.T) {
	c := load(t, "secret = \"s3cr3t\"\n[model_providers.x]\nname = \"x\"\nbase_url = \"http://x\"\nexperimental_bearer_token = \"s3cr3t\"\nhttp_headers = { a = \"s3cr3t\" }\n", "k=s3cr3t")
	for _, v := range []any{c, *c, c.Providers, c.Providers["x"]} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "s3cr3t") {
				t.Errorf("%s of %T: %s", verb, v, text)
			}
		}
	}
	if b, err := json.Marshal(c.Providers); err != nil || strings.Contains(string(b), "s3cr3t") {
		t.Errorf("encoded: %s, %v", b, err)
	}
}

func TestFileThatIsNotThere(t *testing.T) {
	c := loadHome(filepath.Join(t.TempDir(), "none"))
	if len(c.Problems) != 0 {
		t.Errorf("problems: %+v", c.Problems)
	}
	wantHidden(t, c, "no file", false, false, false, false, false)
}

func wantHidden(t *testing.T, c *Config, name string, workspaces, method, sandbox, approval, write bool) {
	t.Helper()
	got := []bool{c.ForcedWorkspaces.Err != nil, c.ForcedLoginMethod.Err != nil, c.SandboxMode.Err != nil, c.ApprovalPolicy.Err != nil, c.SandboxWorkspaceWrite.Err != nil}
	if diff := cmp.Diff([]bool{workspaces, method, sandbox, approval, write}, got); diff != "" {
		t.Errorf("%s: workspaces, method, sandbox, approval, write unreadable (-want +got):\n%s", name, diff)
	}
}
