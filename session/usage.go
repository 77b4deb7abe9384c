package session

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/backend"
	"app-server/internal/rollout"
	"app-server/protocol"
)

// usage counts the tokens of a thread.
type usage struct{ total, last protocol.TokenUsage }

// add takes in the usage of one response.
func (u *usage) add(r *backend.Usage) {
	u.last = protocol.TokenUsage{
		TotalTokens: r.Total, InputTokens: r.Input, CachedInputTokens: r.CachedInput,
		OutputTokens: r.Output, ReasoningOutputTokens: r.ReasoningOutput,
	}
	u.total.TotalTokens += u.last.TotalTokens
	u.total.InputTokens += u.last.InputTokens
	u.total.CachedInputTokens += u.last.CachedInputTokens
	u.total.OutputTokens += u.last.OutputTokens
	u.total.ReasoningOutputTokens += u.last.ReasoningOutputTokens
}

// responded tells the parent of the end of a response: tokens, then limits.
// Where the backend counted no tokens there is nothing to tell of them.
func (u *turn) responded(done *backend.Completed) {
	if done != nil && done.Usage != nil {
		u.conv.count(done.Usage)
		u.tellUsage()
	}
	u.tellLimits()
}

// tellUsage tells the thread's usage. What a reviewer uses fills no window of the
// thread's.
func (u *turn) tellUsage() {
	if u.conv != &u.th.conv {
		return
	}
	c, window, t := u.conv, u.contextWindow(), u.th
	tokens := protocol.ThreadTokenUsage{Total: c.usage.total, Last: c.usage.last, ModelContextWindow: &window}
	u.keep(rollout.TokenUsage(&tokens, storedLimits(c.limits.last)))
	t.post(func() { t.tokens = &tokens })
	u.notify(protocol.MethodThreadTokenUsageUpdated, &protocol.ThreadTokenUsageUpdatedNotification{ThreadID: t.id, TurnID: u.id, TokenUsage: tokens})
}

// tellSize tells the parent how large the conversation is, where no response
// says so. Parents show the last usage as that size.
func (u *turn) tellSize(tokens int64) {
	u.conv.usage.last = protocol.TokenUsage{TotalTokens: tokens}
	u.tellUsage()
}

// overflowed takes in that the backend found the conversation too long, whatever
// was counted before.
func (u *turn) overflowed() {
	c := u.conv
	c.counted, c.added = max(u.contextWindow(), u.compactLimit()), 0
	u.tellSize(c.counted)
}

// contextWindow is the room that a conversation may fill, in tokens.
func (u *turn) contextWindow() int64 { return u.model().EffectiveWindow() }

// model is what is known of the turn's model, with what the configuration says
// of it.
func (u *turn) model() backend.ModelInfo {
	info := u.info
	if w := u.th.cfg.ModelContextWindow; w != nil {
		info.ContextWindow = *w
	}
	return info
}

// count takes in the usage of one response, all of whose items are in the
// conversation.
func (c *conversation) count(r *backend.Usage) {
	c.usage.add(r)
	total := max(r.Total, r.Input+r.Output)
	if total == 0 {
		return // a backend that does not count
	}
	c.counted, c.added = total, 0
	if c.settling {
		c.compacted, c.settling = max(c.compacted, r.Input), false
	}
}

// size is how large the conversation is, in tokens, behind the instructions
// given: by the backend's count where there was one, else by estimate.
func (c *conversation) size(instructions string) int64 {
	if c.counted == 0 {
		return c.added + int64(len(instructions))/bytesPerToken
	}
	return c.counted + c.added
}

const (
	// bytesPerToken is the usual estimate for text, as in the reference.
	bytesPerToken = 4
	// imageTokens is about what a model counts for a large image. The length of
	// its encoded bytes says nothing.
	imageTokens = 1500
)

// itemTokens estimates the tokens of an item.
func itemTokens(raw jsontext.Value) int64 {
	size, images := len(raw), 0
	// Inside a text the quotes would be escaped.
	for _, at := range bytes.SplitAfter(raw, []byte(`"image_url":"`))[1:] {
		images++
		size -= max(bytes.IndexByte(at, '"'), 0)
	}
	return int64(size)/bytesPerToken + int64(images)*imageTokens
}
