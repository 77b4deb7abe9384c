package session

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/tools"
)

// conversation is what the model has been told, and what belongs to it. It is
// owned by the goroutine of the turn that runs.
//
// items only ever grows, so a request may hold a part of it without a copy, and
// each request's input begins with that of the one before. A compaction begins a
// new list.
type conversation struct {
	items []jsontext.Value
	told  told
	usage usage
	// words are the user's own among the items, which outlive a compaction.
	words []string
	// counted is the conversation's size by the backend's last count, added what
	// came to it since then, by estimate. Both are in tokens.
	counted, added int64
	// compacted is the size that the last compaction left; 0 for none. It is an
	// estimate while settling, until the backend counts.
	compacted int64
	settling  bool
	// window numbers the lists of items, for the backend.
	window int
	// limits are the last rate limits that the backend told.
	limits limits
	// foreign says that some items are of no turn of this server, so that calls
	// among them may have no output; interrupted that a turn died and the model does
	// not know of it. See due.
	foreign, interrupted bool
	// warned are the models that the parent was warned of.
	warned map[string]bool
}

// add adds an item.
func (c *conversation) add(raw jsontext.Value) {
	c.items = append(c.items, raw)
	c.added += itemTokens(raw)
}

// due is what the model must be given before the next request.
func (c *conversation) due() []jsontext.Value {
	var out []jsontext.Value
	if c.foreign {
		out = unanswered(c.items)
	}
	if c.interrupted {
		out = append(out, abortedNote())
	}
	c.foreign, c.interrupted = false, false
	return out
}

// input is the conversation so far, for a request. Later items are not seen by
// its holder.
func (c *conversation) input() []jsontext.Value { return c.items[:len(c.items):len(c.items)] }

// fork is a copy that may grow by itself. What belongs to the parent's sight of
// this thread alone is not in it.
func (c *conversation) fork() conversation {
	return conversation{
		items: c.input(), told: c.told, usage: c.usage, words: slices.Clip(c.words), counted: c.counted, added: c.added,
		foreign: c.foreign, interrupted: c.interrupted,
	}
}

// rawOptions let text through that is not valid UTF-8, as U+FFFD: a request
// must not fail for one bad byte in a file name.
var rawOptions = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// encode makes a raw item. The values given always encode.
func encode(v any) jsontext.Value {
	raw, err := json.Marshal(v, rawOptions)
	if err != nil {
		panic(err)
	}
	return raw
}

// message is a message as the backend takes it.
type message struct {
	Type    string `json:"type"`
	Role    string `json:"role"`
	Content []part `json:"content"`
}

func messageItem(role string, parts ...part) jsontext.Value {
	return encode(message{itemMessage, role, parts})
}

// Roles of messages that this server writes.
const (
	roleDeveloper = "developer"
	roleUser      = "user"
	roleAssistant = "assistant"
)

// waitingCall is a call of the model that waits for its output.
type waitingCall struct {
	tools.Call
	// source is the backend's id of the call. That of the tools is the one under
	// which the parent sees it.
	source string
}

// output is the type of the item that answers the call.
func (c waitingCall) output() string {
	if c.Kind == tools.CallCustom {
		return outputs[itemCustom]
	}
	return outputs[itemFunction]
}

// outputItem is the answer to a call.
func outputItem(c waitingCall, out tools.Output) jsontext.Value {
	content := out.Content
	if content == nil {
		content = encode(out.Text)
	}
	return encode(struct {
		Type   string         `json:"type"`
		CallID string         `json:"call_id"`
		Output jsontext.Value `json:"output"`
	}{c.output(), c.source, content})
}

// modelItem is what the turn reads of an item of the model.
type modelItem struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Role    string `json:"role"`
	Phase   string `json:"phase"`
	Content []struct {
		Type string `json:"type"`
		Text string `json:"text"`
		// Refusal is the text of a part of type refusal.
		Refusal string `json:"refusal"`
	} `json:"content"`
	Summary []struct {
		Text string `json:"text"`
	} `json:"summary"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Arguments string `json:"arguments"`
	Input     string `json:"input"`
	Action    struct {
		Type    string    `json:"type"`
		Query   *string   `json:"query"`
		Queries *[]string `json:"queries"`
		URL     *string   `json:"url"`
		Pattern *string   `json:"pattern"`
	} `json:"action"`
	// action is the action of a local shell call as it came.
	action jsontext.Value
}

// Types of items of the model that are served. All others are skipped.
const (
	itemMessage    = "message"
	itemReasoning  = "reasoning"
	itemFunction   = "function_call"
	itemCustom     = "custom_tool_call"
	itemLocalShell = "local_shell_call"
	itemWebSearch  = "web_search_call"
)

// Types that other servers serve.
const (
	itemToolSearch      = "tool_search_call"
	itemImageGeneration = "image_generation_call"
)

// readItem reads an item of the model. An item that does not have the shape of
// its type is reported as not ok, and is skipped like one of unknown type.
func readItem(raw jsontext.Value) (modelItem, bool) {
	var it modelItem
	if err := json.Unmarshal(raw, &it, rawOptions); err != nil {
		return it, false
	}
	switch it.Type {
	case itemMessage:
		return it, it.Role == "" || it.Role == "assistant"
	case itemReasoning, itemWebSearch:
		return it, true
	case itemLocalShell:
		var as struct {
			Action jsontext.Value `json:"action"`
		}
		if json.Unmarshal(raw, &as, rawOptions) != nil || as.Action == nil {
			return it, false
		}
		it.action = as.Action
		return it, it.CallID != ""
	case itemFunction, itemCustom:
		return it, it.CallID != ""
	}
	return it, false
}

// text is what a message says.
func (it *modelItem) text() string {
	if len(it.Content) == 1 {
		return it.Content[0].Text + it.Content[0].Refusal
	}
	var b bytes.Buffer
	for _, c := range it.Content {
		b.WriteString(c.Text)
		b.WriteString(c.Refusal)
	}
	return b.String()
}

// call is the call that an item makes, if it is one.
func (it *modelItem) call() (tools.Call, bool) {
	c := tools.Call{ID: it.CallID, Name: it.Name, Namespace: it.Namespace, Arguments: it.Arguments}
	switch it.Type {
	case itemFunction:
	case itemCustom:
		c.Kind, c.Arguments = tools.CallCustom, it.Input
	case itemLocalShell:
		c.Kind, c.Name, c.Arguments = tools.CallLocalShell, "local_shell", string(it.action)
	default:
		return tools.Call{}, false
	}
	return c, true
}

// withoutID is an item as it goes back to the backend: all members but the id,
// which the backend does not know again since nothing is stored there.
func withoutID(raw jsontext.Value) jsontext.Value {
	d := jsontext.NewDecoder(bytes.NewReader(raw), rawOptions)
	out := bytes.NewBuffer(make([]byte, 0, len(raw)))
	e := jsontext.NewEncoder(out, rawOptions)
	if copyWithoutID(d, e) != nil {
		return raw
	}
	return bytes.TrimSpace(out.Bytes())
}

func copyWithoutID(d *jsontext.Decoder, e *jsontext.Encoder) error {
	for {
		depth := d.StackDepth()
		if depth == 1 && d.PeekKind() == '"' {
			name, err := d.ReadToken()
			if err != nil {
				return err
			}
			if name.String() == "id" {
				if err := d.SkipValue(); err != nil {
					return err
				}
				continue
			}
			if err := e.WriteToken(name); err != nil {
				return err
			}
			v, err := d.ReadValue()
			if err != nil {
				return err
			}
			if err := e.WriteValue(v); err != nil {
				return err
			}
			continue
		}
		tok, err := d.ReadToken()
		if err != nil {
			return err
		}
		end := tok.Kind() == '}'
		if err := e.WriteToken(tok); err != nil || end {
			return err
		}
	}
}
