package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/plainfile"
	"app-server/internal/project"
	"app-server/protocol"
)

// fileName is the settings file in the server's folder.
const fileName = "config.toml"

// maxFileBytes bounds the settings file. A larger one is a mistake, and reading
// it would delay the start.
const maxFileBytes = 4 << 20

// defaultProjectDocBytes is how much of the AGENTS.md files reaches the model.
const defaultProjectDocBytes = 32 << 10

// maxProjectDocBytes bounds what may be configured.
const maxProjectDocBytes = 64 << 20

// defaultChatGPTBaseURL is where ChatGPT sign-ins are served.
const defaultChatGPTBaseURL = "https://chatgpt.com/backend-api"

// mark is what some editors put in front of a text. It is no part of it.
const mark = "\uFEFF"

// Options say where settings come from.
type Options struct {
	// Home is the absolute path of $CODEX_HOME.
	Home string
	// System is the folder of the settings that hold for all users; empty for none.
	System string
	// Overrides are -c arguments, "key=value": a dotted key, and a TOML value
	// or a plain text.
	Overrides []string
	// Cwd is the folder that relative paths of overrides start at.
	Cwd string
	// Getenv looks up the user's home for paths with ~. Nil: none is known.
	Getenv func(string) string
}

// Config is the settings in force. It is immutable. Texts that are not set are
// empty, as are the enums.
type Config struct {
	Home     string
	Problems []Problem

	Model string
	// ReviewModel is the model of reviews; empty for the thread's own.
	ReviewModel string
	// ModelProvider is an id; Providers may lack it, which is a problem and
	// makes thread/start refuse.
	ModelProvider string
	Providers     map[string]Provider
	Profile       string
	// Trust is what the user said about the project that the settings were read
	// for with [Config.In]; empty for nothing.
	Trust TrustLevel

	ApprovalPolicy        Restricted[protocol.ApprovalPolicy]
	SandboxMode           Restricted[protocol.SandboxMode]
	SandboxWorkspaceWrite Restricted[WorkspaceWrite]
	ShellEnvironment      Restricted[ShellEnvironment]
	ForcedWorkspaces      Restricted[[]string]
	ForcedLoginMethod     Restricted[string]

	// CLIAuthCredentialsStore is file, keyring, auto or ephemeral.
	CLIAuthCredentialsStore string
	// ChatGPTBaseURL and OpenAIBaseURL have no trailing slash. OpenAIBaseURL is
	// empty unless configured.
	ChatGPTBaseURL, OpenAIBaseURL string

	ModelReasoningEffort  protocol.ReasoningEffort
	ModelReasoningSummary protocol.ReasoningSummary
	ModelVerbosity        protocol.Verbosity
	ServiceTier           protocol.ServiceTier
	Personality           protocol.Personality
	ApprovalsReviewer     protocol.ApprovalsReviewer

	// ModelReasons is whether a model that is not known takes reasoning settings.
	ModelReasons bool
	// ModelContextWindow and ModelAutoCompactTokenLimit are tokens, above 0.
	ModelContextWindow, ModelAutoCompactTokenLimit *int64
	// ToolOutputTokenLimit is what the model gets of an output at most, in tokens,
	// above 0.
	ToolOutputTokenLimit *int64

	DeveloperInstructions string
	// CompactPrompt asks the model for the summary of a compaction; empty for the
	// server's own words.
	CompactPrompt string
	// CompactPromptFile is an absolute path. It counts where CompactPrompt is empty.
	CompactPromptFile string
	// OmitPermissions and OmitEnvironment keep from the model what it may do and
	// what surrounds it.
	OmitPermissions, OmitEnvironment bool
	// ModelInstructionsFile is an absolute path.
	ModelInstructionsFile string

	ProjectDocMaxBytes          int
	ProjectDocFallbackFilenames []string
	// ProjectRootMarkers are the names by which the root of a project is known.
	ProjectRootMarkers []string

	// Features are the feature flags, unknown ones included.
	Features map[string]bool

	WebSearch WebSearch

	Skills Skills

	Requirements Requirements

	HideAgentReasoning, ShowRawAgentReasoning bool
	// NoLoginShell keeps the model's commands from reading the user's profile.
	NoLoginShell bool

	layers layers
}

// Load reads the settings of the system and the user. It never fails: what could
// not be read is in Problems, and in the Err of the settings that restrict.
func Load(o Options) *Config {
	system, problems := readFile(o.System, fileName)
	l := layers{options: o, system: system, found: problems}
	l.required, problems = readRequirements(o.System)
	l.found = append(l.found, problems...)
	l.user, problems = readFile(o.Home, fileName)
	l.found = append(l.found, problems...)
	l.over, problems = parseFlags(o.Overrides, o.Cwd)
	l.found = append(l.found, problems...)
	return decode(l)
}

// readFile reads a file of settings in a folder. One that is not there is an empty
// one, as is that of no folder; one that cannot be read hides all restrictions.
func readFile(dir, name string) (*node, []Problem) {
	if dir == "" {
		return newTable(&source{broken: -1}), nil
	}
	src := &source{name: filepath.Join(dir, name), dir: dir, broken: -1}
	data, err := readBounded(src.name)
	if errors.Is(err, fs.ErrNotExist) {
		return newTable(src), nil
	}
	if err != nil {
		p := src.problem(span{}, "", "The file "+src.file()+" could not be read.", plainfile.Cause(err).Error())
		src.broken, src.reason = 0, &p
		return newTable(src), []Problem{p}
	}
	src.data, src.marked = bytes.CutPrefix(data, []byte(mark))
	return parseFile(src)
}

func readBounded(path string) ([]byte, error) {
	data, more, err := plainfile.Read(path, maxFileBytes)
	if more {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxFileBytes)
	}
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			// What it points at may restrict, so it does not count as absent.
			return nil, errors.New("this link leads nowhere")
		}
	}
	return data, err
}

// With returns the settings with overrides laid on them, those of thread/start:
// keys may be dotted, null says nothing. An error names the key that cannot be
// used; c is never changed. Settings that govern the whole process are refused.
func (c *Config) With(overrides map[string]jsontext.Value) (*Config, error) {
	if len(overrides) == 0 {
		return c, nil
	}
	tree, err := parseThread(overrides, c.layers.options.Cwd)
	if err != nil {
		return nil, err
	}
	for _, name := range [...]string{keyWorkspaces, keyLoginMethod} {
		if tree.get(name) != nil {
			return nil, fmt.Errorf("config override %q: this setting holds for the whole server and cannot be set for a thread", name)
		}
	}
	l := c.layers
	l.over = overlay(l.over, tree)
	out := decode(l)
	for _, p := range out.Problems {
		if p.thread() {
			return nil, fmt.Errorf("config override %q cannot be used: %s", p.Key, p.Details)
		}
	}
	return out, nil
}

// String keeps a printed Config free of what the file holds.
func (c Config) String() string { return "config of " + c.Home }

// GoString does the same for the verb %#v.
func (c Config) GoString() string { return c.String() }

// decode makes a Config of its layers.
func decode(l layers) *Config {
	files := l.files()
	r := &reader{
		base: overlay(stack(files), l.over), over: l.over, files: sources(files),
		userHome: UserHome(l.options.Getenv),
		problems: append([]Problem(nil), l.found...),
	}
	c := &Config{Home: l.options.Home, layers: l}
	c.Profile = r.selectProfile()
	c.ProjectRootMarkers = r.rootMarkers()
	if l.cwd != "" {
		c.Trust = l.own().trust(l.cwd, project.Folders(l.cwd, c.ProjectRootMarkers)[0])
	}

	c.ForcedWorkspaces = r.workspaces()
	c.ForcedLoginMethod = r.loginMethod()
	c.SandboxMode = r.sandboxMode()
	c.ApprovalPolicy = r.approvalPolicy()
	c.SandboxWorkspaceWrite = r.workspaceWrite()
	c.ShellEnvironment = r.shellEnvironment()

	c.Model = r.text("model", "")
	c.ReviewModel = r.text("review_model", "")
	c.Providers = r.providers()
	c.OpenAIBaseURL = c.Providers[ProviderOpenAI].BaseURL
	c.ModelProvider = r.modelProvider(c.Providers)

	n, key := r.lookup("chatgpt_base_url")
	c.ChatGPTBaseURL, _ = r.webURL(n, key, defaultChatGPTBaseURL)
	c.CLIAuthCredentialsStore = r.store()

	c.ModelReasoningEffort = enum[protocol.ReasoningEffort](r, "model_reasoning_effort", "none, minimal, low, medium, high, xhigh", "")
	c.ModelReasoningSummary = enum[protocol.ReasoningSummary](r, "model_reasoning_summary", "auto, concise, detailed, none", "")
	c.ModelVerbosity = enum[protocol.Verbosity](r, "model_verbosity", "low, medium, high", "")
	c.ServiceTier = enum[protocol.ServiceTier](r, "service_tier", "fast, flex", "")
	c.Personality = enum[protocol.Personality](r, "personality", "none, friendly, pragmatic", "")
	c.ApprovalsReviewer = enum(r, "approvals_reviewer", "user, auto_review, guardian_subagent", protocol.ReviewerUser)

	c.ModelReasons = r.boolean("model_supports_reasoning_summaries")
	c.ModelContextWindow = r.positive("model_context_window")
	c.ModelAutoCompactTokenLimit = r.positive("model_auto_compact_token_limit")
	c.ToolOutputTokenLimit = r.positive("tool_output_token_limit")

	c.DeveloperInstructions = r.text("developer_instructions", "")
	c.CompactPrompt = strings.TrimSpace(r.text("compact_prompt", ""))
	c.OmitPermissions = r.switchedOff("include_permissions_instructions")
	c.OmitEnvironment = r.switchedOff("include_environment_context")
	c.CompactPromptFile = r.file("experimental_compact_prompt_file")
	c.ModelInstructionsFile = r.file("model_instructions_file")
	c.ProjectDocMaxBytes = int(r.count(r.base.get("project_doc_max_bytes"), "project_doc_max_bytes", defaultProjectDocBytes, maxProjectDocBytes))
	c.ProjectDocFallbackFilenames, _ = r.texts(r.base.get("project_doc_fallback_filenames"), "project_doc_fallback_filenames")

	c.Features = r.features()
	c.WebSearch = r.webSearch()
	c.Skills = r.skills()
	c.HideAgentReasoning = r.boolean("hide_agent_reasoning")
	c.ShowRawAgentReasoning = r.boolean("show_raw_agent_reasoning")
	c.NoLoginShell = r.switchedOff("allow_login_shell")
	c.Problems = r.problems
	c.Requirements = l.required
	l.required.bind(c)
	return c
}

// selectProfile finds the profile that the settings name.
func (r *reader) selectProfile() string {
	n := r.base.get(keyProfile)
	name := r.textOf(n, keyProfile, "")
	if n == nil || n.kind != kindText {
		return ""
	}
	p := r.base.get("profiles").get(name)
	if p == nil || p.kind != kindTable {
		r.missing(n, keyProfile, noSuchProfile)
		return name
	}
	r.prof, r.profile = p, name
	return name
}

// modelProvider reads model_provider. One that is not defined is a problem
// here and an error of whoever starts a thread with it.
func (r *reader) modelProvider(known map[string]Provider) string {
	n, key := r.lookup("model_provider")
	id := r.textOf(n, key, ProviderOpenAI)
	if _, ok := known[id]; !ok {
		r.missing(n, key, "this names no provider")
	}
	return id
}

// store reads cli_auth_credentials_store.
func (r *reader) store() string {
	const key, fallback = "cli_auth_credentials_store", "file"
	n := r.base.get(key)
	switch s := r.textOf(n, key, fallback); s {
	case "file", "keyring", "auto", "ephemeral":
		return s
	}
	r.wrong(n, key, "this is none of file, keyring, auto, ephemeral")
	return fallback
}

// features reads the feature flags of all layers.
func (r *reader) features() map[string]bool {
	const key = "features"
	out := map[string]bool{}
	add := func(t *node, key string) {
		if t == nil {
			return
		}
		if t.kind != kindTable {
			r.wrong(t, key, "a table of flags")
			return
		}
		for _, name := range t.names {
			n := t.members[name]
			if n.kind != kindBool {
				r.wrong(n, key+"."+joinKey(name), "true or false")
				continue
			}
			out[name] = n.flag
		}
	}
	add(r.base.get(key), key)
	if r.prof != nil {
		add(r.prof.get(key), joinKey("profiles", r.profile)+"."+key)
		// An override wins over the profile; what is wrong in it is told already.
		if over := r.over.get(key); over != nil && over.kind == kindTable {
			for _, name := range over.names {
				if n := over.members[name]; n.kind == kindBool {
					out[name] = n.flag
				}
			}
		}
	}
	return out
}
