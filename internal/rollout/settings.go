package rollout

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// Settings are the settings that a turn ran with.
type Settings struct {
	TurnID string
	Cwd    string
	// ThreadCwd is the thread's working directory where the turn had another, else
	// empty.
	ThreadCwd string
	Model     string
	Approval  protocol.ApprovalPolicy
	Sandbox   protocol.SandboxPolicy
	// Reviewer, Effort, Summary, Personality, Tier and Mode are empty or nil
	// where nothing was set, or nothing is known.
	Reviewer    protocol.ApprovalsReviewer
	Effort      protocol.ReasoningEffort
	Summary     protocol.ReasoningSummary
	Personality protocol.Personality
	Tier        protocol.ServiceTier
	Mode        *protocol.CollaborationMode
	// Developer are the thread's developer instructions; nil where nothing is
	// known of them.
	Developer *string
	// Date and Timezone are what the model was told, or empty.
	Date, Timezone string
}

// TurnContext keeps the settings of a turn. A resumed thread goes on with the
// last ones.
func TurnContext(s *Settings) Record {
	sandbox, err := snakePolicy(s.Sandbox)
	if err != nil {
		return Record{err: err}
	}
	summary := s.Summary
	if summary == "" {
		summary = protocol.SummaryAuto // the reference does not read the line without one
	}
	return one(lineContext, &contextLine{
		TurnID: s.TurnID, Cwd: s.Cwd, ThreadCwd: s.ThreadCwd, Date: s.Date, Timezone: s.Timezone, Approval: s.Approval, Reviewer: s.Reviewer,
		Sandbox: sandbox, Model: s.Model, Personality: s.Personality, Mode: s.Mode, Effort: s.Effort, Summary: summary,
		Tier: s.Tier, Developer: s.Developer,
	})
}

// contextLine is a turn_context payload.
type contextLine struct {
	TurnID      string                      `json:"turn_id,omitzero"`
	Cwd         string                      `json:"cwd"`
	ThreadCwd   string                      `json:"thread_cwd,omitzero"` // which the reference passes over
	Date        string                      `json:"current_date,omitzero"`
	Timezone    string                      `json:"timezone,omitzero"`
	Approval    protocol.ApprovalPolicy     `json:"approval_policy"`
	Reviewer    protocol.ApprovalsReviewer  `json:"approvals_reviewer,omitzero"`
	Sandbox     snakeSandbox                `json:"sandbox_policy"`
	Model       string                      `json:"model"`
	Personality protocol.Personality        `json:"personality,omitzero"`
	Mode        *protocol.CollaborationMode `json:"collaboration_mode,omitzero"`
	Effort      protocol.ReasoningEffort    `json:"effort,omitzero"`
	Summary     protocol.ReasoningSummary   `json:"summary"`
	Tier        protocol.ServiceTier        `json:"service_tier,omitzero"`
	Developer   *string                     `json:"developer_instructions,omitzero"`
}

// snakeSandbox is a sandbox policy in the form of the files. networkAccess is a
// boolean, or a text for external-sandbox.
type snakeSandbox struct {
	Type            string         `json:"type"`
	WritableRoots   []string       `json:"writable_roots,omitzero"`
	NetworkAccess   jsontext.Value `json:"network_access,omitzero"`
	ExcludeTmpdir   *bool          `json:"exclude_tmpdir_env_var,omitzero"`
	ExcludeSlashTmp *bool          `json:"exclude_slash_tmp,omitzero"`
}

func snakePolicy(p protocol.SandboxPolicy) (snakeSandbox, error) {
	boolean := func(b bool) jsontext.Value {
		if b {
			return jsontext.Value("true")
		}
		return jsontext.Value("false")
	}
	switch p.Type {
	case protocol.PolicyDangerFullAccess:
		return snakeSandbox{Type: "danger-full-access"}, nil
	case protocol.PolicyReadOnly:
		s := snakeSandbox{Type: "read-only"}
		if p.NetworkAccess {
			s.NetworkAccess = boolean(true)
		}
		return s, nil
	case protocol.PolicyWorkspaceWrite:
		return snakeSandbox{"workspace-write", p.WritableRoots, boolean(p.NetworkAccess), &p.ExcludeTmpdirEnvVar, &p.ExcludeSlashTmp}, nil
	case protocol.PolicyExternalSandbox:
		s := snakeSandbox{Type: "external-sandbox", NetworkAccess: jsontext.Value(`"restricted"`)}
		if p.NetworkAccess {
			s.NetworkAccess = jsontext.Value(`"enabled"`)
		}
		return s, nil
	}
	return snakeSandbox{}, fmt.Errorf("rollout: sandbox policy of unknown type")
}

func (s *snakeSandbox) policy() (protocol.SandboxPolicy, bool) {
	p := protocol.SandboxPolicy{
		WritableRoots: s.WritableRoots, ExcludeTmpdirEnvVar: s.ExcludeTmpdir != nil && *s.ExcludeTmpdir,
		ExcludeSlashTmp: s.ExcludeSlashTmp != nil && *s.ExcludeSlashTmp,
		NetworkAccess:   string(s.NetworkAccess) == "true" || string(s.NetworkAccess) == `"enabled"`,
	}
	switch s.Type {
	case "danger-full-access":
		p.Type = protocol.PolicyDangerFullAccess
	case "read-only":
		p.Type = protocol.PolicyReadOnly
	case "workspace-write":
		p.Type = protocol.PolicyWorkspaceWrite
	case "external-sandbox":
		p.Type = protocol.PolicyExternalSandbox
	default:
		return p, false
	}
	return p, true
}

// readSettings reads a turn_context payload, member by member: one of another
// generation must not hide the others. ok is false where the policies, which
// restrict, cannot be read; then the thread must go on with stricter ones of
// the caller's choice, not with these.
func readSettings(raw jsontext.Value) (s Settings, ok bool) {
	var in struct {
		TurnID      string         `json:"turn_id"`
		Cwd         string         `json:"cwd"`
		ThreadCwd   jsontext.Value `json:"thread_cwd"`
		Date        string         `json:"current_date"`
		Timezone    string         `json:"timezone"`
		Approval    jsontext.Value `json:"approval_policy"`
		Reviewer    jsontext.Value `json:"approvals_reviewer"`
		Sandbox     jsontext.Value `json:"sandbox_policy"`
		Model       string         `json:"model"`
		Personality jsontext.Value `json:"personality"`
		Mode        jsontext.Value `json:"collaboration_mode"`
		Effort      jsontext.Value `json:"effort"`
		Summary     jsontext.Value `json:"summary"`
		Tier        jsontext.Value `json:"service_tier"`
		Developer   jsontext.Value `json:"developer_instructions"`
	}
	if json.Unmarshal(raw, &in, lenient) != nil {
		return s, false
	}
	s = Settings{TurnID: in.TurnID, Cwd: in.Cwd, Model: in.Model, Date: in.Date, Timezone: in.Timezone}
	optional(in.ThreadCwd, &s.ThreadCwd)
	optional(in.Reviewer, &s.Reviewer)
	optional(in.Personality, &s.Personality)
	optional(in.Effort, &s.Effort)
	optional(in.Summary, &s.Summary)
	optional(in.Tier, &s.Tier)
	var developer string
	if optional(in.Developer, &developer) {
		s.Developer = &developer
	}
	var mode protocol.CollaborationMode
	if optional(in.Mode, &mode) {
		s.Mode = &mode
	}
	var sandbox snakeSandbox
	ok = optional(in.Approval, &s.Approval) && optional(in.Sandbox, &sandbox)
	if ok {
		s.Sandbox, ok = sandbox.policy()
	}
	return s, ok
}

// optional reads a member that may be absent, null or of a generation that is
// not known here; into keeps its value then.
func optional[T any](raw jsontext.Value, into *T) bool {
	if len(raw) == 0 || raw.Kind() == 'n' {
		return false
	}
	var v T
	if json.Unmarshal(raw, &v, lenient) != nil {
		return false
	}
	*into = v
	return true
}
