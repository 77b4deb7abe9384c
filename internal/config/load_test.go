package config

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"app-server/protocol"
)

var compare = cmp.Options{
	cmpopts.IgnoreUnexported(Config{}), cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b protocol.Secret) bool { return a.Equal(b) }),
}

func TestDefaults(t *testing.T) {
	c := load(t, "")
	want := &Config{
		Home: c.Home, ModelProvider: "openai", ChatGPTBaseURL: "https://chatgpt.com/backend-api", CLIAuthCredentialsStore: "file",
		ApprovalsReviewer: protocol.ReviewerUser, ProjectRootMarkers: []string{".git"}, ProjectDocMaxBytes: 32768,
		Providers: map[string]Provider{"openai": {
			ID: "openai", Name: "OpenAI", WireAPI: "responses", RequiresOpenAIAuth: true, RequestMaxRetries: 4, StreamMaxRetries: 5, StreamIdleTimeout: 300 * time.Second,
			EnvHTTPHeaders: map[string]string{"OpenAI-Organization": "OPENAI_ORGANIZATION", "OpenAI-Project": "OPENAI_PROJECT"},
		}},
	}
	if diff := cmp.Diff(want, c, compare); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const everything = `
review_model = "r"
model = "m"
model_provider = "mock"
approval_policy = "on-request"
sandbox_mode = "workspace-write"
forced_login_method = "chatgpt"
cli_auth_credentials_store = "auto"
chatgpt_base_url = "http://127.0.0.1:1/api/"
openai_base_url = "http://127.0.0.1:2/v1"
model_reasoning_effort = "xhigh"
model_reasoning_summary = "none"
model_verbosity = "low"
service_tier = "fast"
personality = "pragmatic"
approvals_reviewer = "auto_review"
model_context_window = 1_000
model_auto_compact_token_limit = 0x10
tool_output_token_limit = 16
developer_instructions = """
two
lines"""
model_instructions_file = "~/base.md"
project_doc_max_bytes = 0
project_doc_fallback_filenames = ["NOTES.md"]
hide_agent_reasoning = true
show_raw_agent_reasoning = true

[features]
a = true
b = false

[model_providers.mock]
name = "Mock"
base_url = "http://127.0.0.1:3/v1/"
env_key = "KEY"
env_key_instructions = "set it"
wire_api = "responses"
experimental_bearer_token = "token"
requires_openai_auth = true
request_max_retries = 0
stream_max_retries = 1000
stream_idle_timeout_ms = 1500
query_params = { v = "1" }
http_headers = { "X-A" = "b" }
env_http_headers.X-C = "D"

[mcp_servers.x]
command = "y"

[[hooks]]
a = 1
`

func TestEverything(t *testing.T) {
	c := load(t, everything)
	window, limit := int64(1000), int64(16)
	want := &Config{
		Home: c.Home, Model: "m", ReviewModel: "r", ModelProvider: "mock",
		ApprovalPolicy:          Restricted[protocol.ApprovalPolicy]{Value: protocol.ApprovalPolicy{Mode: protocol.ApprovalOnRequest}, Set: true},
		SandboxMode:             Restricted[protocol.SandboxMode]{Value: protocol.SandboxWorkspaceWrite, Set: true},
		ForcedLoginMethod:       Restricted[string]{Value: "chatgpt", Set: true},
		CLIAuthCredentialsStore: "auto", ChatGPTBaseURL: "http://127.0.0.1:1/api", OpenAIBaseURL: "http://127.0.0.1:2/v1",
		ModelReasoningEffort: "xhigh", ModelReasoningSummary: "none", ModelVerbosity: "low", ServiceTier: "fast", Personality: "pragmatic", ApprovalsReviewer: "auto_review",
		ModelContextWindow: &window, ModelAutoCompactTokenLimit: &limit, ToolOutputTokenLimit: &limit,
		DeveloperInstructions: "two\nlines", ModelInstructionsFile: "/home/me/base.md",
		ProjectDocFallbackFilenames: []string{"NOTES.md"}, ProjectRootMarkers: []string{".git"}, Features: map[string]bool{"a": true, "b": false},
		HideAgentReasoning: true, ShowRawAgentReasoning: true,
		Providers: map[string]Provider{
			"openai": c.Providers["openai"],
			"mock": {
				ID: "mock", Name: "Mock", BaseURL: "http://127.0.0.1:3/v1", EnvKey: "KEY", EnvKeyInstructions: "set it", WireAPI: "responses",
				BearerToken: protocol.NewSecret("token"), RequiresOpenAIAuth: true, StreamMaxRetries: 100, StreamIdleTimeout: 1500 * time.Millisecond,
				QueryParams: map[string]string{"v": "1"}, HTTPHeaders: map[string]string{"X-A": "b"}, EnvHTTPHeaders: map[string]string{"X-C": "D"},
			},
		},
	}
	if diff := cmp.Diff(want, c, compare); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := c.Providers["openai"].BaseURL; got != c.OpenAIBaseURL {
		t.Errorf("openai at %q", got)
	}
}

func TestRestOfTheFileHolds(t *testing.T) {
	tests := []struct{ name, file string }{
		{"bad value", "model_verbosity = 3\nmodel = \"m\"\n[features]\na = true\n"},
		{"no value", "model = \"m\"\nx = \n[features]\na = true\n"},
		{"before the key", "x = \nmodel = \"m\"\n[features]\na = true\n"},
		{"no equals sign", "x \"y\"\nmodel = \"m\"\n[features]\na = true\n"},
		{"rest of the line", "x = 1 2\nmodel = \"m\"\n[features]\na = true\n"},
		{"open list", "x = [\n 1,\n 2\nmodel = \"m\"\n[features]\na = true\n"},
		{"open table", "model = \"m\"\nx = {\n a = 1\n model = 3\n[features]\na = true\n"},
		{"open text", "x = \"y\nmodel = \"m\"\n[features]\na = true\n"},
		{"bad header", "model = \"m\"\n[x\nmodel = 3\n[features]\na = true\n"},
		{"bad header and list", "model = \"m\"\n[x]]\nmodel = 3\n[features]\na = true\n"},
		{"bad escape in a long text", "x = \"\"\"\n\\q\nmodel = \"bad\"\n\"\"\"\nmodel = \"m\"\n[features]\na = true\n"},
		{"header on a value", "model = \"m\"\n[model]\na = 3\n[features]\na = true\n"},
		{"several", "x =\ny =\nmodel = \"m\"\n[features]\nz =\na = true\n"},
		{"bad byte", "x = \"\xff\"\nmodel = \"m\"\n[features]\na = true\n"},
		{"bad byte in a comment", "model = \"m\" # \xff\nmodel = \"m\"\n[features] # ok\na = true\n"},
		{"CRLF", "x = \r\nmodel = \"m\"\r\n[features]\r\na = true\r\n"},
		{"no newline at the end", "model = \"m\"\nx = \n[features]\na = true"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := load(t, tt.file)
			if c.Model != "m" || !c.Features["a"] {
				t.Errorf("model %q, features %v", c.Model, c.Features)
			}
			if len(c.Problems) == 0 {
				t.Error("no problem told")
			}
		})
	}

	c := load(t, "\xef\xbb\xbfmodel = \"m\"\n")
	if c.Model != "m" || len(c.Problems) != 0 {
		t.Errorf("byte order mark: %q %v", c.Model, c.Problems)
	}
	c = load(t, strings.Repeat("x =\n", 1000)+"model = \"m\"\n")
	if c.Model != "" || len(c.Problems) != maxSyntaxProblems || c.SandboxMode.Err == nil {
		t.Errorf("%q, %d problems, %v", c.Model, len(c.Problems), c.SandboxMode.Err)
	}
}

func TestManyProblems(t *testing.T) {
	c := load(t, strings.Repeat("a = 1\n", 500)+"[features]\n"+strings.Repeat("x", 3)+" = 1\n")
	if len(c.Problems) != maxProblems {
		t.Errorf("%d problems", len(c.Problems))
	}
	if _, err := c.With(overrides(t, map[string]any{"model": 3})); err == nil {
		t.Error("a bad override passes among many problems")
	}
}

func TestOverrides(t *testing.T) {
	tests := []struct {
		over string
		got  func(*Config) any
		want any
	}{
		{`model="x"`, func(c *Config) any { return c.Model }, "x"},
		{`model=x y`, func(c *Config) any { return c.Model }, "x y"},
		{` model = x `, func(c *Config) any { return c.Model }, "x"},
		{`model='x`, func(c *Config) any { return c.Model }, "x"},
		{`model=a=b`, func(c *Config) any { return c.Model }, "a=b"},
		{"model=\"a\"\nb=1", func(c *Config) any { return c.Model }, "a\"\nb=1"},
		{`hide_agent_reasoning=true`, func(c *Config) any { return c.HideAgentReasoning }, true},
		{`model_context_window=5`, func(c *Config) any { return *c.ModelContextWindow }, int64(5)},
		{`model_providers.p.base_url=http://h/`, func(c *Config) any { return c.Providers["p"].BaseURL }, "http://h"},
		{`model_providers."a.b".name=N`, func(c *Config) any { return c.Providers["a.b"].Name }, "N"},
		{`model_providers.q={name="Q", base_url="http://q"}`, func(c *Config) any { return c.Providers["q"].Name }, "Q"},
		{`model_providers.p.query_params.v=2025-01-01`, func(c *Config) any { return c.Providers["p"].QueryParams["v"] }, "2025-01-01"},
		{`features.x=true`, func(c *Config) any { return c.Features["x"] && c.Features["y"] }, true},
		{`model_instructions_file=base.md`, func(c *Config) any { return c.ModelInstructionsFile }, "/some/dir/base.md"},
		{`profile=p`, func(c *Config) any { return c.Model }, "of p"},
	}
	for _, tt := range tests {
		c := load(t, "[features]\ny = true\n[profiles.p]\nmodel = \"of p\"\n", tt.over)
		if got := tt.got(c); got != tt.want {
			t.Errorf("%q: got %v, want %v; %v", tt.over, got, tt.want, c.Problems)
		}
	}
	c := load(t, "", "model=a", "model=b")
	if c.Model != "b" {
		t.Errorf("the last one wins: %q", c.Model)
	}
	for _, bad := range []string{"", "x", "=1", ".=1", "a..b=1", `a."b=1`} {
		if c := load(t, "", bad); len(c.Problems) != 1 || c.Problems[0].Path != "" || c.Problems[0].Range != nil {
			t.Errorf("%q: %+v", bad, c.Problems)
		}
	}
}

func TestProfile(t *testing.T) {
	const file = `
model = "top"
profile = "p"
sandbox_mode = "danger-full-access"
[features]
a = true
b = true
[profiles.p]
model = "of p"
sandbox_mode = "read-only"
approval_policy = "untrusted"
model_reasoning_effort = "low"
features = { a = false, c = true }
chatgpt_base_url = "http://p"
[profiles."q.r"]
model = "of q"
model_verbosity = 1
`
	c := load(t, file)
	got := []any{c.Profile, c.Model, c.SandboxMode.Value, c.ApprovalPolicy.Value.Mode, c.ModelReasoningEffort, c.ChatGPTBaseURL, c.Features["a"], c.Features["b"], c.Features["c"]}
	want := []any{"p", "of p", protocol.SandboxReadOnly, protocol.ApprovalUntrusted, protocol.EffortLow, "http://p", false, true, true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// An override wins over the profile, also for flags.
	c = load(t, file, "model=given", "features.a=true")
	if c.Model != "given" || !c.Features["a"] || !c.Features["c"] {
		t.Errorf("%q %v", c.Model, c.Features)
	}
	c = load(t, file, "profile=q.r")
	if c.Model != "of q" || c.SandboxMode.Value != protocol.SandboxDangerFullAccess || len(c.Problems) != 1 || c.Problems[0].Key != `profiles."q.r".model_verbosity` {
		t.Errorf("%q %v %+v", c.Model, c.SandboxMode, c.Problems)
	}
}

func TestProviders(t *testing.T) {
	c := load(t, `
[model_providers.ok]
name = "OK"
base_url = "http://ok"
[model_providers.chat]
name = "C"
base_url = "http://c"
wire_api = "chat"
[model_providers.nowhere]
name = "N"
[model_providers.half]
name = "H"
base_url = "http://h"
env_key = 3
request_max_retries = -1
[model_providers.command]
name = "X"
base_url = "http://x"
auth = { command = "y" }
[model_providers.ftp]
name = "F"
base_url = "ftp://x"
`, "model_providers.flat=3", "openai_base_url=5")
	var broken []string
	for id, p := range c.Providers {
		if p.Err != nil {
			broken = append(broken, id)
		}
		if p.ID != id {
			t.Errorf("%s has id %s", id, p.ID)
		}
	}
	want := []string{"chat", "command", "flat", "ftp", "half", "nowhere", "openai"}
	if diff := cmp.Diff(want, broken, cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Errorf("unusable providers (-want +got):\n%s\n%+v", diff, c.Problems)
	}
	if got := c.Providers["half"].RequestMaxRetries; got != 4 {
		t.Errorf("retries %d", got)
	}
}

func TestWith(t *testing.T) {
	base := load(t, "model = \"m\"\nsandbox_mode = 3\n[sandbox_workspace_write]\nnetwork_access = true\n", "model_verbosity=low")
	c, err := base.With(overrides(t, map[string]any{
		"model_reasoning_effort": "high", "sandbox_workspace_write.exclude_slash_tmp": true, "sandbox_mode": "workspace-write",
		"sandbox_workspace_write": map[string]any{"writable_roots": []any{"/r", "s"}}, "model": nil, "model_context_window": float64(7), "features": jsontext.Value(`{"a": true, "b": null}`),
	}))
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.Model, c.ModelReasoningEffort, c.SandboxMode.Value, c.SandboxWorkspaceWrite.Value, c.ModelVerbosity, *c.ModelContextWindow, c.Features}
	want := []any{"m", protocol.EffortHigh, protocol.SandboxWorkspaceWrite, WorkspaceWrite{WritableRoots: []string{"/r", "/some/dir/s"}, NetworkAccess: true, ExcludeSlashTmp: true}, protocol.VerbosityLow, int64(7), map[string]bool{"a": true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if base.SandboxMode.Err == nil || base.ModelReasoningEffort != "" || len(base.Problems) != 1 {
		t.Errorf("the settings it started from have changed: %+v", base)
	}
	if again, err := c.With(overrides(t, map[string]any{"model": "n"})); err != nil || again.Model != "n" || again.ModelReasoningEffort != protocol.EffortHigh {
		t.Errorf("twice: %+v, %v", again, err)
	}
	for key, v := range map[string]any{
		"sandbox_mode": "zzz", "model": 3, "approval_policy": map[string]any{"granular": map[string]any{}}, "forced_chatgpt_workspace_id": "x", "forced_login_method": "api",
		"a..b": 1, "model_provider": "nope", "profile": "nope", "sandbox_workspace_write.network_access": "yes", "model_context_window": 1.5, "model_verbosity": []any{nil}, "service_tier": jsontext.Value("{"), "personality": jsontext.Value("1e999"), "review_model": jsontext.Value("99999999999999999999"),
	} {
		if _, err := base.With(overrides(t, map[string]any{key: v})); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: error %v", key, err)
		}
	}
}

func TestHome(t *testing.T) {
	env := func(m map[string]string) func(string) string { return func(k string) string { return m[k] } }
	for _, tt := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"CODEX_HOME": "/x/../y"}, "/y"},
		{map[string]string{"CODEX_HOME": "rel"}, filepath.Join("/cwd", "rel")},
		{map[string]string{"HOME": "/home/me", "USERPROFILE": "/home/me"}, filepath.Join("/home/me", ".codex")},
		{nil, ""},
	} {
		got, err := Home(env(tt.env), "/cwd")
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%v: %q, %v", tt.env, got, err)
		}
	}
}
