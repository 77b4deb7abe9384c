package rollout

import (
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// event has the members of all events that are read. What has another type in
// another event is raw.
type event struct {
	Type        string             `json:"type"`
	TurnID      string             `json:"turn_id"`
	TurnIDCamel string             `json:"turnId"`
	CallID      string             `json:"call_id"`
	StartedAt   *int64             `json:"started_at"`
	CompletedAt *int64             `json:"completed_at"`
	DurationMS  *int64             `json:"duration_ms"`
	Message     jsontext.Value     `json:"message"`
	ErrorInfo   jsontext.Value     `json:"codex_error_info"`
	Text        string             `json:"text"`
	Phase       *string            `json:"phase"`
	Images      []string           `json:"images"`
	LocalImages []string           `json:"local_images"`
	Elements    []snakeTextElement `json:"text_elements"`
	Query       string             `json:"query"`
	Action      *snakeAction       `json:"action"`
	Path        string             `json:"path"`
	Invocation  *invocation        `json:"invocation"`
	Result      jsontext.Value     `json:"result"`
	Hint        string             `json:"user_facing_hint"`
	Review      *reviewOutput      `json:"review_output"`
	Item        jsontext.Value     `json:"item"`
	// Error is an object in task_complete of the reference 0.169.0, a text in
	// others.
	Error jsontext.Value `json:"error"`
	callFields
}

// callFields are members of a finished call, which item_completed events of the
// reference 0.169.0 carry as well.
type callFields struct {
	ProcessID    *string                `json:"process_id"`
	Command      []string               `json:"command"`
	Cwd          string                 `json:"cwd"`
	Parsed       []snakeCommandAction   `json:"parsed_cmd"`
	Source       string                 `json:"source"`
	Output       string                 `json:"aggregated_output"`
	ExitCode     *int                   `json:"exit_code"`
	Duration     *millis                `json:"duration"`
	Status       string                 `json:"status"`
	Success      *bool                  `json:"success"`
	Changes      map[string]snakeChange `json:"changes"`
	Server       string                 `json:"server"`
	Tool         string                 `json:"tool"`
	Namespace    *string                `json:"namespace"`
	Arguments    jsontext.Value         `json:"arguments"`
	ContentItems jsontext.Value         `json:"content_items"`
}

// rebuild adds the item that an event of the reference stands for. id is for
// those that have none.
func (b *turnBuilder) rebuild(e *event, id string) {
	switch e.Type {
	case "user_message":
		b.add(e.user(id))
	case "agent_message":
		b.add(protocol.NewAgentMessage(id, text(e.Message), e.Phase))
	case "agent_reasoning":
		r := b.reasoning(id)
		r.Summary = append(r.Summary, e.Text)
	case "agent_reasoning_raw_content":
		r := b.reasoning(id)
		r.Content = append(r.Content, e.Text)
	case "web_search_end":
		b.add(protocol.NewWebSearch(e.CallID, e.Query, e.Action.wire()))
	case "exec_command_end":
		b.add(e.command(e.CallID))
	case "patch_apply_end":
		b.add(e.fileChange(e.CallID))
	case "mcp_tool_call_end":
		if e.Invocation != nil {
			e.Server, e.Tool, e.Arguments = e.Invocation.Server, e.Invocation.Tool, e.Invocation.Arguments
			b.add(e.mcp(e.CallID, e.Result, nil))
		}
	case "dynamic_tool_call_response":
		b.add(e.dynamic(e.CallID))
	case "view_image_tool_call":
		b.add(&protocol.ImageViewItem{Type: protocol.ItemImageView, ID: e.CallID, Path: e.Path})
	case "context_compacted":
		b.add(protocol.NewContextCompaction(id))
	case "entered_review_mode":
		b.add(&protocol.ReviewModeItem{Type: protocol.ItemEnteredReview, ID: id, Review: e.Hint})
	case "exited_review_mode":
		b.add(&protocol.ReviewModeItem{Type: protocol.ItemExitedReview, ID: id, Review: e.Review.text()})
	case "item_completed":
		b.item(e.Item)
	}
}

// add adds an item. Those without an id, which no such event should be, are
// passed over.
func (b *turnBuilder) add(it protocol.ThreadItem) {
	if it.ItemID() != "" {
		b.items = append(b.items, it)
	}
}

// reasoning is the item that the parts of a row of reasoning events belong to.
func (b *turnBuilder) reasoning(id string) *protocol.ReasoningItem {
	if n := len(b.items); n > 0 {
		if r, ok := b.items[n-1].(*protocol.ReasoningItem); ok {
			return r
		}
	}
	r := protocol.NewReasoning(id, []string{}, []string{})
	b.items = append(b.items, r)
	return r
}

// completedItem is the item of an item_completed event: all kinds in the
// reference 0.169.0, plans in 0.125.0.
type completedItem struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Content    jsontext.Value `json:"content"`
	Text       string         `json:"text"`
	Phase      *string        `json:"phase"`
	Summary    []string       `json:"summary_text"`
	RawContent []string       `json:"raw_content"`
	Query      string         `json:"query"`
	Action     *snakeAction   `json:"action"`
	Path       string         `json:"path"`
	Hint       string         `json:"user_facing_hint"`
	Review     *reviewOutput  `json:"review_output"`
	Result     jsontext.Value `json:"result"`
	Error      *wireMessage   `json:"error"`
	callFields
}

func (b *turnBuilder) item(raw jsontext.Value) {
	var i completedItem
	if json.Unmarshal(raw, &i, lenient) != nil {
		return
	}
	switch i.Type {
	case "UserMessage":
		b.add(protocol.NewUserMessage(i.ID, snakeInput(i.Content)))
	case "AgentMessage":
		b.add(protocol.NewAgentMessage(i.ID, userText(i.Content), i.Phase))
	case "Reasoning":
		b.add(protocol.NewReasoning(i.ID, nonNil(i.Summary), nonNil(i.RawContent)))
	case "Plan":
		b.add(&protocol.PlanItem{Type: protocol.ItemPlan, ID: i.ID, Text: i.Text})
	case "WebSearch":
		b.add(protocol.NewWebSearch(i.ID, i.Query, i.Action.wire()))
	case "CommandExecution":
		b.add(i.command(i.ID))
	case "FileChange":
		b.add(i.fileChange(i.ID))
	case "McpToolCall":
		b.add(i.mcp(i.ID, i.Result, i.Error))
	case "DynamicToolCall":
		b.add(i.dynamic(i.ID))
	case "ImageView":
		b.add(&protocol.ImageViewItem{Type: protocol.ItemImageView, ID: i.ID, Path: i.Path})
	case "ContextCompaction":
		b.add(protocol.NewContextCompaction(i.ID))
	case "EnteredReviewMode":
		b.add(&protocol.ReviewModeItem{Type: protocol.ItemEnteredReview, ID: i.ID, Review: i.Hint})
	case "ExitedReviewMode":
		b.add(&protocol.ReviewModeItem{Type: protocol.ItemExitedReview, ID: i.ID, Review: i.Review.text()})
	}
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (r *reviewOutput) text() string {
	if r == nil {
		return ""
	}
	return r.Explanation
}

// user is a user_message event as an item: first the text, then the images.
func (e *event) user(id string) *protocol.UserMessageItem {
	in := []protocol.UserInput{}
	if m := text(e.Message); m != "" {
		u := protocol.UserInput{Type: protocol.InputText, Text: m, TextElements: []protocol.TextElement{}}
		for _, t := range e.Elements {
			u.TextElements = append(u.TextElements, protocol.TextElement{ByteRange: t.Range, Placeholder: t.Placeholder})
		}
		in = append(in, u)
	}
	for _, i := range e.Images {
		in = append(in, protocol.UserInput{Type: protocol.InputImage, URL: i})
	}
	for _, i := range e.LocalImages {
		in = append(in, protocol.UserInput{Type: protocol.InputLocalImage, Path: i})
	}
	return protocol.NewUserMessage(id, in)
}

// snakeInput reads user input in the form of the files. Kinds that are not
// known are passed over.
func snakeInput(content jsontext.Value) []protocol.UserInput {
	var parts []struct {
		Type     string             `json:"type"`
		Text     string             `json:"text"`
		Elements []snakeTextElement `json:"text_elements"`
		URL      string             `json:"image_url"`
		Path     string             `json:"path"`
		Name     string             `json:"name"`
	}
	in := []protocol.UserInput{}
	if json.Unmarshal(content, &parts, lenient) != nil {
		return in
	}
	for _, p := range parts {
		u := protocol.UserInput{Type: protocol.InputType(camelCase(p.Type)), Text: p.Text, URL: p.URL, Path: p.Path, Name: p.Name}
		switch u.Type {
		case protocol.InputText:
			u.TextElements = []protocol.TextElement{}
			for _, t := range p.Elements {
				u.TextElements = append(u.TextElements, protocol.TextElement{ByteRange: t.Range, Placeholder: t.Placeholder})
			}
		case protocol.InputImage, protocol.InputLocalImage, protocol.InputSkill, protocol.InputMention:
		default:
			continue
		}
		in = append(in, u)
	}
	return in
}

func (a *snakeAction) wire() *protocol.WebSearchAction {
	if a == nil {
		return nil
	}
	w := &protocol.WebSearchAction{Type: camelCase(a.Type)}
	switch w.Type {
	case "search":
		w.Query, w.Queries = nullable(a.Query), protocol.Optional[[]string]{Present: true, Value: a.Queries}
	case "openPage":
		w.URL = nullable(a.URL)
	case "findInPage":
		w.URL, w.Pattern = nullable(a.URL), nullable(a.Pattern)
	}
	return w
}

func (c *callFields) command(id string) *protocol.CommandExecutionItem {
	it := &protocol.CommandExecutionItem{
		Type: protocol.ItemCommandExecution, ID: id, Command: joinCommand(c.Command), Cwd: plainPath(c.Cwd),
		ProcessID: c.ProcessID, Source: protocol.CommandSource(camelCase(c.Source)), Status: itemStatus(c.Status),
		CommandActions: []protocol.CommandAction{}, ExitCode: c.ExitCode, DurationMS: c.Duration.ms(),
	}
	if c.Output != "" {
		it.AggregatedOutput = &c.Output
	}
	if it.Source == "" {
		it.Source = protocol.CommandByAgent
	}
	if it.Status == "" {
		it.Status = protocol.ItemDone
		if c.ExitCode != nil && *c.ExitCode != 0 {
			it.Status = protocol.ItemFailed
		}
	}
	for _, a := range c.Parsed {
		w := protocol.CommandAction{Type: protocol.CommandActionType(camelCase(a.Type)), Command: a.Command}
		switch w.Type {
		case protocol.ActionRead:
			w.Name, w.Path = nullable(a.Name), nullable(a.Path)
		case protocol.ActionListFiles:
			w.Path = nullable(a.Path)
		case protocol.ActionSearch:
			w.Query, w.Path = nullable(a.Query), nullable(a.Path)
		}
		it.CommandActions = append(it.CommandActions, w)
	}
	return it
}

// itemStatus is a status of the files as the wire has it.
func itemStatus(s string) protocol.ItemStatus { return protocol.ItemStatus(camelCase(s)) }

// plainPath is a path that may be written as a file URL.
func plainPath(p string) string {
	if !strings.HasPrefix(p, "file://") {
		return p
	}
	u, err := url.Parse(p)
	if err != nil {
		return p
	}
	return u.Path
}

func (c *callFields) fileChange(id string) *protocol.FileChangeItem {
	it := &protocol.FileChangeItem{Type: protocol.ItemFileChange, ID: id, Changes: []protocol.FileUpdateChange{}, Status: itemStatus(c.Status)}
	if it.Status == "" {
		it.Status = protocol.ItemFailed
		if c.Success != nil && *c.Success {
			it.Status = protocol.ItemDone
		}
	}
	for path, s := range c.Changes {
		u := protocol.FileUpdateChange{Path: plainPath(path), Kind: protocol.PatchKind{Type: protocol.PatchKindType(s.Type)}}
		if s.Content != nil {
			u.Diff = *s.Content
		}
		if u.Kind.Type == protocol.PatchUpdate {
			u.Kind.MovePath = nullable(s.MovePath.Value)
			if s.Diff != nil {
				u.Diff = *s.Diff
			}
		}
		it.Changes = append(it.Changes, u)
	}
	slices.SortFunc(it.Changes, func(a, b protocol.FileUpdateChange) int { return strings.Compare(a.Path, b.Path) })
	return it
}

// mcp is a call of an MCP tool. result is {Ok} or {Err} in old events, the bare
// result in newer ones.
func (c *callFields) mcp(id string, result jsontext.Value, failure *wireMessage) *mcpItem {
	it := &mcpItem{
		Type: protocol.ItemMCPToolCall, ID: id, Server: c.Server, Tool: c.Tool, Status: protocol.ItemDone,
		Arguments: orNull(c.Arguments), Error: failure, DurationMS: c.Duration.ms(),
	}
	if ok := member(result, "Ok"); ok != nil {
		result = ok
	} else if e := member(result, "Err"); e != nil {
		it.Error, result = &wireMessage{text(e)}, nil
	}
	if result.Kind() == '{' {
		var r mcpOutcome
		if json.Unmarshal(result, &r, lenient) == nil {
			r.Content, r.Structured, r.Meta = orEmpty(r.Content), orNull(r.Structured), orNull(r.Meta)
			it.Result = &r
			if string(member(result, "isError")) == "true" {
				it.Status = protocol.ItemFailed
			}
		}
	}
	if it.Error != nil {
		it.Status = protocol.ItemFailed
	}
	if c.Status != "" {
		it.Status = itemStatus(c.Status)
	}
	return it
}

func orEmpty(v jsontext.Value) jsontext.Value {
	if v.Kind() != '[' {
		return jsontext.Value("[]")
	}
	return v
}

func (c *callFields) dynamic(id string) *protocol.DynamicToolCallItem {
	it := &protocol.DynamicToolCallItem{
		Type: protocol.ItemDynamicToolCall, ID: id, Namespace: c.Namespace, Tool: c.Tool, Arguments: orNull(c.Arguments),
		Status: protocol.ItemDone, Success: c.Success, DurationMS: c.Duration.ms(),
	}
	var content []protocol.DynamicToolContent
	if optional(c.ContentItems, &content) {
		it.ContentItems = protocol.Some(content)
	}
	switch {
	case c.Status != "":
		it.Status = itemStatus(c.Status)
	case c.Success == nil || !*c.Success:
		it.Status = protocol.ItemFailed
	}
	return it
}
