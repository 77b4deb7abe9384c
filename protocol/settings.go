package protocol

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// SandboxMode is the short form of a sandbox policy, as in config.toml.
type SandboxMode string

// The sandbox modes.
const (
	SandboxReadOnly         SandboxMode = "read-only"
	SandboxWorkspaceWrite   SandboxMode = "workspace-write"
	SandboxDangerFullAccess SandboxMode = "danger-full-access"
)

// UnmarshalText refuses unknown modes.
func (m *SandboxMode) UnmarshalText(b []byte) error {
	return closedEnum(m, b, SandboxReadOnly, SandboxWorkspaceWrite, SandboxDangerFullAccess)
}

// SandboxPolicyType is the kind of a sandbox policy.
type SandboxPolicyType string

// The kinds of sandbox policy.
const (
	PolicyDangerFullAccess SandboxPolicyType = "dangerFullAccess"
	PolicyReadOnly         SandboxPolicyType = "readOnly"
	PolicyWorkspaceWrite   SandboxPolicyType = "workspaceWrite"
	PolicyExternalSandbox  SandboxPolicyType = "externalSandbox"
)

// UnmarshalText refuses unknown kinds.
func (t *SandboxPolicyType) UnmarshalText(b []byte) error {
	return closedEnum(t, b, PolicyDangerFullAccess, PolicyReadOnly, PolicyWorkspaceWrite, PolicyExternalSandbox)
}

// SandboxPolicy is what commands may touch. Which members count depends on
// Type: readOnly has NetworkAccess; workspaceWrite has all of them;
// externalSandbox (the parent confines the server itself) has NetworkAccess.
type SandboxPolicy struct {
	Type                SandboxPolicyType
	WritableRoots       []string
	NetworkAccess       bool
	ExcludeTmpdirEnvVar bool
	ExcludeSlashTmp     bool
}

// Mode is the short form of the policy. An external sandbox counts as full
// access, since this server then confines nothing.
func (p SandboxPolicy) Mode() SandboxMode {
	switch p.Type {
	case PolicyReadOnly:
		return SandboxReadOnly
	case PolicyWorkspaceWrite:
		return SandboxWorkspaceWrite
	}
	return SandboxDangerFullAccess
}

type fullAccess struct {
	Type string `json:"type"`
}

// readableEverywhere is the one kind of read access served: all of it.
var readableEverywhere = fullAccess{Type: "fullAccess"}

// MarshalJSONTo writes the members that belong to the type.
func (p SandboxPolicy) MarshalJSONTo(e *jsontext.Encoder) error {
	switch p.Type {
	case PolicyReadOnly:
		return json.MarshalEncode(e, struct {
			Type          SandboxPolicyType `json:"type"`
			Access        fullAccess        `json:"access"`
			NetworkAccess bool              `json:"networkAccess"`
		}{p.Type, readableEverywhere, p.NetworkAccess})
	case PolicyWorkspaceWrite:
		return json.MarshalEncode(e, struct {
			Type                SandboxPolicyType `json:"type"`
			WritableRoots       []string          `json:"writableRoots"`
			ReadOnlyAccess      fullAccess        `json:"readOnlyAccess"`
			NetworkAccess       bool              `json:"networkAccess"`
			ExcludeTmpdirEnvVar bool              `json:"excludeTmpdirEnvVar"`
			ExcludeSlashTmp     bool              `json:"excludeSlashTmp"`
		}{p.Type, p.WritableRoots, readableEverywhere, p.NetworkAccess, p.ExcludeTmpdirEnvVar, p.ExcludeSlashTmp})
	case PolicyExternalSandbox:
		network := "restricted"
		if p.NetworkAccess {
			network = "enabled"
		}
		return json.MarshalEncode(e, struct {
			Type          SandboxPolicyType `json:"type"`
			NetworkAccess string            `json:"networkAccess"`
		}{p.Type, network})
	}
	return json.MarshalEncode(e, struct {
		Type SandboxPolicyType `json:"type"`
	}{PolicyDangerFullAccess})
}

// UnmarshalJSONFrom reads the object form. networkAccess is a boolean, or for
// externalSandbox one of restricted and enabled. A restricted read access is
// refused, because it would not be enforced.
func (p *SandboxPolicy) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var in struct {
		Type                SandboxPolicyType `json:"type"`
		WritableRoots       []string          `json:"writableRoots"`
		NetworkAccess       jsontext.Value    `json:"networkAccess"`
		ExcludeTmpdirEnvVar bool              `json:"excludeTmpdirEnvVar"`
		ExcludeSlashTmp     bool              `json:"excludeSlashTmp"`
		Access              *fullAccess       `json:"access"`
		ReadOnlyAccess      *fullAccess       `json:"readOnlyAccess"`
	}
	if err := json.UnmarshalDecode(d, &in); err != nil {
		return err
	}
	if in.Type == "" {
		return missingField("type")
	}
	for _, a := range []*fullAccess{in.Access, in.ReadOnlyAccess} {
		if a != nil && *a != readableEverywhere {
			return Invalid(ReasonInvalidParams, "Invalid request: restricted read access is not supported by this server")
		}
	}
	network := false
	switch string(in.NetworkAccess) {
	case "true", `"enabled"`:
		network = true
	case "", "null", "false", `"restricted"`:
	default:
		return Invalid(ReasonInvalidParams, "Invalid request: field `networkAccess` has a wrong type or value")
	}
	*p = SandboxPolicy{
		Type: in.Type, WritableRoots: in.WritableRoots, NetworkAccess: network,
		ExcludeTmpdirEnvVar: in.ExcludeTmpdirEnvVar, ExcludeSlashTmp: in.ExcludeSlashTmp,
	}
	return nil
}

// ApprovalMode says when the user is asked.
type ApprovalMode string

// The approval modes. ApprovalGranular is no text on the wire but an object.
const (
	ApprovalUntrusted ApprovalMode = "untrusted"
	ApprovalOnFailure ApprovalMode = "on-failure"
	ApprovalOnRequest ApprovalMode = "on-request"
	ApprovalNever     ApprovalMode = "never"
	ApprovalGranular  ApprovalMode = "granular"
)

// UnmarshalText refuses unknown modes.
func (m *ApprovalMode) UnmarshalText(b []byte) error {
	return closedEnum(m, b, ApprovalUntrusted, ApprovalOnFailure, ApprovalOnRequest, ApprovalNever)
}

// ApprovalPolicy is an approval mode, or the granular form: which kinds of
// question may be put to the user at all.
type ApprovalPolicy struct {
	Mode ApprovalMode
	// Granular is set where Mode is ApprovalGranular.
	Granular *GranularApproval
}

// GranularApproval is the granular form of an approval policy.
type GranularApproval struct {
	SandboxApproval    bool `json:"sandbox_approval" required:"true"`
	Rules              bool `json:"rules" required:"true"`
	SkillApproval      bool `json:"skill_approval"`
	RequestPermissions bool `json:"request_permissions"`
	MCPElicitations    bool `json:"mcp_elicitations" required:"true"`
}

// Equal reports whether two policies are the same.
func (p ApprovalPolicy) Equal(q ApprovalPolicy) bool {
	if p.Granular == nil || q.Granular == nil {
		return p.Mode == q.Mode && p.Granular == q.Granular
	}
	return *p.Granular == *q.Granular
}

// MarshalJSONTo writes a text or the granular object.
func (p ApprovalPolicy) MarshalJSONTo(e *jsontext.Encoder) error {
	if p.Granular != nil {
		return json.MarshalEncode(e, struct {
			Granular *GranularApproval `json:"granular"`
		}{p.Granular})
	}
	return e.WriteToken(jsontext.String(string(p.Mode)))
}

// UnmarshalJSONFrom reads either form.
func (p *ApprovalPolicy) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == '"' {
		*p = ApprovalPolicy{}
		return json.UnmarshalDecode(d, &p.Mode)
	}
	raw, err := d.ReadValue()
	if err != nil {
		return err
	}
	var in struct {
		Granular *GranularApproval `json:"granular" required:"true"`
	}
	if err := Decode(raw, &in); err != nil {
		return err
	}
	*p = ApprovalPolicy{Mode: ApprovalGranular, Granular: in.Granular}
	return nil
}

// ApprovalsReviewer is who answers approvals.
type ApprovalsReviewer string

// The reviewers that the wire knows.
const (
	ReviewerUser             ApprovalsReviewer = "user"
	ReviewerAuto             ApprovalsReviewer = "auto_review"
	ReviewerGuardianSubagent ApprovalsReviewer = "guardian_subagent"
)

// UnmarshalText refuses unknown reviewers.
func (r *ApprovalsReviewer) UnmarshalText(b []byte) error {
	return closedEnum(r, b, ReviewerUser, ReviewerAuto, ReviewerGuardianSubagent)
}

// ReasoningEffort is how long a model thinks.
type ReasoningEffort string

// The efforts of this wire generation.
const (
	EffortNone    ReasoningEffort = "none"
	EffortMinimal ReasoningEffort = "minimal"
	EffortLow     ReasoningEffort = "low"
	EffortMedium  ReasoningEffort = "medium"
	EffortHigh    ReasoningEffort = "high"
	EffortXHigh   ReasoningEffort = "xhigh"
)

// UnmarshalText refuses unknown efforts.
func (r *ReasoningEffort) UnmarshalText(b []byte) error {
	return closedEnum(r, b, EffortNone, EffortMinimal, EffortLow, EffortMedium, EffortHigh, EffortXHigh)
}

// ReasoningSummary is how much of its thinking a model tells.
type ReasoningSummary string

// The kinds of summary.
const (
	SummaryAuto     ReasoningSummary = "auto"
	SummaryConcise  ReasoningSummary = "concise"
	SummaryDetailed ReasoningSummary = "detailed"
	SummaryNone     ReasoningSummary = "none"
)

// UnmarshalText refuses unknown kinds.
func (r *ReasoningSummary) UnmarshalText(b []byte) error {
	return closedEnum(r, b, SummaryAuto, SummaryConcise, SummaryDetailed, SummaryNone)
}

// Verbosity is how long a model's answers are.
type Verbosity string

// The verbosities.
const (
	VerbosityLow    Verbosity = "low"
	VerbosityMedium Verbosity = "medium"
	VerbosityHigh   Verbosity = "high"
)

// UnmarshalText refuses unknown verbosities.
func (v *Verbosity) UnmarshalText(b []byte) error {
	return closedEnum(v, b, VerbosityLow, VerbosityMedium, VerbosityHigh)
}

// ServiceTier is the backend's service class.
type ServiceTier string

// The service tiers.
const (
	TierFast ServiceTier = "fast"
	TierFlex ServiceTier = "flex"
)

// UnmarshalText refuses unknown tiers.
func (t *ServiceTier) UnmarshalText(b []byte) error { return closedEnum(t, b, TierFast, TierFlex) }

// Personality is the tone of the agent.
type Personality string

// The personalities.
const (
	PersonalityNone      Personality = "none"
	PersonalityFriendly  Personality = "friendly"
	PersonalityPragmatic Personality = "pragmatic"
)

// UnmarshalText refuses unknown personalities.
func (p *Personality) UnmarshalText(b []byte) error {
	return closedEnum(p, b, PersonalityNone, PersonalityFriendly, PersonalityPragmatic)
}

// ModeKind is the kind of collaboration.
type ModeKind string

// The kinds of collaboration.
const (
	ModePlan    ModeKind = "plan"
	ModeDefault ModeKind = "default"
)

// UnmarshalText refuses unknown kinds.
func (m *ModeKind) UnmarshalText(b []byte) error { return closedEnum(m, b, ModePlan, ModeDefault) }

// CollaborationMode is a mode with the settings that come with it.
type CollaborationMode struct {
	Mode     ModeKind              `json:"mode" required:"true"`
	Settings CollaborationSettings `json:"settings" required:"true"`
}

// CollaborationSettings are the settings of a collaboration mode.
type CollaborationSettings struct {
	Model                 string           `json:"model" required:"true"`
	ReasoningEffort       *ReasoningEffort `json:"reasoning_effort"`
	DeveloperInstructions *string          `json:"developer_instructions"`
}
