package rollout

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// The events of the reference that stand for items, as they are written.

type bareEvent struct {
	Type string `json:"type"`
}

type textEvent struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type userEvent struct {
	Type        string             `json:"type"`
	Message     string             `json:"message"`
	Images      []string           `json:"images"`
	LocalImages []string           `json:"local_images"`
	Elements    []snakeTextElement `json:"text_elements"`
}

type snakeTextElement struct {
	Range       protocol.ByteRange `json:"byte_range"`
	Placeholder *string            `json:"placeholder"`
}

// newUserEvent puts all texts into one, as the reference does.
func newUserEvent(input []protocol.UserInput) *userEvent {
	e := &userEvent{Type: "user_message", Images: []string{}, LocalImages: []string{}, Elements: []snakeTextElement{}}
	var text strings.Builder
	for _, in := range input {
		switch in.Type {
		case protocol.InputText:
			at := uint64(text.Len())
			for _, t := range in.TextElements {
				r := protocol.ByteRange{Start: t.ByteRange.Start + at, End: t.ByteRange.End + at}
				e.Elements = append(e.Elements, snakeTextElement{r, t.Placeholder})
			}
			text.WriteString(in.Text)
		case protocol.InputImage:
			e.Images = append(e.Images, in.URL)
		case protocol.InputLocalImage:
			e.LocalImages = append(e.LocalImages, in.Path)
		}
	}
	e.Message = text.String()
	return e
}

type agentEvent struct {
	Type     string  `json:"type"`
	Message  string  `json:"message"`
	Phase    *string `json:"phase"`
	Citation *string `json:"memory_citation"` // always null: only the exact item has it
}

type planEvent struct {
	Type     string   `json:"type"`
	ThreadID string   `json:"thread_id"`
	TurnID   string   `json:"turn_id"`
	Item     planItem `json:"item"`
}

type planItem struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Text string `json:"text"`
}

func (e *planEvent) bind(threadID string) any { return &planEvent{e.Type, threadID, e.TurnID, e.Item} }

type searchEvent struct {
	Type   string      `json:"type"`
	CallID string      `json:"call_id"`
	Query  string      `json:"query"`
	Action snakeAction `json:"action"`
}

type snakeAction struct {
	Type    string    `json:"type"`
	Query   *string   `json:"query,omitzero"`
	Queries *[]string `json:"queries,omitzero"`
	URL     *string   `json:"url,omitzero"`
	Pattern *string   `json:"pattern,omitzero"`
}

func newSnakeAction(a *wireAction) snakeAction {
	if a == nil {
		return snakeAction{Type: "other"}
	}
	return snakeAction{snakeCase(a.Type), a.Query, a.Queries, a.URL, a.Pattern}
}

type commandEvent struct {
	Type      string               `json:"type"`
	CallID    string               `json:"call_id"`
	ProcessID *string              `json:"process_id,omitzero"`
	TurnID    string               `json:"turn_id"`
	Command   []string             `json:"command"`
	Cwd       string               `json:"cwd"`
	Parsed    []snakeCommandAction `json:"parsed_cmd"`
	Source    string               `json:"source"`
	Stdout    string               `json:"stdout"`
	Stderr    string               `json:"stderr"`
	Output    string               `json:"aggregated_output"`
	ExitCode  int64                `json:"exit_code"`
	Duration  millis               `json:"duration"`
	Formatted string               `json:"formatted_output"`
	Status    string               `json:"status"`
}

type snakeCommandAction struct {
	Type    string  `json:"type"`
	Command string  `json:"cmd"`
	Name    *string `json:"name,omitzero"`
	Path    *string `json:"path,omitzero"`
	Query   *string `json:"query,omitzero"`
}

type changeEvent struct {
	Type    string                 `json:"type"`
	CallID  string                 `json:"call_id"`
	TurnID  string                 `json:"turn_id"`
	Stdout  string                 `json:"stdout"`
	Stderr  string                 `json:"stderr"`
	Success bool                   `json:"success"`
	Changes map[string]snakeChange `json:"changes"`
	Status  string                 `json:"status"`
}

type snakeChange struct {
	Type     string                    `json:"type"`
	Content  *string                   `json:"content,omitzero"`
	Diff     *string                   `json:"unified_diff,omitzero"`
	MovePath protocol.Optional[string] `json:"move_path,omitzero"`
}

type mcpEvent struct {
	Type       string     `json:"type"`
	CallID     string     `json:"call_id"`
	TurnID     string     `json:"turn_id"`
	Invocation invocation `json:"invocation"`
	Duration   millis     `json:"duration"`
	Result     mcpResult  `json:"result"`
}

type invocation struct {
	Server    string         `json:"server"`
	Tool      string         `json:"tool"`
	Arguments jsontext.Value `json:"arguments"`
}

type mcpResult struct {
	OK  jsontext.Value `json:"Ok,omitzero"`
	Err *string        `json:"Err,omitzero"`
}

type dynamicRequestEvent struct {
	Type      string         `json:"type"`
	CallID    string         `json:"callId"`
	TurnID    string         `json:"turnId"`
	Namespace *string        `json:"namespace"`
	Tool      string         `json:"tool"`
	Arguments jsontext.Value `json:"arguments"`
}

type dynamicResponseEvent struct {
	Type         string         `json:"type"`
	CallID       string         `json:"call_id"`
	TurnID       string         `json:"turn_id"`
	Namespace    *string        `json:"namespace"`
	Tool         string         `json:"tool"`
	Arguments    jsontext.Value `json:"arguments"`
	ContentItems jsontext.Value `json:"content_items"`
	Success      bool           `json:"success"`
	Error        *string        `json:"error"`
	Duration     millis         `json:"duration"`
}

type viewEvent struct {
	Type   string `json:"type"`
	CallID string `json:"call_id"`
	Path   string `json:"path"`
}

type enteredEvent struct {
	Type   string       `json:"type"`
	Target reviewTarget `json:"target"`
	Hint   string       `json:"user_facing_hint"`
}

type reviewTarget struct {
	Type         string `json:"type"`
	Instructions string `json:"instructions"`
}

type exitedEvent struct {
	Type   string        `json:"type"`
	Output *reviewOutput `json:"review_output"`
}

type reviewOutput struct {
	Findings    jsontext.Value `json:"findings"`
	Correctness string         `json:"overall_correctness"`
	Explanation string         `json:"overall_explanation"`
	Confidence  float64        `json:"overall_confidence_score"`
}

func newReviewOutput(text string) *reviewOutput {
	return &reviewOutput{Findings: jsontext.Value("[]"), Explanation: text}
}
