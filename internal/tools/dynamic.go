package tools

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/imagefile"
	"app-server/internal/process"
	"app-server/protocol"
)

// dynamicName is the full name of a tool of the parent.
type dynamicName struct{ namespace, name string }

func dynamicNameOf(s *protocol.DynamicToolSpec) dynamicName {
	if s.Namespace == nil {
		return dynamicName{name: s.Name}
	}
	return dynamicName{*s.Namespace, s.Name}
}

// dynamicTools are the tools that the parent gave to a thread. The zero value is
// none. They do not change.
type dynamicTools struct {
	tools map[dynamicName]Tool
	specs []jsontext.Value
}

// newDynamicTools makes the tools of a list that [CheckDynamic] let pass. Tools
// of one namespace are offered as one entry, where the first of them stands.
// What is to be loaded later is served when it is called, and not offered: the
// backend learns of it by a search for tools, which this server has not.
func newDynamicTools(list []protocol.DynamicToolSpec) dynamicTools {
	d := dynamicTools{tools: map[dynamicName]Tool{}}
	grouped := map[string][]jsontext.Value{}
	place := map[string]int{}
	for _, s := range list {
		name := dynamicNameOf(&s)
		d.tools[name] = Tool{Name: s.Name, Run: func(ctx context.Context, t *Turn, c Call) Output {
			return t.callParent(ctx, c, s)
		}}
		if s.DeferLoading {
			continue
		}
		spec := function(s.Name, s.Description, parameters(s.InputSchema))
		ns := name.namespace
		if ns == "" {
			d.specs = append(d.specs, spec)
			continue
		}
		if _, ok := place[ns]; !ok {
			place[ns] = len(d.specs)
			d.specs = append(d.specs, nil)
		}
		grouped[ns] = append(grouped[ns], spec)
		d.specs[place[ns]] = namespace(ns, grouped[ns])
	}
	return d
}

// namespace describes a group of tools.
func namespace(name string, tools []jsontext.Value) jsontext.Value {
	return encode(struct {
		Type        string           `json:"type"`
		Name        string           `json:"name"`
		Description string           `json:"description"`
		Tools       []jsontext.Value `json:"tools"`
	}{"namespace", name, "The tools of " + name + ".", tools})
}

// replaces reports whether the parent has put a tool of its own in the place of
// one of ours.
func (d *dynamicTools) replaces(name string) bool {
	_, ok := d.tools[dynamicName{"", name}]
	return ok
}

// callParent lets the parent run a call, and shows it as an item. A parent that
// answers with an error, or with something of another shape, has failed the
// call; one that never answers is waited for until the turn is interrupted.
func (t *Turn) callParent(ctx context.Context, c Call, s protocol.DynamicToolSpec) Output {
	args := jsontext.Value(c.Arguments)
	if !args.IsValid() {
		// Run has let pass what only a lenient reader takes: repeated names.
		return say("The arguments of the call are not valid JSON: a name is repeated. Send the call again with valid arguments.")
	}
	item := protocol.DynamicToolCallItem{
		Type: protocol.ItemDynamicToolCall, ID: c.ID, Namespace: s.Namespace, Tool: s.Name, Arguments: args,
		Status: protocol.ItemInProgress, ContentItems: protocol.Null[[]protocol.DynamicToolContent](),
	}
	started := item
	t.Host.ItemStarted(&started)
	began := time.Now()
	raw, err := t.Host.Ask(ctx, "", protocol.MethodItemToolCall, &protocol.DynamicToolCallParams{
		ThreadID: t.th.o.ID, TurnID: t.ID, CallID: c.ID, Namespace: s.Namespace, Tool: s.Name, Arguments: args,
	})
	content, success := dynamicAnswer(ctx, raw, err)
	item.Status, item.Success = protocol.ItemFailed, &success
	if success {
		item.Status = protocol.ItemDone
	}
	item.ContentItems = protocol.Some(content)
	took := time.Since(began).Milliseconds()
	item.DurationMS = &took
	t.Host.ItemCompleted(&item)
	return t.contentOutput(content)
}

// dynamicAnswer reads the parent's answer. What went wrong stands in for the
// content.
func dynamicAnswer(ctx context.Context, raw jsontext.Value, err error) (content []protocol.DynamicToolContent, success bool) {
	failed := func(text string) ([]protocol.DynamicToolContent, bool) {
		return []protocol.DynamicToolContent{{Type: protocol.DynamicText, Text: &text}}, false
	}
	var answer protocol.DynamicToolCallResponse
	switch {
	case err != nil && ctx.Err() != nil:
		return failed(interrupted)
	case err != nil:
		return failed(fmt.Sprintf("The tool failed: %v.", err))
	case protocol.Decode(raw, &answer) != nil:
		return failed("The tool gave an answer that cannot be used.")
	}
	for _, part := range answer.ContentItems {
		if !(part.Type == protocol.DynamicText && part.Text != nil) && !(part.Type == protocol.DynamicImage && part.ImageURL != nil) {
			return failed("The tool gave an answer that cannot be used.")
		}
	}
	return answer.ContentItems, answer.Success
}

// contentPart is a part of an output in the backend's form.
type contentPart struct {
	Type     string  `json:"type"`
	Text     *string `json:"text,omitzero"`
	ImageURL string  `json:"image_url,omitzero"`
	Detail   string  `json:"detail,omitzero"`
}

func textContent(text string) contentPart { return contentPart{Type: "input_text", Text: &text} }

// imageContent is an image for the model; detail is high or original.
func imageContent(url, detail string) contentPart {
	return contentPart{Type: "input_image", ImageURL: url, Detail: detail}
}

// contentOutput is what the model hears: one text as it is, all else as a list.
// Long texts lose their middle, since the model has to read them again with
// each request. An image that the backend would refuse, and the whole request
// with it, is told instead.
func (t *Turn) contentOutput(content []protocol.DynamicToolContent) Output {
	left := t.outputBytes()
	parts := []contentPart{}
	for _, c := range content {
		switch {
		case c.Type == protocol.DynamicText:
			short := process.Text{Head: *c.Text}.Shorten(left).String()
			left = max(left-len(short), 0)
			parts = append(parts, textContent(short))
		case !t.Env.Model.Images:
			parts = append(parts, textContent("An image was left out: this model takes none."))
		default:
			if err := imagefile.Check(*c.ImageURL); err != nil {
				parts = append(parts, textContent(fmt.Sprintf("An image was left out: %v.", err)))
				continue
			}
			parts = append(parts, imageContent(*c.ImageURL, detailHigh))
		}
	}
	if len(parts) == 1 && parts[0].Text != nil {
		return say(*parts[0].Text)
	}
	if len(parts) == 0 {
		return say("")
	}
	return Output{Content: encode(parts)}
}
