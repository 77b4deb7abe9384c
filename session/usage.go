package session

import (
	"app-server/internal/backend"
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
	c := &u.th.conv
	if done != nil && done.Usage != nil {
		c.usage.add(done.Usage)
		window := u.contextWindow()
		u.notify(protocol.MethodThreadTokenUsageUpdated, &protocol.ThreadTokenUsageUpdatedNotification{
			ThreadID: u.th.id, TurnID: u.id,
			TokenUsage: protocol.ThreadTokenUsage{Total: c.usage.total, Last: c.usage.last, ModelContextWindow: &window},
		})
	}
	u.tellLimits()
}

// contextWindow is the room that a conversation may fill, in tokens.
func (u *turn) contextWindow() int64 {
	info := u.info
	if w := u.th.cfg.ModelContextWindow; w != nil {
		info.ContextWindow = *w
	}
	return info.EffectiveWindow()
}
