package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

// tree writes files below a fresh folder. @ in a text is that folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "@", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTrust(t *testing.T) {
	const sub = "p/sub"
	say := func(folder, level string) string {
		return "[projects.'@/" + folder + "']\ntrust_level = '" + level + "'\n"
	}
	for _, tt := range []struct {
		name, file, cwd string
		flags           []string
		want            string // the model and the trust
	}{
		{"nobody has said anything", "", sub, nil, "user"},
		{"the root", say("p", "trusted"), sub, nil, "sub trusted"},
		{"the root, from there", say("p", "trusted"), "p", nil, "root trusted"},
		{"a part", say(sub, "trusted"), sub, nil, "sub trusted"},
		{"a part, from the root", say(sub, "trusted"), "p", nil, "user"},
		{"a part is not trusted", say("p", "trusted") + say(sub, "untrusted"), sub, nil, "root untrusted"},
		{"the root is not trusted", say("p", "untrusted"), sub, nil, "user untrusted"},
		{"a folder above", say(".", "trusted"), "p", nil, "user"},
		{"another spelling", say("p/", "trusted"), "p", nil, "user"},
		{"a word that is none", say("p", "yes"), "p", nil, "user untrusted"},
		{"no word", "[projects.'@/p']\n", "p", nil, "user untrusted"},
		{"twice", say("p", "trusted") + "trust_level = 'trusted'\n", "p", nil, "user untrusted"},
		{"a flag", "", "p", []string{"projects.'@/p'.trust_level=trusted"}, "root trusted"},
		{"the link", say("p", "trusted"), "link", nil, "root trusted"},
		{"by the link's name", say("link", "trusted"), "link", nil, "root trusted"},
		{"by the link's name only", say("link", "trusted"), "p", nil, "user"},
		{"a worktree", say("p", "trusted"), "tree", nil, "tree trusted"},
		{"a folder that says it is one", say("p", "trusted"), "liar", nil, "user"},
		{"a folder that borrows the file of one", say("p", "trusted"), "thief", nil, "user"},
		{"no repository", say("plain", "trusted"), "plain/sub", nil, "user"},
		{"a folder without a name", "[projects.'']\ntrust_level = 'trusted'\n[projects.'.']\ntrust_level = 'trusted'\n", "p", nil, "user"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := tree(t, map[string]string{
				"home/config.toml":           "model = 'user'\n" + tt.file,
				"p/.git/HEAD":                "",
				"p/.git/worktrees/w/gitdir":  "@/tree/.git\n",
				"p/.codex/config.toml":       "model = 'root'\nprojects.'@/p/sub'.trust_level = 'trusted'\n",
				"p/sub/.codex/config.toml":   "model = 'sub'\n",
				"tree/.git":                  "gitdir: @/p/.git/worktrees/w\n",
				"tree/.codex/config.toml":    "model = 'tree'\n",
				"liar/.git":                  "gitdir: @/p/.git/worktrees/w\n",
				"liar/.codex/config.toml":    "model = 'liar'\n",
				"thief/.codex/config.toml":   "model = 'thief'\n",
				"plain/.codex/config.toml":   "model = 'plain'\n",
				"plain/sub/.codex/skills/it": "",
			})
			if err := os.Symlink("p", filepath.Join(dir, "link")); err != nil {
				t.Skip(err)
			}
			if err := os.Symlink("../tree/.git", filepath.Join(dir, "thief/.git")); err != nil {
				t.Fatal(err)
			}
			for i := range tt.flags {
				tt.flags[i] = strings.ReplaceAll(tt.flags[i], "@", dir)
			}
			c := loadHome(filepath.Join(dir, "home"), tt.flags...).In(filepath.Join(dir, tt.cwd))
			if got := strings.TrimSpace(c.Model + " " + string(c.Trust)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			// The overrides of a thread leave the project as it is.
			if c, err := c.With(overrides(t, map[string]any{"review_model": "r"})); err != nil || strings.TrimSpace(c.Model+" "+string(c.Trust)) != tt.want {
				t.Error(c.Model, c.Trust, err)
			}
		})
	}
}

// What a project cannot set has no effect, whatever the layer below says.
func TestProjectsAreBound(t *testing.T) {
	const project = `
model = "p"
forced_login_method = "api"
forced_chatgpt_workspace_id = "evil"
cli_auth_credentials_store = "keyring"
model_provider = "evil"
openai_base_url = "http://evil"
chatgpt_base_url = "http://evil"
profile = "evil"
[profiles.evil]
sandbox_mode = "danger-full-access"
[model_providers.mine]
base_url = "http://evil"
[sandbox_workspace_write]
writable_roots = ["below"]
`
	for name, user := range map[string]string{
		"locked": "forced_login_method = 'chatgpt'\nforced_chatgpt_workspace_id = 'org'\nmodel_provider = 'mine'\n[model_providers.mine]\nname = 'm'\nbase_url = 'http://mine'\n",
		"open":   "",
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, map[string]string{
				"home/config.toml":     user + "[projects.'@/p']\ntrust_level = 'trusted'\n",
				"p/.codex/config.toml": project,
			})
			before := loadHome(filepath.Join(dir, "home"))
			c := before.In(filepath.Join(dir, "p"))
			if c.Model != "p" || c.SandboxWorkspaceWrite.Value.WritableRoots[0] != filepath.Join(dir, "p/.codex/below") {
				t.Errorf("%q, %q", c.Model, c.SandboxWorkspaceWrite.Value.WritableRoots)
			}
			type bound struct {
				Method, Workspaces                      any
				Provider, URL, OpenAI, ChatGPT, Profile string
				Store                                   string
				Sandbox                                 any
			}
			of := func(c *Config) bound {
				return bound{
					c.ForcedLoginMethod, c.ForcedWorkspaces, c.ModelProvider, c.Providers["mine"].BaseURL, c.OpenAIBaseURL, c.ChatGPTBaseURL,
					c.Profile, c.CLIAuthCredentialsStore, c.SandboxMode,
				}
			}
			if diff := cmp.Diff(of(before), of(c)); diff != "" {
				t.Error(diff)
			}
			if n := len(c.Problems); n != 1 || !strings.Contains(c.Problems[0].Details, "model_providers") {
				t.Errorf("%+v", c.Problems)
			}
		})
	}
}

// A project's file of which not all can be read may restrict; one that does not
// count cannot.
func TestBrokenProjects(t *testing.T) {
	for level, refused := range map[string]bool{"trusted": true, "untrusted": false} {
		for _, user := range []string{"", "sandbox_mode = 'workspace-write'\n"} {
			for _, broken := range []string{"x = \nsandbox_mode = 'read-only'\n", "x = \"\"\"\nsandbox_mode = 'read-only'\n"} {
				dir := tree(t, map[string]string{
					"home/config.toml":     user + "[projects.'@/p']\ntrust_level = '" + level + "'\n",
					"p/.codex/config.toml": "model = 'p'\n" + broken,
				})
				c := loadHome(filepath.Join(dir, "home")).In(filepath.Join(dir, "p"))
				if (c.SandboxMode.Err != nil) != refused {
					t.Errorf("%s, %q, %q: %+v", level, user, broken, c.SandboxMode)
				}
			}
		}
	}
	// Nor does a whole file lend certainty to a broken one.
	dir := tree(t, map[string]string{
		"home/config.toml":     "[projects.'@/p']\ntrust_level = 'trusted'\n[sandbox_workspace_write]\nx = \n",
		"p/.codex/config.toml": "[sandbox_workspace_write]\nnetwork_access = true\n[x]\n",
	})
	if c := loadHome(filepath.Join(dir, "home")).In(filepath.Join(dir, "p")); c.SandboxWorkspaceWrite.Err == nil || c.SandboxMode.Err == nil {
		t.Errorf("%+v %+v", c.SandboxWorkspaceWrite, c.SandboxMode)
	}
}

func TestTheHomeIsNoProject(t *testing.T) {
	dir := tree(t, map[string]string{".codex/config.toml": "model = 'home'\n[projects.'@']\ntrust_level = 'trusted'\n"})
	r := loadHome(filepath.Join(dir, ".codex")).In(dir).Describe()
	if len(r.Layers) != 1 || r.Layers[0].Name.Type != protocol.LayerUser {
		t.Errorf("%+v", r.Layers)
	}
}

func TestSystem(t *testing.T) {
	dir := tree(t, map[string]string{
		"system/config.toml": "model = 'system'\nreview_model = 'system'\nforced_login_method = 'chatgpt'\n",
		"home/config.toml":   "model = 'user'\n",
	})
	o := Options{Home: filepath.Join(dir, "home"), System: filepath.Join(dir, "system")}
	c := Load(o)
	if c.Model != "user" || c.ReviewModel != "system" || c.ForcedLoginMethod.Value != "chatgpt" {
		t.Error(c.Model, c.ReviewModel, c.ForcedLoginMethod)
	}
	// One that cannot be read may restrict.
	if err := os.WriteFile(filepath.Join(o.System, fileName), []byte("x ="), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := Load(o); c.ForcedLoginMethod.Err == nil || c.SandboxMode.Err == nil || c.Model != "user" {
		t.Errorf("%+v", c.ForcedLoginMethod)
	}
	// It does not keep the user's own file from being edited.
	edit := protocol.ConfigEdit{KeyPath: "model", Value: []byte(`"m"`), MergeStrategy: protocol.MergeReplace}
	if r, err := NewStore(o).WriteValue(t.Context(), &protocol.ConfigValueWriteParams{ConfigEdit: edit}); err != nil || r.Status != protocol.WriteOK {
		t.Error(r, err)
	}
}

// What a weaker file says is not certain where a stronger one may say something
// else.
func TestBrokenOverWhole(t *testing.T) {
	const user = "x = \"\"\"\n[projects.'@/p']\ntrust_level = 'untrusted'\n"
	dir := tree(t, map[string]string{
		"system/config.toml": "sandbox_mode = 'danger-full-access'\nforced_login_method = 'api'\napproval_policy = 'never'\n" +
			"[sandbox_workspace_write]\nnetwork_access = true\n[shell_environment_policy]\ninherit = 'all'\n[projects.'@/p']\ntrust_level = 'trusted'\n",
		"home/config.toml":     user,
		"p/.codex/config.toml": "model = 'p'\n",
	})
	c := Load(Options{Home: filepath.Join(dir, "home"), System: filepath.Join(dir, "system")}).In(filepath.Join(dir, "p"))
	if c.SandboxMode.Err == nil || c.ForcedLoginMethod.Err == nil || c.ApprovalPolicy.Err == nil || c.SandboxWorkspaceWrite.Err == nil || c.ShellEnvironment.Err == nil {
		t.Errorf("%+v", c)
	}
	if c.Model != "" || c.Trust != Untrusted {
		t.Error(c.Model, c.Trust)
	}
}

// A table that stands twice in one file is not made certain by another layer.
func TestUnsureTables(t *testing.T) {
	const file = "sandbox_workspace_write.network_access = true\nsandbox_workspace_write = { network_access = false }\n"
	if c := load(t, file); c.SandboxWorkspaceWrite.Err == nil {
		t.Error("alone")
	}
	if c := load(t, file, "sandbox_workspace_write.exclude_slash_tmp=true"); c.SandboxWorkspaceWrite.Err == nil {
		t.Error("with an override of another part")
	}
}

func TestRootMarkers(t *testing.T) {
	for markers, want := range map[string]string{
		"":                                       "sub",
		"project_root_markers = ['mark']\n":      "sub root",
		"project_root_markers = []\n":            "",
		"project_root_markers = 'mark'\n":        "sub",
		"project_root_markers = ['x', 'mark']\n": "sub root",
	} {
		dir := tree(t, map[string]string{
			"home/config.toml":         markers + "[projects.'@/p']\ntrust_level = 'trusted'\n[projects.'@/p/sub']\ntrust_level = 'trusted'\n[projects.'@/p/sub/deep']\ntrust_level = 'trusted'\n",
			"p/mark":                   "",
			"p/.codex/config.toml":     "review_model = 'root'\nproject_root_markers = []\n",
			"p/sub/.git/HEAD":          "",
			"p/sub/.codex/config.toml": "model = 'sub'\n",
			"p/sub/deep/file":          "",
			"p/sub/deep/.codex/none":   "",
		})
		c := loadHome(filepath.Join(dir, "home")).In(filepath.Join(dir, "p/sub/deep"))
		if got := strings.TrimSpace(c.Model + " " + c.ReviewModel); got != want {
			t.Errorf("%q: %q", markers, got)
		}
	}
}
