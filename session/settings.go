package session

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/backend"
	"app-server/internal/config"
	"app-server/internal/prompt"
	"app-server/protocol"
)

// settings are what turn/start may change for a thread. A value is never
// changed once a turn has it; the thread replaces its own.
type settings struct {
	model, provider string
	cwd             string
	// workdir is where the model works instead of cwd, where the parent has said
	// so; detached is whether it cannot work on this machine at all.
	workdir     string
	detached    bool
	approval    protocol.ApprovalPolicy
	reviewer    protocol.ApprovalsReviewer
	sandbox     protocol.SandboxPolicy
	effort      protocol.ReasoningEffort  // empty: the model's own
	summary     protocol.ReasoningSummary // empty: the model's own
	verbosity   protocol.Verbosity
	tier        *protocol.ServiceTier
	personality protocol.Personality
	// mode is the collaboration mode; empty counts as the default one.
	mode protocol.ModeKind
	// developer are the thread's developer instructions; modeDeveloper those of
	// its collaboration mode.
	developer, modeDeveloper string
	// overruled tells what was wanted when the thread began, and an administrator
	// does not allow.
	overruled []string
}

// defaultModel is used where neither the parent nor the configuration names a
// model.
const defaultModel = backend.DefaultModel

// newSettings makes the settings of a new thread. It refuses what would not
// hold: a provider that is not defined, a restriction that could not be read
// and that the parent does not set itself, a permission profile that cannot be
// enforced. Those of a thread that goes on stand between the configuration's and the
// parent's; last is nil for a new one.
func newSettings(cfg *config.Config, p *protocol.ThreadSettings, cwd string, last *lastSettings) (settings, error) {
	if err := cfg.Requirements.Err; err != nil {
		return settings{}, broken(err)
	}
	s, err := wantedSettings(cfg, p, cwd, last)
	s.bind(&cfg.Requirements)
	return s, err
}

// wantedSettings are those of a thread before an administrator's bounds.
func wantedSettings(cfg *config.Config, p *protocol.ThreadSettings, cwd string, last *lastSettings) (settings, error) {
	s := settings{
		model: cfg.Model, provider: cfg.ModelProvider, cwd: cwd,
		effort: cfg.ModelReasoningEffort, summary: cfg.ModelReasoningSummary, verbosity: cfg.ModelVerbosity,
		personality: cfg.Personality, developer: cfg.DeveloperInstructions, reviewer: cfg.ApprovalsReviewer,
	}
	if p.PermissionProfile != nil && p.Sandbox != nil {
		return s, protocol.Invalid(protocol.ReasonInvalidParams, "permissionProfile and sandbox exclude each other")
	}
	if s.reviewer == "" {
		s.reviewer = protocol.ReviewerUser
	}
	if cfg.ServiceTier != "" {
		s.tier = &cfg.ServiceTier
	}
	kept := last != nil && last.Settings != nil
	if last != nil {
		configured := s
		last.onto(&s, cfg)
		s.insist(&configured, p.Config)
	}
	override(&s.model, p.Model)
	override(&s.provider, p.ModelProvider)
	override(&s.personality, p.Personality)
	override(&s.developer, p.DeveloperInstructions)
	override(&s.reviewer, p.ApprovalsReviewer)
	if s.model == "" {
		s.model = defaultModel
	}
	if p.ServiceTier.Present {
		s.tier = p.ServiceTier.Value
	}
	if _, ok := cfg.Providers[s.provider]; !ok {
		return s, protocol.Invalid(protocol.ReasonUnknownProvider, "No model provider is defined under the id %q", s.provider)
	}

	switch a := cfg.ApprovalPolicy; {
	case p.ApprovalPolicy != nil:
		s.approval = *p.ApprovalPolicy
	case kept && !names(p.Config, "approval_policy"): // onto has set it
	case a.Err != nil:
		return s, broken(a.Err)
	case a.Set:
		s.approval = a.Value
	case cfg.Trust == config.Untrusted:
		s.approval = protocol.ApprovalPolicy{Mode: protocol.ApprovalUntrusted}
	default:
		s.approval = protocol.ApprovalPolicy{Mode: protocol.ApprovalOnRequest}
	}
	var err error
	switch {
	case p.PermissionProfile != nil:
		s.sandbox, err = policyOf(p.PermissionProfile, s.cwd)
		return s, err
	case kept && p.Sandbox == nil && !names(p.Config, "sandbox_mode") && !names(p.Config, "sandbox_workspace_write"):
		return s, nil
	}
	mode := protocol.SandboxReadOnly
	switch b := cfg.SandboxMode; {
	case p.Sandbox != nil:
		mode = *p.Sandbox
	case b.Err != nil:
		return s, broken(b.Err)
	case b.Set:
		mode = b.Value
	case cfg.Trust != "":
		// Of a project that the user has spoken about, untrusted ones included, as
		// in the reference: these are asked about each command instead.
		mode = protocol.SandboxWorkspaceWrite
	}
	s.sandbox, err = sandboxOf(mode, cfg)
	return s, err
}

// insist takes what the parent names in a config of its own, which goes before the
// last turn as its other words do.
func (s *settings) insist(configured *settings, config map[string]jsontext.Value) {
	for key, take := range map[string]func(){
		"model":                   func() { s.model = configured.model },
		"model_provider":          func() { s.provider = configured.provider },
		"model_reasoning_effort":  func() { s.effort = configured.effort },
		"model_reasoning_summary": func() { s.summary = configured.summary },
		"personality":             func() { s.personality = configured.personality },
		"service_tier":            func() { s.tier = configured.tier },
		"developer_instructions":  func() { s.developer = configured.developer },
		"approvals_reviewer":      func() { s.reviewer = configured.reviewer },
	} {
		if names(config, key) {
			take()
		}
	}
}

// names reports whether a config of the parent's has a key, or one below it.
func names(config map[string]jsontext.Value, key string) bool {
	for k := range config {
		if k == key || strings.HasPrefix(k, key+".") {
			return true
		}
	}
	return false
}

// sandboxOf is the policy of a mode under a configuration.
func sandboxOf(mode protocol.SandboxMode, cfg *config.Config) (protocol.SandboxPolicy, error) {
	switch mode {
	case protocol.SandboxDangerFullAccess:
		return protocol.SandboxPolicy{Type: protocol.PolicyDangerFullAccess}, nil
	case protocol.SandboxWorkspaceWrite:
		w := cfg.SandboxWorkspaceWrite
		if w.Err != nil {
			return protocol.SandboxPolicy{}, broken(w.Err)
		}
		return protocol.SandboxPolicy{
			Type: protocol.PolicyWorkspaceWrite, WritableRoots: w.Value.WritableRoots, NetworkAccess: w.Value.NetworkAccess,
			ExcludeTmpdirEnvVar: w.Value.ExcludeTmpdirEnvVar, ExcludeSlashTmp: w.Value.ExcludeSlashTmp,
		}, nil
	}
	return protocol.SandboxPolicy{Type: protocol.PolicyReadOnly}, nil
}

// bind brings what a thread begins with within an administrator's bounds. The
// stronger choice is to go on under the bounds, as the reference does: the files of
// the user may be older than they are.
func (s *settings) bind(r *config.Requirements) {
	overrule := func(name, instead string) {
		s.overruled = append(s.overruled, fmt.Sprintf("The administrator does not allow the value of %s; it is %s instead.", name, instead))
	}
	if !r.AllowsApproval(s.approval) {
		s.approval = r.AllowedApprovalPolicies[0]
		overrule("approval_policy", cmp.Or(string(s.approval.Mode), "granular"))
	}
	if !r.AllowsSandbox(s.sandbox) {
		s.sandbox = protocol.SandboxPolicy{Type: protocol.PolicyReadOnly}
		overrule("sandbox_mode", string(protocol.SandboxReadOnly))
	}
	if !r.AllowsReviewer(s.reviewer) {
		s.reviewer = r.AllowedApprovalsReviewers[0]
		overrule("approvals_reviewer", string(s.reviewer))
	}
}

// check refuses settings beyond an administrator's bounds.
func (s *settings) check(r *config.Requirements) error {
	refuse := func(name string) error {
		return protocol.Invalid(protocol.ReasonNotAllowed, "The administrator does not allow this value of %s", name)
	}
	switch {
	case !r.AllowsApproval(s.approval):
		return refuse("approvalPolicy")
	case !r.AllowsSandbox(s.sandbox):
		return refuse("sandboxPolicy")
	case !r.AllowsReviewer(s.reviewer):
		return refuse("approvalsReviewer")
	}
	return nil
}

// with is s under the overrides of a turn, which hold from then on, and here what
// holds for the turn: environments are for it alone.
func (s settings) with(p *protocol.TurnStartParams, serverCwd string) (then, here settings, err error) {
	if p.PermissionProfile != nil && p.SandboxPolicy != nil {
		return s, s, protocol.Invalid(protocol.ReasonInvalidParams, "permissionProfile and sandboxPolicy exclude each other")
	}
	override(&s.model, p.Model)
	override(&s.approval, p.ApprovalPolicy)
	override(&s.reviewer, p.ApprovalsReviewer)
	override(&s.sandbox, p.SandboxPolicy)
	override(&s.effort, p.Effort)
	override(&s.summary, p.Summary)
	override(&s.personality, p.Personality)
	if p.ServiceTier.Present {
		s.tier = p.ServiceTier.Value
	}
	if p.Cwd != nil {
		s.cwd, s.workdir = config.Absolute(*p.Cwd, serverCwd), ""
	}
	if c := p.CollaborationMode; c != nil {
		// A collaboration mode goes before the single settings beside it.
		s.mode, s.model = c.Mode, c.Settings.Model
		override(&s.effort, c.Settings.ReasoningEffort)
		s.modeDeveloper = prompt.Mode(c.Mode)
		override(&s.modeDeveloper, c.Settings.DeveloperInstructions)
	}
	if here, err = s.in(p.Environments); err == nil && p.PermissionProfile != nil {
		s.sandbox, err = policyOf(p.PermissionProfile, s.place(), here.place())
		here.sandbox = s.sandbox
	}
	return s, here, err
}

// modelInfo is what is known of a model, and what the user says about an unknown
// one.
func modelInfo(model string, cfg *config.Config) backend.ModelInfo {
	m := backend.LookupModel(model)
	if cfg.ModelReasons && !m.Reasoning {
		m.Reasoning, m.DefaultSummary = true, string(protocol.SummaryAuto)
	}
	return m
}

// defaultSummary is the reasoning summary that a model is asked for where nobody
// has chosen one.
func defaultSummary(model string, cfg *config.Config) protocol.ReasoningSummary {
	if s := modelInfo(model, cfg).DefaultSummary; s != "" {
		return protocol.ReasoningSummary(s)
	}
	return protocol.SummaryNone
}

func override[T any](into *T, with *T) {
	if with != nil {
		*into = *with
	}
}

// broken refuses to run under a restriction that nobody could read.
func broken(err error) error {
	return protocol.Invalid(protocol.ReasonRestrictionBroken, "The configuration holds a restriction that cannot be read: %v", err)
}

// in is s with the place where the model works. Of several the first one counts,
// of none the model has no place; nil changes nothing.
func (s settings) in(places []protocol.TurnEnvironment) (settings, error) {
	if places == nil {
		return s, nil
	}
	s.workdir, s.detached = "", len(places) == 0
	for _, place := range places {
		if place.EnvironmentID != protocol.LocalEnvironment {
			return s, protocol.Invalid(protocol.ReasonInvalidParams, "There is no environment %q; this server has %q alone", place.EnvironmentID, protocol.LocalEnvironment)
		}
		if !filepath.IsAbs(place.Cwd) {
			return s, protocol.Invalid(protocol.ReasonInvalidParams, "The cwd %q of an environment is not absolute", place.Cwd)
		}
	}
	if !s.detached {
		s.workdir = filepath.Clean(places[0].Cwd)
	}
	return s, nil
}

// place is the folder in which the model works.
func (s *settings) place() string { return cmp.Or(s.workdir, s.cwd) }
