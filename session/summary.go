package session

import (
	"context"
	"time"

	"app-server/internal/config"
	"app-server/internal/rollout"
	"app-server/protocol"
)

// Summary handles getConversationSummary: a stored thread, by its file or else its
// id, in the form of an older generation of the wire. It fails with a *protocol.Error
// where nothing is stored.
func (m *Manager) Summary(ctx context.Context, p *protocol.GetConversationSummaryParams) (r protocol.GetConversationSummaryResponse, err error) {
	var log *rollout.Log
	switch {
	case p.RolloutPath != nil && m.store != nil:
		path := config.Absolute(*p.RolloutPath, m.config().Home)
		if log, err = m.store.ReadFile(ctx, path); err != nil {
			return r, storageError(err, path)
		}
	case p.ConversationID != nil:
		place, id, err := m.place(*p.ConversationID)
		if err != nil {
			return r, err
		}
		if log, err = m.store.ReadFile(ctx, place.Path); err != nil {
			return r, storageError(err, id)
		}
	default:
		return r, protocol.Invalid(protocol.ReasonInvalidParams, "Either conversationId or rolloutPath is needed")
	}
	v := m.storedView(log)
	r.Summary = protocol.ConversationSummary{
		ConversationID: v.ID, Path: *v.Path, Preview: v.Preview, Timestamp: timeText(log.Meta.Created), UpdatedAt: timeText(log.Updated),
		ModelProvider: v.ModelProvider, Cwd: v.Cwd, CLIVersion: v.CLIVersion, Source: v.Source,
	}
	if len(log.Meta.Source) > 0 {
		r.Summary.Source = log.Meta.Source // not in the form that it has elsewhere
	}
	if g := v.GitInfo; g != nil {
		r.Summary.GitInfo = &protocol.ConversationGitInfo{SHA: g.SHA, Branch: g.Branch, OriginURL: g.OriginURL}
	}
	return r, nil
}

// timeText is a time as the reference writes it here.
func timeText(at time.Time) *string {
	s := at.UTC().Format("2006-01-02T15:04:05.000Z")
	return &s
}
