package protocol

import "github.com/go-json-experiment/json/jsontext"

// ItemStatus is how far an item has come that stands for a call.
type ItemStatus string

// The states of such an item. A declined one was refused by the user and had no
// effect; only commands and file changes can be.
const (
	ItemInProgress ItemStatus = "inProgress"
	ItemDone       ItemStatus = "completed"
	ItemFailed     ItemStatus = "failed"
	ItemDeclined   ItemStatus = "declined"
)

// CommandSource is who wanted a command.
type CommandSource string

// Who wants commands. The reference names the tool of the model in the source:
// CommandUnifiedExec is a command that may outlive its call.
const (
	CommandByAgent     CommandSource = "agent"
	CommandByUser      CommandSource = "userShell"
	CommandUnifiedExec CommandSource = "unifiedExecStartup"
	CommandInteraction CommandSource = "unifiedExecInteraction"
)

// CommandActionType is what a part of a command does in the eyes of a parent.
type CommandActionType string

// The kinds of action.
const (
	ActionRead      CommandActionType = "read"
	ActionListFiles CommandActionType = "listFiles"
	ActionSearch    CommandActionType = "search"
	ActionUnknown   CommandActionType = "unknown"
)

// CommandAction is a part of a command. Name belongs to read; Path to read (an
// absolute path), listFiles and search; Query to search.
type CommandAction struct {
	Type    CommandActionType `json:"type"`
	Command string            `json:"command"`
	Name    Optional[string]  `json:"name,omitzero"`
	Path    Optional[string]  `json:"path,omitzero"`
	Query   Optional[string]  `json:"query,omitzero"`
}

// CommandExecutionItem is a command. What is not known yet is nil.
type CommandExecutionItem struct {
	Type             ItemType        `json:"type"`
	ID               string          `json:"id"`
	Command          string          `json:"command"`
	Cwd              string          `json:"cwd"`
	ProcessID        *string         `json:"processId"`
	Source           CommandSource   `json:"source"`
	Status           ItemStatus      `json:"status"`
	CommandActions   []CommandAction `json:"commandActions"`
	AggregatedOutput *string         `json:"aggregatedOutput"`
	ExitCode         *int            `json:"exitCode"`
	DurationMS       *int64          `json:"durationMs"`
}

// ItemID returns the id.
func (i *CommandExecutionItem) ItemID() string { return i.ID }

// PatchKindType is what happens to a file.
type PatchKindType string

// The kinds of change to a file.
const (
	PatchAdd    PatchKindType = "add"
	PatchDelete PatchKindType = "delete"
	PatchUpdate PatchKindType = "update"
)

// PatchKind is a kind of change; MovePath belongs to update, and is null there
// unless the file moves.
type PatchKind struct {
	Type     PatchKindType    `json:"type"`
	MovePath Optional[string] `json:"move_path,omitzero"`
}

// FileUpdateChange is the change of one file. Path is absolute. Diff is the
// content of an added or deleted file, and the hunks of an update.
type FileUpdateChange struct {
	Path string    `json:"path"`
	Kind PatchKind `json:"kind"`
	Diff string    `json:"diff"`
}

// FileChangeItem is a patch.
type FileChangeItem struct {
	Type    ItemType           `json:"type"`
	ID      string             `json:"id"`
	Changes []FileUpdateChange `json:"changes"`
	Status  ItemStatus         `json:"status"`
}

// ItemID returns the id.
func (i *FileChangeItem) ItemID() string { return i.ID }

// DynamicToolContent is a piece of what a tool of the parent gives back. Type is
// inputText (with Text) or inputImage (with ImageURL).
type DynamicToolContent struct {
	Type     string  `json:"type"`
	Text     *string `json:"text,omitzero"`
	ImageURL *string `json:"imageUrl,omitzero"`
}

// The types of DynamicToolContent.
const (
	DynamicText  = "inputText"
	DynamicImage = "inputImage"
)

// DynamicToolCallItem is a call of a tool of the parent.
type DynamicToolCallItem struct {
	Type      ItemType       `json:"type"`
	ID        string         `json:"id"`
	Namespace *string        `json:"namespace"`
	Tool      string         `json:"tool"`
	Arguments jsontext.Value `json:"arguments"`
	Status    ItemStatus     `json:"status"`
	// ContentItems is null until the parent has answered.
	ContentItems Optional[[]DynamicToolContent] `json:"contentItems"`
	Success      *bool                          `json:"success"`
	DurationMS   *int64                         `json:"durationMs"`
}

// ItemID returns the id.
func (i *DynamicToolCallItem) ItemID() string { return i.ID }

// ImageViewItem is an image file that the model looks at. Path is absolute.
type ImageViewItem struct {
	Type ItemType `json:"type"`
	ID   string   `json:"id"`
	Path string   `json:"path"`
}

// ItemID returns the id.
func (i *ImageViewItem) ItemID() string { return i.ID }

// PlanItem is the plan that the model proposes in plan mode.
type PlanItem struct {
	Type ItemType `json:"type"`
	ID   string   `json:"id"`
	Text string   `json:"text"`
}

// ItemID returns the id.
func (i *PlanItem) ItemID() string { return i.ID }

// ReviewModeItem marks the begin (enteredReviewMode) or the end
// (exitedReviewMode) of a review. Review says what is reviewed, or what came of
// it.
type ReviewModeItem struct {
	Type   ItemType `json:"type"`
	ID     string   `json:"id"`
	Review string   `json:"review"`
}

// ItemID returns the id.
func (i *ReviewModeItem) ItemID() string { return i.ID }

// ContextCompactionItem marks that the conversation was summed up.
type ContextCompactionItem struct {
	Type ItemType `json:"type"`
	ID   string   `json:"id"`
}

// NewContextCompaction makes the item of a compaction.
func NewContextCompaction(id string) *ContextCompactionItem {
	return &ContextCompactionItem{Type: ItemContextCompaction, ID: id}
}

// ItemID returns the id.
func (i *ContextCompactionItem) ItemID() string { return i.ID }

// CommandExecutionOutputDeltaNotification is
// item/commandExecution/outputDelta: output as it comes, standard output and
// standard error mixed, always valid text.
type CommandExecutionOutputDeltaNotification struct {
	ThreadID string `json:"threadId"`
	TurnID   string `json:"turnId"`
	ItemID   string `json:"itemId"`
	Delta    string `json:"delta"`
}

// TerminalInteractionNotification is
// item/commandExecution/terminalInteraction: the model wrote Stdin to a command
// that runs, or, with an empty Stdin, looked at it.
type TerminalInteractionNotification struct {
	ThreadID  string `json:"threadId"`
	TurnID    string `json:"turnId"`
	ItemID    string `json:"itemId"`
	ProcessID string `json:"processId"`
	Stdin     string `json:"stdin"`
}

// FileChangeOutputDeltaNotification is item/fileChange/outputDelta: what the
// model is told of a patch that was applied.
type FileChangeOutputDeltaNotification struct {
	ThreadID string `json:"threadId"`
	TurnID   string `json:"turnId"`
	ItemID   string `json:"itemId"`
	Delta    string `json:"delta"`
}

// TurnDiffUpdatedNotification is turn/diff/updated: one git diff of all that the
// patches of a turn have changed.
type TurnDiffUpdatedNotification struct {
	ThreadID string `json:"threadId"`
	TurnID   string `json:"turnId"`
	Diff     string `json:"diff"`
}

// TurnPlanStepStatus is how far a step of a plan has come.
type TurnPlanStepStatus string

// The states of a step.
const (
	StepPending    TurnPlanStepStatus = "pending"
	StepInProgress TurnPlanStepStatus = "inProgress"
	StepCompleted  TurnPlanStepStatus = "completed"
)

// TurnPlanStep is a step of the model's plan.
type TurnPlanStep struct {
	Step   string             `json:"step"`
	Status TurnPlanStepStatus `json:"status"`
}

// TurnPlanUpdatedNotification is turn/plan/updated.
type TurnPlanUpdatedNotification struct {
	ThreadID    string         `json:"threadId"`
	TurnID      string         `json:"turnId"`
	Explanation *string        `json:"explanation"`
	Plan        []TurnPlanStep `json:"plan"`
}

// PlanDeltaNotification is item/plan/delta.
type PlanDeltaNotification struct {
	ThreadID string `json:"threadId"`
	TurnID   string `json:"turnId"`
	ItemID   string `json:"itemId"`
	Delta    string `json:"delta"`
}
