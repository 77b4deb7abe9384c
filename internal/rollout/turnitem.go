package rollout

import (
	"net/url"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// turnItem is an item of an item_completed event, which is what the reference
// 0.169.0 rebuilds turns from in files that count their lines. Members that do
// not belong to the type are left out.
type turnItem struct {
	Type         string                 `json:"type"`
	ID           string                 `json:"id"`
	Content      any                    `json:"content,omitzero"`
	Text         *string                `json:"text,omitzero"`
	Phase        *string                `json:"phase,omitzero"`
	Summary      *[]string              `json:"summary_text,omitzero"`
	RawContent   *[]string              `json:"raw_content,omitzero"`
	Query        *string                `json:"query,omitzero"`
	Action       *snakeAction           `json:"action,omitzero"`
	ProcessID    *string                `json:"process_id,omitzero"`
	Command      []string               `json:"command,omitzero"`
	Cwd          string                 `json:"cwd,omitzero"`
	Parsed       []snakeCommandAction   `json:"parsed_cmd,omitzero"`
	Source       string                 `json:"source,omitzero"`
	Changes      map[string]snakeChange `json:"changes,omitzero"`
	Server       string                 `json:"server,omitzero"`
	Namespace    *string                `json:"namespace,omitzero"`
	Tool         string                 `json:"tool,omitzero"`
	Arguments    jsontext.Value         `json:"arguments,omitzero"`
	Status       string                 `json:"status,omitzero"`
	Output       *string                `json:"aggregated_output,omitzero"`
	ExitCode     *int64                 `json:"exit_code,omitzero"`
	ContentItems jsontext.Value         `json:"content_items,omitzero"`
	Success      *bool                  `json:"success,omitzero"`
	Result       jsontext.Value         `json:"result,omitzero"`
	Error        *wireMessage           `json:"error,omitzero"`
	Duration     *millis                `json:"duration,omitzero"`
	Path         string                 `json:"path,omitzero"`
	Target       *reviewTarget          `json:"target,omitzero"`
	Hint         *string                `json:"user_facing_hint,omitzero"`
	Review       *reviewOutput          `json:"review_output,omitzero"`
}

type turnItemEvent struct {
	Type     string    `json:"type"`
	ThreadID string    `json:"thread_id"`
	TurnID   string    `json:"turn_id"`
	Item     *turnItem `json:"item"`
}

func (e *turnItemEvent) bind(threadID string) any {
	return &turnItemEvent{e.Type, threadID, e.TurnID, e.Item}
}

type snakeInputPart struct {
	Type     string              `json:"type"`
	Text     *string             `json:"text,omitzero"`
	Elements *[]snakeTextElement `json:"text_elements,omitzero"`
	URL      string              `json:"image_url,omitzero"`
	Name     string              `json:"name,omitzero"`
	Path     string              `json:"path,omitzero"`
}

type textPart struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// turnItem is the item in the form of item_completed events; nil for kinds that
// have none that is known.
func (w *wireItem) turnItem() *turnItem {
	t := &turnItem{ID: w.ID, Status: snakeCase(w.Status)}
	switch w.Type {
	case protocol.ItemUserMessage:
		t.Type, t.Content = "UserMessage", w.inputParts()
	case protocol.ItemAgentMessage:
		t.Type, t.Content, t.Phase = "AgentMessage", []textPart{{"Text", w.Text}}, w.Phase
	case protocol.ItemPlan:
		t.Type, t.Text = "Plan", &w.Text
	case protocol.ItemReasoning:
		content := []string{}
		_ = json.Unmarshal(w.Content, &content, lenient) // absent: no raw text
		summary := nonNil(w.Summary)
		t.Type, t.Summary, t.RawContent = "Reasoning", &summary, &content
	case protocol.ItemWebSearch:
		action := newSnakeAction(w.Action)
		t.Type, t.Query, t.Action = "WebSearch", &w.Query, &action
	case protocol.ItemCommandExecution:
		e := w.commandEvent("")
		t.Type, t.ProcessID, t.Command, t.Parsed, t.Source = "CommandExecution", w.ProcessID, e.Command, e.Parsed, e.Source
		t.Cwd = (&url.URL{Scheme: "file", Path: w.Cwd}).String()
		t.Output, t.ExitCode, t.Duration = &e.Output, w.ExitCode, &e.Duration
	case protocol.ItemFileChange:
		t.Type, t.Changes = "FileChange", w.changeEvent("").Changes
	case protocol.ItemMCPToolCall:
		d := newMillis(w.DurationMS)
		t.Type, t.Server, t.Tool, t.Arguments, t.Duration = "McpToolCall", w.Server, w.Tool, orNull(w.Arguments), &d
		t.Error = w.Error
		if w.Result.Kind() == '{' {
			t.Result = w.Result
		}
	case protocol.ItemDynamicToolCall:
		d := newMillis(w.DurationMS)
		t.Type, t.Namespace, t.Tool, t.Arguments, t.Duration = "DynamicToolCall", w.Namespace, w.Tool, orNull(w.Arguments), &d
		t.Success = w.Success
		if w.ContentItems.Kind() == '[' {
			t.ContentItems = w.ContentItems
		}
	case protocol.ItemImageView:
		t.Type, t.Path = "ImageView", w.Path
	case protocol.ItemContextCompaction:
		t.Type = "ContextCompaction"
	case protocol.ItemEnteredReview:
		t.Type, t.Target, t.Hint = "EnteredReviewMode", &reviewTarget{"custom", w.Review}, &w.Review
	case protocol.ItemExitedReview:
		t.Type, t.Review = "ExitedReviewMode", newReviewOutput(w.Review)
	default:
		return nil
	}
	return t
}

func (w *wireItem) inputParts() []snakeInputPart {
	var input []protocol.UserInput
	_ = json.Unmarshal(w.Content, &input, lenient) // what cannot be read has no form there
	parts := []snakeInputPart{}
	for _, in := range input {
		p := snakeInputPart{Type: snakeCase(string(in.Type)), URL: in.URL, Name: in.Name, Path: in.Path}
		if in.Type == protocol.InputText {
			elements := []snakeTextElement{}
			for _, e := range in.TextElements {
				elements = append(elements, snakeTextElement{e.ByteRange, e.Placeholder})
			}
			p.Text, p.Elements = &in.Text, &elements
		}
		parts = append(parts, p)
	}
	return parts
}
