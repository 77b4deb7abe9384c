package protocol

import "github.com/go-json-experiment/json/jsontext"

// ItemType is the kind of an item.
type ItemType string

// The kinds of item.
const (
	ItemUserMessage       ItemType = "userMessage"
	ItemAgentMessage      ItemType = "agentMessage"
	ItemPlan              ItemType = "plan"
	ItemReasoning         ItemType = "reasoning"
	ItemWebSearch         ItemType = "webSearch"
	ItemCommandExecution  ItemType = "commandExecution"
	ItemFileChange        ItemType = "fileChange"
	ItemMCPToolCall       ItemType = "mcpToolCall"
	ItemDynamicToolCall   ItemType = "dynamicToolCall"
	ItemImageView         ItemType = "imageView"
	ItemEnteredReview     ItemType = "enteredReviewMode"
	ItemExitedReview      ItemType = "exitedReviewMode"
	ItemContextCompaction ItemType = "contextCompaction"
)

// ThreadItem is something that happened in a turn. Its type is one of the item
// structs of this package; an item's id is the same in its start, its deltas
// and its end.
type ThreadItem interface{ ItemID() string }

// UserMessageItem is what the user said, as sent.
type UserMessageItem struct {
	Type    ItemType    `json:"type"`
	ID      string      `json:"id"`
	Content []UserInput `json:"content"`
}

// NewUserMessage makes a userMessage item.
func NewUserMessage(id string, content []UserInput) *UserMessageItem {
	return &UserMessageItem{ItemUserMessage, id, content}
}

// ItemID returns the id.
func (i *UserMessageItem) ItemID() string { return i.ID }

// The phases that the wire knows.
const (
	phaseCommentary  = "commentary"
	phaseFinalAnswer = "final_answer"
)

// AgentMessageItem is what the model said. Phase is commentary or final_answer
// where the backend tells it.
type AgentMessageItem struct {
	Type           ItemType       `json:"type"`
	ID             string         `json:"id"`
	Text           string         `json:"text"`
	Phase          *string        `json:"phase"`
	MemoryCitation jsontext.Value `json:"memoryCitation"`
}

// NewAgentMessage makes an agentMessage item. A phase that the wire does not know
// is left out.
func NewAgentMessage(id, text string, phase *string) *AgentMessageItem {
	if phase != nil && *phase != phaseCommentary && *phase != phaseFinalAnswer {
		phase = nil
	}
	return &AgentMessageItem{ItemAgentMessage, id, text, phase, jsontext.Value("null")}
}

// ItemID returns the id.
func (i *AgentMessageItem) ItemID() string { return i.ID }

// ReasoningItem is what the model tells of its thinking: the parts of the
// summary, and the raw text where the backend gives it.
type ReasoningItem struct {
	Type    ItemType `json:"type"`
	ID      string   `json:"id"`
	Summary []string `json:"summary"`
	Content []string `json:"content"`
}

// NewReasoning makes a reasoning item.
func NewReasoning(id string, summary, content []string) *ReasoningItem {
	return &ReasoningItem{ItemReasoning, id, summary, content}
}

// ItemID returns the id.
func (i *ReasoningItem) ItemID() string { return i.ID }

// WebSearchItem is a search by the backend's hosted tool.
type WebSearchItem struct {
	Type   ItemType         `json:"type"`
	ID     string           `json:"id"`
	Query  string           `json:"query"`
	Action *WebSearchAction `json:"action"`
}

// NewWebSearch makes a webSearch item.
func NewWebSearch(id, query string, action *WebSearchAction) *WebSearchItem {
	return &WebSearchItem{ItemWebSearch, id, query, action}
}

// ItemID returns the id.
func (i *WebSearchItem) ItemID() string { return i.ID }

// WebSearchAction is what a search did. Type is search (with Query and
// Queries), openPage (with URL), findInPage (with URL and Pattern) or other.
type WebSearchAction struct {
	Type    string             `json:"type"`
	Query   Optional[string]   `json:"query,omitzero"`
	Queries Optional[[]string] `json:"queries,omitzero"`
	URL     Optional[string]   `json:"url,omitzero"`
	Pattern Optional[string]   `json:"pattern,omitzero"`
}

// ItemStartedNotification is item/started. StartedAtMS, in Unix milliseconds, is
// of a later generation of the wire (0.169.0) that requires it.
type ItemStartedNotification struct {
	Item        ThreadItem `json:"item"`
	ThreadID    string     `json:"threadId"`
	TurnID      string     `json:"turnId"`
	StartedAtMS int64      `json:"startedAtMs"`
}

// ItemCompletedNotification is item/completed, the truth about an item.
// CompletedAtMS is as in [ItemStartedNotification].
type ItemCompletedNotification struct {
	Item          ThreadItem `json:"item"`
	ThreadID      string     `json:"threadId"`
	TurnID        string     `json:"turnId"`
	CompletedAtMS int64      `json:"completedAtMs"`
}

// AgentMessageDeltaNotification is item/agentMessage/delta.
type AgentMessageDeltaNotification struct {
	ThreadID string `json:"threadId"`
	TurnID   string `json:"turnId"`
	ItemID   string `json:"itemId"`
	Delta    string `json:"delta"`
}

// ReasoningSummaryPartAddedNotification is item/reasoning/summaryPartAdded.
type ReasoningSummaryPartAddedNotification struct {
	ThreadID     string `json:"threadId"`
	TurnID       string `json:"turnId"`
	ItemID       string `json:"itemId"`
	SummaryIndex int    `json:"summaryIndex"`
}

// ReasoningSummaryTextDeltaNotification is item/reasoning/summaryTextDelta.
type ReasoningSummaryTextDeltaNotification struct {
	ThreadID     string `json:"threadId"`
	TurnID       string `json:"turnId"`
	ItemID       string `json:"itemId"`
	Delta        string `json:"delta"`
	SummaryIndex int    `json:"summaryIndex"`
}

// ReasoningTextDeltaNotification is item/reasoning/textDelta.
type ReasoningTextDeltaNotification struct {
	ThreadID     string `json:"threadId"`
	TurnID       string `json:"turnId"`
	ItemID       string `json:"itemId"`
	Delta        string `json:"delta"`
	ContentIndex int    `json:"contentIndex"`
}

// RawResponseItemCompletedNotification is rawResponseItem/completed: an item of
// the model's history as the backend sees it.
type RawResponseItemCompletedNotification struct {
	ThreadID string         `json:"threadId"`
	TurnID   string         `json:"turnId"`
	Item     jsontext.Value `json:"item"`
}
