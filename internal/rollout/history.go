package rollout

import (
	"bytes"
	"context"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// History returns what the model has been told, as raw items: what came after
// the last compaction and was not rolled back. Members that only the reference's
// own files carry are left out.
func (l *Log) History(ctx context.Context) ([]jsontext.Value, error) {
	items := []jsontext.Value{}
	err := walk(ctx, l.files, l.sinceBase(), func(_ *scanner, p *parsed) error {
		switch p.kind {
		case lineCompact:
			items = compact(items, p.payload)
		case lineResponse:
			if memberText(p.payload, "type") != "ghost_snapshot" { // a note of old files, for no model
				items = append(items, plain(p.payload))
			}
		}
		return nil
	})
	return items, err
}

// sinceBase are the live parts from the last compaction on.
func (l *Log) sinceBase() []span {
	live := l.live(-1)
	if len(l.bases) == 0 {
		return live
	}
	at := l.bases[len(l.bases)-1].span
	for i, s := range live {
		if s.file == at.file && s.off <= at.off && at.off < s.end {
			live = slices.Clone(live[i:])
			live[0].off = at.off
			return live
		}
	}
	return live
}

// compact is the history after a compacted line. Old ones carry the summary
// only; then the user's words stay, and the summary follows them.
func compact(items []jsontext.Value, payload jsontext.Value) []jsontext.Value {
	var c compactedLine
	if json.Unmarshal(payload, &c, lenient) != nil {
		return items
	}
	if c.Replacement != nil {
		for i := range c.Replacement {
			c.Replacement[i] = plain(c.Replacement[i])
		}
		return c.Replacement
	}
	if c.Message == "" {
		return items
	}
	out := []jsontext.Value{}
	for _, it := range items {
		if memberText(it, "type") == "message" && memberText(it, "role") == "user" {
			out = append(out, it)
		}
	}
	summary, err := json.Marshal(map[string]any{
		"type": "message", "role": "user", "content": []any{map[string]any{"type": "input_text", "text": c.Message}},
	}, lenient, json.Deterministic(true))
	if err != nil {
		return out
	}
	return append(out, summary)
}

// privateMember is what the reference 0.169.0 adds to items for itself.
const privateMember = "internal_chat_message_metadata_passthrough"

// plain is a copy of an item without what no backend has asked for.
func plain(item jsontext.Value) jsontext.Value {
	if !bytes.Contains(item, []byte(privateMember)) {
		return item.Clone()
	}
	var members []byte
	d := jsontext.NewDecoder(bytes.NewBuffer(item), lenient)
	if _, err := d.ReadToken(); err != nil {
		return item.Clone()
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadValue()
		if err != nil {
			return item.Clone()
		}
		name = name.Clone()
		v, err := d.ReadValue()
		if err != nil {
			return item.Clone()
		}
		if string(name) == `"`+privateMember+`"` {
			continue
		}
		if len(members) > 0 {
			members = append(members, ',')
		}
		members = append(append(append(members, name...), ':'), v...)
	}
	return append(append(jsontext.Value{'{'}, members...), '}')
}

// readUsage reads a token_count event.
func readUsage(payload jsontext.Value) *protocol.ThreadTokenUsage {
	var e struct {
		Info *tokenInfo `json:"info"`
	}
	if json.Unmarshal(payload, &e, lenient) != nil || e.Info == nil {
		return nil
	}
	return &protocol.ThreadTokenUsage{
		Total: e.Info.Total.protocol(), Last: e.Info.Last.protocol(), ModelContextWindow: e.Info.Window,
	}
}
