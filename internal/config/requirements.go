package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// requirementsName is the file in the system's folder that bounds all settings.
const requirementsName = "requirements.toml"

// Requirements are an administrator's bounds on the settings of all users, however
// these are made. The zero value bounds nothing.
type Requirements struct {
	protocol.ConfigRequirements
	// Set is whether there are any.
	Set bool
	// Err says why they could not be read, or cannot be kept by this server. Then
	// no thread may run.
	Err error
}

// sandboxExternal is the one mode that requirements know and sandbox_mode does not.
const sandboxExternal protocol.SandboxMode = "external-sandbox"

// unkept are the requirements that this server could not keep.
var unkept = [...]string{"rules", "hooks", "experimental_network", "permissions"}

// readRequirements reads the requirements of the system's folder.
func readRequirements(dir string) (Requirements, []Problem) {
	tree, problems := readFile(dir, requirementsName)
	if len(problems) > 0 {
		return Requirements{Set: true, Err: fmt.Errorf("the requirements of the administrator could not be read: %s", problems[0].Details)}, problems
	}
	r, err := decodeRequirements(tree)
	if err != nil {
		p := tree.src.problem(span{}, "", "The requirements of the administrator cannot be kept, so no thread can begin.", err.Error())
		p.Range = nil
		return Requirements{Set: true, Err: fmt.Errorf("the requirements of the administrator cannot be kept: %s: %w", tree.src.name, err)}, []Problem{p}
	}
	return r, nil
}

func decodeRequirements(tree *node) (Requirements, error) {
	for _, name := range unkept {
		if n := tree.get(name); n != nil && (n.kind != kindTable || len(n.names) > 0) {
			return Requirements{}, fmt.Errorf("this server does not know how to keep %s", name)
		}
	}
	var in struct {
		Approval  []protocol.ApprovalPolicy    `json:"allowed_approval_policies"`
		Sandbox   []sandboxRequirement         `json:"allowed_sandbox_modes"`
		WebSearch []webSearchRequirement       `json:"allowed_web_search_modes"`
		Reviewers []protocol.ApprovalsReviewer `json:"allowed_approvals_reviewers"`
		Features  map[string]bool              `json:"features"`
		Residency residencyRequirement         `json:"enforce_residency"`
	}
	if err := json.Unmarshal(jsonOf(tree), &in); err != nil {
		where := jsontext.Pointer("")
		if at, ok := errors.AsType[*json.SemanticError](err); ok {
			where = at.JSONPointer
		}
		return Requirements{}, fmt.Errorf("the value at %s is not one that can be required", cmp.Or(where, "/"))
	}
	var r Requirements
	for _, name := range [...]string{"allowed_approval_policies", "allowed_sandbox_modes", "allowed_approvals_reviewers"} {
		if n := tree.get(name); n != nil && len(n.items) == 0 {
			return r, fmt.Errorf("%s allows nothing", name)
		}
	}
	r.AllowedApprovalPolicies, r.AllowedApprovalsReviewers = in.Approval, in.Reviewers
	for _, m := range in.Sandbox {
		r.AllowedSandboxModes = append(r.AllowedSandboxModes, protocol.SandboxMode(m))
	}
	if r.AllowedSandboxModes != nil && !slices.Contains(r.AllowedSandboxModes, protocol.SandboxReadOnly) {
		return r, errors.New("allowed_sandbox_modes has to hold read-only")
	}
	if in.WebSearch != nil {
		for _, m := range append(in.WebSearch, searchDisabled) {
			if !slices.Contains(r.AllowedWebSearchModes, string(m)) {
				r.AllowedWebSearchModes = append(r.AllowedWebSearchModes, string(m))
			}
		}
	}
	if len(in.Features) > 0 {
		r.FeatureRequirements = in.Features
	}
	if in.Residency != "" {
		text := string(in.Residency)
		r.EnforceResidency = &text
	}
	r.Set = r.AllowedApprovalPolicies != nil || r.AllowedSandboxModes != nil || r.AllowedWebSearchModes != nil ||
		r.AllowedApprovalsReviewers != nil || r.FeatureRequirements != nil || r.EnforceResidency != nil
	return r, nil
}

type (
	sandboxRequirement   protocol.SandboxMode
	webSearchRequirement string
	residencyRequirement string
)

// Modes of web_search.
const (
	searchDisabled = "disabled"
	searchCached   = "cached"
	searchLive     = "live"
)

// oneOf takes a text that is one of a few.
func oneOf[T ~string](into *T, b []byte, values ...T) error {
	if *into = T(b); !slices.Contains(values, *into) {
		return errors.New("unknown value")
	}
	return nil
}

// UnmarshalText refuses unknown modes.
func (m *sandboxRequirement) UnmarshalText(b []byte) error {
	return oneOf(m, b, sandboxRequirement(protocol.SandboxReadOnly), sandboxRequirement(protocol.SandboxWorkspaceWrite),
		sandboxRequirement(protocol.SandboxDangerFullAccess), sandboxRequirement(sandboxExternal))
}

// UnmarshalText refuses unknown modes.
func (m *webSearchRequirement) UnmarshalText(b []byte) error {
	return oneOf(m, b, searchDisabled, searchCached, searchLive)
}

// UnmarshalText refuses unknown places.
func (m *residencyRequirement) UnmarshalText(b []byte) error { return oneOf(m, b, "us") }

// AllowsApproval reports whether a policy may hold.
func (r *Requirements) AllowsApproval(p protocol.ApprovalPolicy) bool {
	return r.AllowedApprovalPolicies == nil || slices.ContainsFunc(r.AllowedApprovalPolicies, p.Equal)
}

// AllowsSandbox reports whether a policy may hold.
func (r *Requirements) AllowsSandbox(p protocol.SandboxPolicy) bool {
	mode := p.Mode()
	if p.Type == protocol.PolicyExternalSandbox {
		mode = sandboxExternal
	}
	return r.AllowedSandboxModes == nil || slices.Contains(r.AllowedSandboxModes, mode)
}

// AllowsReviewer reports whether somebody may answer approvals.
func (r *Requirements) AllowsReviewer(who protocol.ApprovalsReviewer) bool {
	return r.AllowedApprovalsReviewers == nil || slices.Contains(r.AllowedApprovalsReviewers, who)
}

// bind brings the settings that belong to the whole thread within the bounds.
func (r *Requirements) bind(c *Config) {
	for name, on := range r.FeatureRequirements {
		c.Features[name] = on
	}
	allowed, mode := r.AllowedWebSearchModes, c.WebSearch.Mode
	if allowed == nil || slices.Contains(allowed, mode) || mode == "" && slices.Contains(allowed, searchCached) && slices.Contains(allowed, searchLive) {
		return
	}
	c.WebSearch.Mode = allowed[0]
	if mode != "" {
		c.Problems = append(c.Problems, Problem{
			Summary: "The setting web_search is not one that the administrator allows.",
			Details: fmt.Sprintf("web_search is %s instead.", c.WebSearch.Mode), Key: "web_search", pending: true,
		})
	}
}
