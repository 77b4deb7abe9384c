package protocol

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// CommandExecutionRequestApprovalParams are those of
// item/commandExecution/requestApproval: may this command run? StartedAtMS is as
// in [ItemStartedNotification].
type CommandExecutionRequestApprovalParams struct {
	ThreadID       string          `json:"threadId"`
	TurnID         string          `json:"turnId"`
	ItemID         string          `json:"itemId"`
	StartedAtMS    int64           `json:"startedAtMs"`
	Reason         *string         `json:"reason,omitzero"`
	Command        string          `json:"command"`
	Cwd            string          `json:"cwd"`
	CommandActions []CommandAction `json:"commandActions"`
	// ProposedExecpolicyAmendment is the beginning of an argv that the user may
	// allow for good; nil for none.
	ProposedExecpolicyAmendment []string          `json:"proposedExecpolicyAmendment,omitzero"`
	AvailableDecisions          []CommandDecision `json:"availableDecisions"`
}

// CommandExecutionRequestApprovalResponse is the parent's answer.
type CommandExecutionRequestApprovalResponse struct {
	Decision CommandDecision `json:"decision" required:"true"`
}

// DecisionKind is what a user decided.
type DecisionKind string

// The decisions. The last two are objects on the wire and belong to commands
// only.
const (
	DecisionAccept           DecisionKind = "accept"
	DecisionAcceptForSession DecisionKind = "acceptForSession"
	DecisionDecline          DecisionKind = "decline"
	DecisionCancel           DecisionKind = "cancel"

	DecisionAcceptWithAmendment DecisionKind = "acceptWithExecpolicyAmendment"
	DecisionApplyNetworkPolicy  DecisionKind = "applyNetworkPolicyAmendment"
)

// UnmarshalText refuses unknown decisions.
func (k *DecisionKind) UnmarshalText(b []byte) error {
	return closedEnum(k, b, DecisionAccept, DecisionAcceptForSession, DecisionDecline, DecisionCancel)
}

// CommandDecision is a decision on a command. Amendment, the beginning of an
// argv that is allowed from now on, belongs to DecisionAcceptWithAmendment;
// Network to DecisionApplyNetworkPolicy.
type CommandDecision struct {
	Kind      DecisionKind
	Amendment []string
	Network   *NetworkPolicyAmendment
}

// NetworkPolicyAmendment allows or denies a host. Action is allow or deny.
type NetworkPolicyAmendment struct {
	Action string `json:"action" required:"true"`
	Host   string `json:"host" required:"true"`
}

type amendmentForm struct {
	Amendment []string `json:"execpolicy_amendment" required:"true"`
}

type networkForm struct {
	Amendment NetworkPolicyAmendment `json:"network_policy_amendment" required:"true"`
}

// MarshalJSONTo writes a text or an object with one member.
func (d CommandDecision) MarshalJSONTo(e *jsontext.Encoder) error {
	switch d.Kind {
	case DecisionAcceptWithAmendment:
		return json.MarshalEncode(e, map[DecisionKind]amendmentForm{d.Kind: {d.Amendment}})
	case DecisionApplyNetworkPolicy:
		return json.MarshalEncode(e, map[DecisionKind]networkForm{d.Kind: {*d.Network}})
	}
	return e.WriteToken(jsontext.String(string(d.Kind)))
}

// UnmarshalJSONFrom reads either form.
func (d *CommandDecision) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*d = CommandDecision{}
	if dec.PeekKind() == '"' {
		return json.UnmarshalDecode(dec, &d.Kind)
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	var in struct {
		Amendment *amendmentForm `json:"acceptWithExecpolicyAmendment"`
		Network   *networkForm   `json:"applyNetworkPolicyAmendment"`
	}
	if err := Decode(raw, &in); err != nil {
		return err
	}
	switch {
	case in.Amendment != nil && in.Network == nil:
		*d = CommandDecision{Kind: DecisionAcceptWithAmendment, Amendment: in.Amendment.Amendment}
	case in.Network != nil && in.Amendment == nil:
		*d = CommandDecision{Kind: DecisionApplyNetworkPolicy, Network: &in.Network.Amendment}
	default:
		return Invalid(ReasonInvalidParams, "Invalid request: field `decision` has a wrong type or value")
	}
	return nil
}

// FileChangeRequestApprovalParams are those of item/fileChange/requestApproval:
// may this patch be applied? The changes are in the item that was started
// before. GrantRoot is a folder that the agent wants to write in for the rest of
// the session.
type FileChangeRequestApprovalParams struct {
	ThreadID    string  `json:"threadId"`
	TurnID      string  `json:"turnId"`
	ItemID      string  `json:"itemId"`
	StartedAtMS int64   `json:"startedAtMs"`
	Reason      *string `json:"reason"`
	GrantRoot   *string `json:"grantRoot"`
}

// FileChangeRequestApprovalResponse is the parent's answer.
type FileChangeRequestApprovalResponse struct {
	Decision DecisionKind `json:"decision" required:"true"`
}

// FileSystemPermissions are folders that a command may read or write beyond what
// the sandbox allows, as absolute paths. Lists may be null. Entries say the same
// once more, one by one, as the reference does; a parent may answer with either.
type FileSystemPermissions struct {
	Read    Optional[[]string]               `json:"read"`
	Write   Optional[[]string]               `json:"write"`
	Entries Optional[[]FileSystemPermission] `json:"entries,omitzero"`
}

// FileSystemPermission is one entry. Access is read, write or none.
type FileSystemPermission struct {
	Path   FileSystemPath `json:"path"`
	Access string         `json:"access"`
}

// FileSystemPath is a path where Type is path. The other types name places that
// a grant cannot add; they have no Path.
type FileSystemPath struct {
	Type string `json:"type"`
	Path string `json:"path,omitzero"`
}

// NetworkPermissions is whether a command may use the network.
type NetworkPermissions struct {
	Enabled *bool `json:"enabled"`
}

// PermissionGrant is a set of permissions, asked for or granted.
type PermissionGrant struct {
	Network    *NetworkPermissions    `json:"network"`
	FileSystem *FileSystemPermissions `json:"fileSystem"`
}

// PermissionsRequestApprovalParams are those of
// item/permissions/requestApproval: may the commands of the agent do this, too?
type PermissionsRequestApprovalParams struct {
	ThreadID    string          `json:"threadId"`
	TurnID      string          `json:"turnId"`
	ItemID      string          `json:"itemId"`
	StartedAtMS int64           `json:"startedAtMs"`
	Cwd         string          `json:"cwd"`
	Reason      *string         `json:"reason"`
	Permissions PermissionGrant `json:"permissions"`
}

// GrantScope is how long a grant holds.
type GrantScope string

// The scopes of a grant. An absent one means the turn.
const (
	GrantTurn    GrantScope = "turn"
	GrantSession GrantScope = "session"
)

// UnmarshalText refuses unknown scopes.
func (s *GrantScope) UnmarshalText(b []byte) error {
	return closedEnum(s, b, GrantTurn, GrantSession)
}

// PermissionsRequestApprovalResponse is the parent's answer: what it grants, at
// most what was asked for.
type PermissionsRequestApprovalResponse struct {
	Permissions PermissionGrant `json:"permissions" required:"true"`
	Scope       GrantScope      `json:"scope,omitzero"`
}

// ToolRequestUserInputParams are those of item/tool/requestUserInput: the agent
// asks the user. IsBlocking is of a later generation of the wire (0.169.0) that
// requires it: the turn waits for the answer.
type ToolRequestUserInputParams struct {
	ThreadID   string         `json:"threadId"`
	TurnID     string         `json:"turnId"`
	ItemID     string         `json:"itemId"`
	Questions  []UserQuestion `json:"questions"`
	IsBlocking bool           `json:"isBlocking"`
}

// UserQuestion is one question. With IsOther the user may answer in own words;
// with IsSecret the answer must not be shown as it is typed. Options may be null.
type UserQuestion struct {
	ID       string                     `json:"id"`
	Header   string                     `json:"header"`
	Question string                     `json:"question"`
	IsOther  bool                       `json:"isOther"`
	IsSecret bool                       `json:"isSecret"`
	Options  Optional[[]QuestionOption] `json:"options"`
}

// QuestionOption is an answer offered.
type QuestionOption struct {
	Label       string `json:"label" required:"true"`
	Description string `json:"description" required:"true"`
}

// ToolRequestUserInputResponse is the parent's answer, by question id.
type ToolRequestUserInputResponse struct {
	Answers map[string]UserAnswer `json:"answers" required:"true"`
}

// UserAnswer is what the user said to one question.
type UserAnswer struct {
	Answers []string `json:"answers" required:"true"`
}

// DynamicToolSpec is a tool of the parent, offered to the model.
type DynamicToolSpec struct {
	Name         string         `json:"name" required:"true"`
	Description  string         `json:"description" required:"true"`
	InputSchema  jsontext.Value `json:"inputSchema" required:"true"`
	Namespace    *string        `json:"namespace,omitzero"`
	DeferLoading bool           `json:"deferLoading,omitzero"`
}

// UnmarshalJSONFrom checks the required members itself, since specs come in
// lists. Older parents say deferLoading by exposeToContext, the other way round.
func (s *DynamicToolSpec) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	raw, err := d.ReadValue()
	if err != nil {
		return err
	}
	type plain DynamicToolSpec
	var in plain
	if err := Decode(raw, &in); err != nil {
		return err
	}
	var old struct {
		ExposeToContext *bool `json:"exposeToContext"`
	}
	if err := Decode(raw, &old); err != nil {
		return err
	}
	*s = DynamicToolSpec(in)
	s.DeferLoading = s.DeferLoading || old.ExposeToContext != nil && !*old.ExposeToContext
	return nil
}

// DynamicToolCallParams are those of item/tool/call: the model calls a tool of
// the parent.
type DynamicToolCallParams struct {
	ThreadID  string         `json:"threadId"`
	TurnID    string         `json:"turnId"`
	CallID    string         `json:"callId"`
	Namespace *string        `json:"namespace"`
	Tool      string         `json:"tool"`
	Arguments jsontext.Value `json:"arguments"`
}

// DynamicToolCallResponse is the parent's answer.
type DynamicToolCallResponse struct {
	ContentItems []DynamicToolContent `json:"contentItems" required:"true"`
	Success      bool                 `json:"success" required:"true"`
}

// ServerRequestResolvedNotification is serverRequest/resolved: a question to the
// parent needs no answer any more, be it that the answer came or that the turn
// was interrupted. RequestID is the id of the question's line.
type ServerRequestResolvedNotification struct {
	ThreadID  string `json:"threadId"`
	RequestID int64  `json:"requestId"`
}
