package session

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/prompt"
	"app-server/internal/rollout"
	"app-server/protocol"
)

// InjectItems handles thread/inject_items: items of the parent's own go into the
// history, and the model gets them with its next request. They are in the file
// when the response is sent. No turn begins, and no item is told.
//
// It fails with a *protocol.Error for a thread that is not loaded and for what is
// no item.
func (m *Manager) InjectItems(ctx context.Context, p *protocol.ThreadInjectItemsParams) (r protocol.ThreadInjectItemsResponse, err error) {
	t, err := m.thread(p.ThreadID)
	if err != nil {
		return r, err
	}
	if len(p.Items) == 0 {
		return r, protocol.Invalid(protocol.ReasonInvalidParams, "There are no items")
	}
	if err := checkItems("items", p.Items); err != nil {
		return r, protocol.Invalid(protocol.ReasonInvalidParams, "%v", err)
	}
	items := make([]jsontext.Value, len(p.Items))
	records := make([]rollout.Record, len(p.Items))
	for i, raw := range p.Items {
		items[i] = forBackend(raw.Clone())
		records[i] = rollout.ResponseItem(items[i])
	}
	var warnings []string
	doErr := t.do(ctx, func() {
		if t.closing {
			err = t.over()
			return
		}
		warnings = t.write(records...)
		if t.current != nil {
			t.injected = append(t.injected, items...)
			return
		}
		t.conv.hear(items)
		t.settled = t.conv.fork()
	})
	if doErr != nil {
		err = doErr
	}
	m.warnAll(t.id, warnings)
	return r, err
}

// takeInjected takes what the conversation is yet to get. It runs on the thread's
// goroutine.
func (t *thread) takeInjected() []jsontext.Value {
	items := t.injected
	t.injected = nil
	return items
}

// hear adds items that did not come from a turn. Words of the user in them outlive
// a compaction like others.
func (c *conversation) hear(items []jsontext.Value) {
	if len(items) == 0 {
		return
	}
	for _, raw := range fitting(c.items, items) {
		c.add(raw)
		m, _ := readMessage(raw)
		for _, text := range m.userTexts() {
			if !prompt.IsContext(text) {
				c.words = append(c.words, text)
			}
		}
	}
	c.foreign = true
}
