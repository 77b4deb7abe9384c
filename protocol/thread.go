package protocol

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Thread is a conversation. Times are Unix seconds.
//
// SessionID and ProjectID are of a later generation of the wire (0.169.0),
// whose clients do not decode a thread without them; older ones pass them over.
// The session is the thread itself, as long as no thread is the child of
// another, and projects are not served.
type Thread struct {
	ID            string       `json:"id"`
	SessionID     string       `json:"sessionId"`
	ProjectID     *string      `json:"projectId"`
	ForkedFromID  *string      `json:"forkedFromId"`
	Preview       string       `json:"preview"`
	Ephemeral     bool         `json:"ephemeral"`
	ModelProvider string       `json:"modelProvider"`
	CreatedAt     int64        `json:"createdAt"`
	UpdatedAt     int64        `json:"updatedAt"`
	Status        ThreadStatus `json:"status"`
	// Path is the rollout file; null for a thread that is kept in memory only.
	Path       *string `json:"path"`
	Cwd        string  `json:"cwd"`
	CLIVersion string  `json:"cliVersion"`
	// Source is what kind of program began the thread: a text, or an object for
	// the agents that another thread has begun.
	Source        jsontext.Value `json:"source"`
	AgentNickname *string        `json:"agentNickname"`
	AgentRole     *string        `json:"agentRole"`
	GitInfo       *GitInfo       `json:"gitInfo"`
	Name          *string        `json:"name"`
	Turns         []Turn         `json:"turns"`
}

// SourceAppServer is the source of every thread that an app-server starts: the
// reference says "vscode" there whoever the parent is, and parents filter by it.
const SourceAppServer = "vscode"

// GitInfo is the state of the repository that a thread began in.
type GitInfo struct {
	SHA       *string `json:"sha"`
	Branch    *string `json:"branch"`
	OriginURL *string `json:"originUrl"`
}

// ThreadStatusType is the kind of a thread's status.
type ThreadStatusType string

// The kinds of status.
const (
	StatusNotLoaded   ThreadStatusType = "notLoaded"
	StatusIdle        ThreadStatusType = "idle"
	StatusSystemError ThreadStatusType = "systemError"
	StatusActive      ThreadStatusType = "active"
)

// ThreadActiveFlag says what an active thread waits for.
type ThreadActiveFlag string

// What an active thread may wait for.
const (
	FlagWaitingOnApproval  ThreadActiveFlag = "waitingOnApproval"
	FlagWaitingOnUserInput ThreadActiveFlag = "waitingOnUserInput"
)

// ThreadStatus is what a thread is doing. ActiveFlags is not nil for active
// threads, and nil, which leaves the member out, for all others.
type ThreadStatus struct {
	Type        ThreadStatusType   `json:"type"`
	ActiveFlags []ThreadActiveFlag `json:"activeFlags,omitzero"`
}

// ThreadSettings are the overrides that thread/start, thread/resume and
// thread/fork share.
type ThreadSettings struct {
	Model                 *string                   `json:"model,omitzero"`
	ModelProvider         *string                   `json:"modelProvider,omitzero"`
	ServiceTier           Optional[ServiceTier]     `json:"serviceTier,omitzero"`
	Cwd                   *string                   `json:"cwd,omitzero"`
	ApprovalPolicy        *ApprovalPolicy           `json:"approvalPolicy,omitzero"`
	ApprovalsReviewer     *ApprovalsReviewer        `json:"approvalsReviewer,omitzero"`
	Sandbox               *SandboxMode              `json:"sandbox,omitzero"`
	PermissionProfile     *PermissionProfile        `json:"permissionProfile,omitzero"`
	Config                map[string]jsontext.Value `json:"config,omitzero"`
	BaseInstructions      *string                   `json:"baseInstructions,omitzero"`
	DeveloperInstructions *string                   `json:"developerInstructions,omitzero"`
	Personality           *Personality              `json:"personality,omitzero"`
	Ephemeral             *bool                     `json:"ephemeral,omitzero"`
}

// SessionStartSource says what a parent starts a thread for.
type SessionStartSource string

// What threads are started for.
const (
	SessionStartup SessionStartSource = "startup"
	SessionClear   SessionStartSource = "clear"
)

// UnmarshalText refuses unknown sources.
func (s *SessionStartSource) UnmarshalText(b []byte) error {
	return closedEnum(s, b, SessionStartup, SessionClear)
}

// ThreadStartParams are those of thread/start.
type ThreadStartParams struct {
	ThreadSettings
	ServiceName        *string             `json:"serviceName,omitzero"`
	SessionStartSource *SessionStartSource `json:"sessionStartSource,omitzero"`
	// DynamicTools are tools of the parent that the model may call.
	DynamicTools []DynamicToolSpec `json:"dynamicTools,omitzero"`
	// Environments are where the model works, unless a turn has its own; nil: on
	// this machine, in cwd.
	Environments          []TurnEnvironment `json:"environments,omitzero"`
	ExperimentalRawEvents bool              `json:"experimentalRawEvents,omitzero"`
	// PersistExtendedHistory is taken and needs nothing: the whole history is kept.
	PersistExtendedHistory bool `json:"persistExtendedHistory,omitzero"`
}

// ExperimentalUse names the first experimental field in use.
func (p *ThreadStartParams) ExperimentalUse() string {
	switch {
	case p.DynamicTools != nil:
		return "thread/start.dynamicTools"
	case p.Environments != nil:
		return "thread/start.environments"
	case p.ExperimentalRawEvents:
		return "thread/start.experimentalRawEvents"
	case p.PersistExtendedHistory:
		return "thread/start.persistFullHistory"
	case p.ApprovalPolicy != nil && p.ApprovalPolicy.Granular != nil:
		return "askForApproval.granular"
	}
	return ""
}

// Given reports whether a raw member is there and not null.
func Given(v jsontext.Value) bool { return len(v) > 0 && v.Kind() != 'n' }

// ThreadStartResponse answers thread/start; thread/resume and thread/fork have
// the same members.
type ThreadStartResponse struct {
	Thread             Thread             `json:"thread"`
	Model              string             `json:"model"`
	ModelProvider      string             `json:"modelProvider"`
	ServiceTier        *ServiceTier       `json:"serviceTier"`
	Cwd                string             `json:"cwd"`
	InstructionSources []string           `json:"instructionSources"`
	ApprovalPolicy     ApprovalPolicy     `json:"approvalPolicy"`
	ApprovalsReviewer  ApprovalsReviewer  `json:"approvalsReviewer"`
	Sandbox            SandboxPolicy      `json:"sandbox"`
	PermissionProfile  *PermissionProfile `json:"permissionProfile"`
	ReasoningEffort    *ReasoningEffort   `json:"reasoningEffort"`
}

// ThreadStartedNotification is thread/started.
type ThreadStartedNotification struct {
	Thread Thread `json:"thread"`
}

// ThreadStatusChangedNotification is thread/status/changed.
type ThreadStatusChangedNotification struct {
	ThreadID string       `json:"threadId"`
	Status   ThreadStatus `json:"status"`
}

// ThreadReadParams are those of thread/read.
type ThreadReadParams struct {
	ThreadID     string `json:"threadId" required:"true"`
	IncludeTurns bool   `json:"includeTurns"`
}

// ThreadReadResponse answers thread/read.
type ThreadReadResponse struct {
	Thread Thread `json:"thread"`
}

// ThreadLoadedListParams are those of thread/loaded/list.
type ThreadLoadedListParams struct {
	Cursor *string `json:"cursor"`
	Limit  *uint32 `json:"limit"`
}

// ThreadLoadedListResponse answers thread/loaded/list with thread ids.
type ThreadLoadedListResponse struct {
	Data       []string `json:"data"`
	NextCursor *string  `json:"nextCursor"`
}

// ThreadListParams are those of thread/list.
type ThreadListParams struct {
	Cursor        *string        `json:"cursor"`
	Limit         *uint32        `json:"limit"`
	SortKey       *ThreadSortKey `json:"sortKey"`
	SortDirection *SortDirection `json:"sortDirection"`
	// ModelProviders nil means the configured one, empty means all.
	ModelProviders []string `json:"modelProviders"`
	// SourceKinds none means those that a user talks to.
	SourceKinds []ThreadSourceKind `json:"sourceKinds"`
	Archived    *bool              `json:"archived"`
	Cwd         CwdFilter          `json:"cwd"`
	SearchTerm  *string            `json:"searchTerm"`
}

// ThreadSourceKind is the kind of a thread's source.
type ThreadSourceKind string

// The kinds of source. SourceSubAgent stands for all that begin with it.
const (
	SourceCLI                 ThreadSourceKind = "cli"
	SourceVSCode              ThreadSourceKind = SourceAppServer
	SourceExec                ThreadSourceKind = "exec"
	SourceAppServerKind       ThreadSourceKind = "appServer"
	SourceSubAgent            ThreadSourceKind = "subAgent"
	SourceSubAgentReview      ThreadSourceKind = "subAgentReview"
	SourceSubAgentCompact     ThreadSourceKind = "subAgentCompact"
	SourceSubAgentThreadSpawn ThreadSourceKind = "subAgentThreadSpawn"
	SourceSubAgentOther       ThreadSourceKind = "subAgentOther"
	SourceUnknown             ThreadSourceKind = "unknown"
)

// UnmarshalText refuses unknown kinds.
func (k *ThreadSourceKind) UnmarshalText(b []byte) error {
	return closedEnum(k, b, SourceCLI, SourceVSCode, SourceExec, SourceAppServerKind, SourceSubAgent, SourceSubAgentReview,
		SourceSubAgentCompact, SourceSubAgentThreadSpawn, SourceSubAgentOther, SourceUnknown)
}

// CwdFilter is one working directory or several; nil filters nothing, an empty
// list lets nothing through.
type CwdFilter []string

// UnmarshalJSONFrom reads a text, a list of texts or null.
func (f *CwdFilter) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == '"' {
		var one string
		if err := json.UnmarshalDecode(d, &one); err != nil {
			return err
		}
		*f = CwdFilter{one}
		return nil
	}
	return json.UnmarshalDecode(d, (*[]string)(f))
}

// ThreadSortKey orders a list of threads.
type ThreadSortKey string

// The sort keys.
const (
	SortCreatedAt ThreadSortKey = "created_at"
	SortUpdatedAt ThreadSortKey = "updated_at"
)

// UnmarshalText refuses unknown keys.
func (k *ThreadSortKey) UnmarshalText(b []byte) error {
	return closedEnum(k, b, SortCreatedAt, SortUpdatedAt)
}

// SortDirection is the direction of a list.
type SortDirection string

// The directions.
const (
	SortAscending  SortDirection = "asc"
	SortDescending SortDirection = "desc"
)

// UnmarshalText refuses unknown directions.
func (s *SortDirection) UnmarshalText(b []byte) error {
	return closedEnum(s, b, SortAscending, SortDescending)
}

// ThreadListResponse answers thread/list.
type ThreadListResponse struct {
	Data            []Thread `json:"data"`
	NextCursor      *string  `json:"nextCursor"`
	BackwardsCursor *string  `json:"backwardsCursor"`
}

// ThreadTokenUsageUpdatedNotification is thread/tokenUsage/updated.
type ThreadTokenUsageUpdatedNotification struct {
	ThreadID   string           `json:"threadId"`
	TurnID     string           `json:"turnId"`
	TokenUsage ThreadTokenUsage `json:"tokenUsage"`
}

// ThreadTokenUsage is the sum over the thread and the last response.
type ThreadTokenUsage struct {
	Total              TokenUsage `json:"total"`
	Last               TokenUsage `json:"last"`
	ModelContextWindow *int64     `json:"modelContextWindow"`
}

// TokenUsage counts tokens.
type TokenUsage struct {
	TotalTokens           int64 `json:"totalTokens"`
	InputTokens           int64 `json:"inputTokens"`
	CachedInputTokens     int64 `json:"cachedInputTokens"`
	OutputTokens          int64 `json:"outputTokens"`
	ReasoningOutputTokens int64 `json:"reasoningOutputTokens"`
}
