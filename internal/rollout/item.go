package rollout

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/excerpt"
	"app-server/protocol"
)

// Item is an item that was read back. It marshals as it was streamed, whatever
// its kind.
type Item struct {
	Type protocol.ItemType
	ID   string
	// JSON is the whole item in the wire's form.
	JSON jsontext.Value
}

// ItemID returns the id.
func (i *Item) ItemID() string { return i.ID }

// MarshalJSONTo writes the item as it was streamed.
func (i *Item) MarshalJSONTo(e *jsontext.Encoder) error { return e.WriteValue(i.JSON) }

// newItem reads type and id of an item in the wire's form. raw is kept.
func newItem(raw jsontext.Value) (*Item, error) {
	var head struct {
		Type protocol.ItemType `json:"type"`
		ID   string            `json:"id"`
	}
	if err := json.Unmarshal(raw, &head, lenient); err != nil {
		return nil, err
	}
	if head.Type == "" || head.ID == "" {
		return nil, fmt.Errorf("item without type or id")
	}
	return &Item{head.Type, head.ID, raw}, nil
}

// ItemCompleted keeps a finished item of a turn, exactly. Append it before the
// parent is told that the item is complete.
func ItemCompleted(turnID string, item protocol.ThreadItem) Record {
	raw, err := json.Marshal(item, lenient)
	if err != nil {
		return Record{err: fmt.Errorf("rollout: item: %w", err)}
	}
	var w wireItem
	if err := json.Unmarshal(raw, &w, lenient); err != nil {
		w = wireItem{} // kept all the same, without an event for the reference
	}
	var r Record
	if t := w.turnItem(); t != nil {
		e := &turnItemEvent{Type: "item_completed", TurnID: turnID, Item: t}
		r.lines = append(r.lines, line{kind: lineEvent, payload: e, extra: &extra{TurnID: turnID}, counted: true})
	}
	events := w.events(turnID)
	for i, e := range events {
		x := &extra{TurnID: turnID}
		if i == len(events)-1 {
			x.Item = raw
		}
		r.lines = append(r.lines, line{kind: lineEvent, payload: e, extra: x})
	}
	if len(events) == 0 {
		r.lines = append(r.lines, line{kind: lineItem, payload: jsontext.Value("{}"), extra: &extra{TurnID: turnID, Item: raw}})
	}
	return r
}

// wireItem has the members of all items for which the reference has an event.
type wireItem struct {
	Type         protocol.ItemType   `json:"type"`
	ID           string              `json:"id"`
	Content      jsontext.Value      `json:"content"`
	Text         string              `json:"text"`
	Phase        *string             `json:"phase"`
	Summary      []string            `json:"summary"`
	Query        string              `json:"query"`
	Action       *wireAction         `json:"action"`
	Command      string              `json:"command"`
	Cwd          string              `json:"cwd"`
	ProcessID    *string             `json:"processId"`
	Source       string              `json:"source"`
	Status       string              `json:"status"`
	Actions      []wireCommandAction `json:"commandActions"`
	Output       *string             `json:"aggregatedOutput"`
	ExitCode     *int64              `json:"exitCode"`
	DurationMS   *int64              `json:"durationMs"`
	Changes      []wireChange        `json:"changes"`
	Server       string              `json:"server"`
	Tool         string              `json:"tool"`
	Arguments    jsontext.Value      `json:"arguments"`
	Result       jsontext.Value      `json:"result"`
	Error        *wireMessage        `json:"error"`
	Namespace    *string             `json:"namespace"`
	ContentItems jsontext.Value      `json:"contentItems"`
	Success      *bool               `json:"success"`
	Path         string              `json:"path"`
	Review       string              `json:"review"`
}

type wireMessage struct {
	Message string `json:"message"`
}

type wireAction struct {
	Type    string    `json:"type"`
	Query   *string   `json:"query"`
	Queries *[]string `json:"queries"`
	URL     *string   `json:"url"`
	Pattern *string   `json:"pattern"`
}

type wireCommandAction struct {
	Type    string  `json:"type"`
	Command string  `json:"command"`
	Name    *string `json:"name"`
	Path    *string `json:"path"`
	Query   *string `json:"query"`
}

type wireChange struct {
	Path string `json:"path"`
	Kind struct {
		Type     string  `json:"type"`
		MovePath *string `json:"move_path"`
	} `json:"kind"`
	Diff string `json:"diff"`
}

// maxEventOutput bounds a command's output in the event for the reference, in
// bytes; the exact item has all of it. The reference keeps as much.
const maxEventOutput = 10_000

// events are what the reference reads of an item; none for kinds that it does
// not know in files.
func (w *wireItem) events(turnID string) []any {
	switch w.Type {
	case protocol.ItemUserMessage:
		var input []protocol.UserInput
		if json.Unmarshal(w.Content, &input, lenient) != nil {
			return nil
		}
		return []any{newUserEvent(input)}
	case protocol.ItemAgentMessage:
		return []any{&agentEvent{"agent_message", w.Text, w.Phase, nil}}
	case protocol.ItemPlan:
		return []any{&planEvent{Type: "item_completed", TurnID: turnID, Item: planItem{"Plan", w.ID, w.Text}}}
	case protocol.ItemReasoning:
		var out []any
		var content []string
		_ = json.Unmarshal(w.Content, &content, lenient) // absent: no raw text
		for _, s := range w.Summary {
			out = append(out, &textEvent{"agent_reasoning", s})
		}
		for _, s := range content {
			out = append(out, &textEvent{"agent_reasoning_raw_content", s})
		}
		return out
	case protocol.ItemWebSearch:
		return []any{&searchEvent{"web_search_end", w.ID, w.Query, newSnakeAction(w.Action)}}
	case protocol.ItemCommandExecution:
		return []any{w.commandEvent(turnID)}
	case protocol.ItemFileChange:
		return []any{w.changeEvent(turnID)}
	case protocol.ItemMCPToolCall:
		return []any{w.mcpEvent(turnID)}
	case protocol.ItemDynamicToolCall:
		return w.dynamicEvents(turnID)
	case protocol.ItemImageView:
		return []any{&viewEvent{"view_image_tool_call", w.ID, w.Path}}
	case protocol.ItemContextCompaction:
		return []any{&bareEvent{"context_compacted"}}
	case protocol.ItemEnteredReview:
		return []any{&enteredEvent{"entered_review_mode", reviewTarget{"custom", w.Review}, w.Review}}
	case protocol.ItemExitedReview:
		return []any{&exitedEvent{"exited_review_mode", newReviewOutput(w.Review)}}
	}
	return nil
}

func (w *wireItem) commandEvent(turnID string) *commandEvent {
	e := &commandEvent{
		Type: "exec_command_end", CallID: w.ID, ProcessID: w.ProcessID, TurnID: turnID,
		Command: splitCommand(w.Command), Cwd: w.Cwd, Parsed: []snakeCommandAction{}, Source: snakeCase(w.Source),
		ExitCode: -1, Duration: newMillis(w.DurationMS), Status: snakeCase(w.Status),
	}
	for _, a := range w.Actions {
		e.Parsed = append(e.Parsed, snakeCommandAction{snakeCase(a.Type), a.Command, a.Name, a.Path, a.Query})
	}
	if w.ExitCode != nil {
		e.ExitCode = *w.ExitCode
	}
	if w.Output != nil {
		e.Output = excerpt.Ends(*w.Output, maxEventOutput, "\n[...]\n")
	}
	if e.Source == "" {
		e.Source = "agent"
	}
	return e
}

func (w *wireItem) changeEvent(turnID string) *changeEvent {
	e := &changeEvent{
		Type: "patch_apply_end", CallID: w.ID, TurnID: turnID, Success: w.Status == "completed",
		Changes: map[string]snakeChange{}, Status: snakeCase(w.Status),
	}
	for _, c := range w.Changes {
		s := snakeChange{Type: c.Kind.Type}
		if s.Type == "update" {
			s.Diff, s.MovePath = &c.Diff, nullable(c.Kind.MovePath)
		} else {
			s.Content = &c.Diff
		}
		e.Changes[c.Path] = s
	}
	return e
}

func (w *wireItem) mcpEvent(turnID string) any {
	e := &mcpEvent{
		Type: "mcp_tool_call_end", CallID: w.ID, TurnID: turnID, Duration: newMillis(w.DurationMS),
		Invocation: invocation{w.Server, w.Tool, orNull(w.Arguments)},
	}
	switch {
	case len(w.Result) > 0 && w.Result.Kind() == '{':
		e.Result.OK = w.Result
	case w.Error != nil:
		e.Result.Err = &w.Error.Message
	default:
		empty := ""
		e.Result.Err = &empty
	}
	return e
}

func (w *wireItem) dynamicEvents(turnID string) []any {
	items := orNull(w.ContentItems)
	if items.Kind() != '[' {
		items = jsontext.Value("[]")
	}
	return []any{
		&dynamicRequestEvent{"dynamic_tool_call_request", w.ID, turnID, w.Namespace, w.Tool, orNull(w.Arguments)},
		&dynamicResponseEvent{
			"dynamic_tool_call_response", w.ID, turnID, w.Namespace, w.Tool, orNull(w.Arguments), items,
			w.Success != nil && *w.Success, nil, newMillis(w.DurationMS),
		},
	}
}

func orNull(v jsontext.Value) jsontext.Value {
	if len(v) == 0 {
		return jsontext.Value("null")
	}
	return v
}

func nullable(s *string) protocol.Optional[string] {
	return protocol.Optional[string]{Present: true, Value: s}
}
