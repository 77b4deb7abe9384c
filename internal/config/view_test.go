package config

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

// described is the config member of config/read, and its keys in their order.
func described(t *testing.T, c *Config) (map[string]any, []string) {
	t.Helper()
	raw := c.Describe().Config
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	var keys []string
	for _, k := range shownKeys() {
		keys = append(keys, k.name)
	}
	return m, keys
}

func TestDescribeEmpty(t *testing.T) {
	c := loadHome(t.TempDir())
	m, keys := described(t, c)
	if len(m) != len(keys) {
		t.Errorf("%d members, want %d", len(m), len(keys))
	}
	for _, k := range keys {
		v, ok := m[k]
		_, table := v.(map[string]any)
		if !ok || v != nil && !table {
			t.Errorf("%s: %v", k, v)
		}
	}
	r := c.Describe()
	if len(r.Origins) != 0 || len(r.Layers) != 1 || string(r.Layers[0].Config) != "{}" {
		t.Errorf("%+v", r)
	}
	// The hash that the reference makes of nothing.
	if v := r.Layers[0].Version; v != "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" {
		t.Error(v)
	}
}

func TestDescribeValues(t *testing.T) {
	c := load(t, `
model = "file"
profile = "work"
approval_policy = { granular = { sandbox_approval = true, rules = false, mcp_elicitations = true } }
when = 2025-01-01T10:00:00Z
other = { a = [1, 2.5, { b = 1.0 }], c = inf }
[tools]
web_search = true
view_image = true
[sandbox_workspace_write]
network_access = true
[profiles.work]
model = "profile"
[mcp_servers.a]
command = "x"
env = { TOKEN = "t" }
`, `model="flag"`, `tui.theme="dark"`)
	m, _ := described(t, c)
	for key, want := range map[string]any{
		"model":                   "flag",
		"profile":                 "work",
		"approval_policy":         map[string]any{"granular": map[string]any{"sandbox_approval": true, "rules": false, "mcp_elicitations": true, "skill_approval": false, "request_permissions": false}},
		"when":                    "2025-01-01T10:00:00Z",
		"other":                   map[string]any{"a": []any{1.0, 2.5, map[string]any{"b": 1.0}}, "c": nil},
		"tools":                   map[string]any{"web_search": nil, "view_image": true},
		"sandbox_workspace_write": map[string]any{"network_access": true, "writable_roots": []any{}, "exclude_slash_tmp": false, "exclude_tmpdir_env_var": false},
		"profiles": map[string]any{"work": map[string]any{
			"model": "profile", "model_provider": nil, "approval_policy": nil, "approvals_reviewer": nil, "service_tier": nil,
			"model_reasoning_effort": nil, "model_reasoning_summary": nil, "model_verbosity": nil, "web_search": nil, "tools": nil,
			"chatgpt_base_url": nil,
		}},
		"mcp_servers":  map[string]any{"a": map[string]any{"command": "x", "env": map[string]any{"TOKEN": "t"}}},
		"tui":          map[string]any{"theme": "dark"},
		"sandbox_mode": nil,
	} {
		if diff := cmp.Diff(want, m[key]); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	r := c.Describe()
	types := map[string]protocol.ConfigLayerType{}
	for key, o := range r.Origins {
		types[key] = o.Name.Type
	}
	user, flags := protocol.LayerUser, protocol.LayerSessionFlags
	if diff := cmp.Diff(map[string]protocol.ConfigLayerType{
		"model": flags, "tui.theme": flags, "profile": user, "profiles.work.model": user, "when": user,
		"approval_policy.granular.sandbox_approval": user, "approval_policy.granular.rules": user, "approval_policy.granular.mcp_elicitations": user,
		"other.a.0": user, "other.a.1": user, "other.a.2.b": user, "other.c": user,
		"tools.web_search": user, "tools.view_image": user, "sandbox_workspace_write.network_access": user,
		"mcp_servers.a.command": user, "mcp_servers.a.env.TOKEN": user,
	}, types); diff != "" {
		t.Error(diff)
	}
	if len(r.Layers) != 2 || r.Layers[0].Name.Type != flags || string(r.Layers[0].Config) != `{"model":"flag","tui":{"theme":"dark"}}` {
		t.Errorf("%+v", r.Layers)
	}
	if text := string(r.Layers[1].Config); !strings.Contains(text, `"b":1.0`) || !strings.Contains(text, `"model":"file"`) {
		t.Error(text)
	}
}

// What cannot be used is not in force: null, or left out of its table.
func TestDescribeUnusable(t *testing.T) {
	c := load(t, `
model = 7
approval_policy = "sometimes"
web_search = "often"
review_model = []
model_provider = "undefined"
[sandbox_workspace_write]
network_access = "yes"
exclude_slash_tmp = true
[features]
good = true
bad = 1
[model_providers.m]
base_url = "nonsense"
`)
	m, _ := described(t, c)
	for key, want := range map[string]any{
		"model": nil, "approval_policy": nil, "web_search": nil, "review_model": nil, "model_provider": "undefined",
		"sandbox_workspace_write": map[string]any{"network_access": false, "writable_roots": []any{}, "exclude_slash_tmp": true, "exclude_tmpdir_env_var": false},
		"features":                map[string]any{"good": true},
		"model_providers":         map[string]any{"m": map[string]any{"base_url": "nonsense"}},
	} {
		if diff := cmp.Diff(want, m[key]); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	if text := string(c.Describe().Layers[0].Config); !strings.Contains(text, `"model":7`) {
		t.Error(text)
	}
}

func TestMCPServers(t *testing.T) {
	c := load(t, `
[mcp_servers.b]
command = "x"
[mcp_servers.a]
url = "http://localhost"
enabled = false
[mcp_servers.env]
url = "http://localhost"
bearer_token_env_var = "T"
[mcp_servers.header]
url = "http://localhost"
http_headers = { authorization = "Bearer x" }
[mcp_servers.both]
url = "http://localhost"
command = "x"
[mcp_servers.neither]
enabled = true
`, `mcp_servers.flag.command="y"`, `mcp_servers.odd=5`)
	type short struct {
		Name                        string
		Enabled, BearerToken, Wrong bool
	}
	var got []short
	for _, s := range c.MCPServers() {
		got = append(got, short{s.Name, s.Enabled, s.BearerToken, s.Err != nil})
	}
	if diff := cmp.Diff([]short{
		{"a", false, false, false}, {"b", true, false, false}, {"both", true, false, true}, {"env", true, true, false},
		{"flag", true, false, false}, {"header", true, true, false}, {"neither", true, false, true}, {"odd", true, false, true},
	}, got); diff != "" {
		t.Error(diff)
	}
	if s := loadHome(t.TempDir(), "mcp_servers=1").MCPServers(); s != nil {
		t.Error(s)
	}
}
