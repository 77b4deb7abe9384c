package session

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"app-server/internal/plainfile"
	"app-server/internal/rollout"
	"app-server/protocol"
)

var errThreadID = protocol.Invalid(protocol.ReasonThreadNotFound, "This is no thread id: a UUID is expected")

// threadID is an id in its usual form; a UUID may be written in other ways.
func threadID(id string) (string, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return "", errThreadID
	}
	return parsed.String(), nil
}

// NameThread handles thread/name/set, for live and for stored threads. The func
// returned tells the name, without the white space around it.
//
// It fails with a *protocol.Error for an empty name, an unknown thread, and one
// that lives in memory only.
func (m *Manager) NameThread(ctx context.Context, p *protocol.ThreadSetNameParams) (r protocol.ThreadSetNameResponse, then func(), err error) {
	name := strings.TrimSpace(p.Name)
	if name == "" {
		return r, nil, protocol.Invalid(protocol.ReasonInvalidParams, "The name is empty")
	}
	t, id, err := m.described(p.ThreadID)
	if err != nil {
		return r, nil, err
	}
	if m.store != nil {
		if err := m.store.SetName(id, name); err != nil {
			return r, nil, m.describeError(err, id)
		}
	}
	if t != nil {
		var warnings []string
		err = t.do(ctx, func() {
			t.name = &name
			if t.past != nil || t.spoken {
				warnings = t.write(rollout.Named(name)) // else there is no file yet, and a name makes none
			}
		})
		m.warnAll(id, warnings)
		if t.missed(err) {
			err = nil // it is in the store
		}
	}
	return r, func() {
		m.notify(m.base, protocol.MethodThreadNameUpdated, &protocol.ThreadNameUpdatedNotification{ThreadID: id, ThreadName: &name})
	}, err
}

// UpdateMetadata handles thread/metadata/update, for live and for stored threads:
// what is known of the thread's repository. It fails with a *protocol.Error where
// nothing is to be changed, for an empty value, an unknown thread, and one that
// lives in memory only.
func (m *Manager) UpdateMetadata(ctx context.Context, p *protocol.ThreadMetadataUpdateParams) (r protocol.ThreadMetadataUpdateResponse, err error) {
	change, err := gitChange(p.GitInfo)
	if err != nil {
		return r, err
	}
	t, id, err := m.described(p.ThreadID)
	if err != nil {
		return r, err
	}
	if r.Thread, _, err = m.look(ctx, id); err != nil {
		return r, err
	}
	known := protocol.GitInfo{}
	override(&known, r.Thread.GitInfo)
	change(&known)
	if m.store != nil {
		if err := m.store.SetGit(id, known); err != nil {
			return r, m.describeError(err, id)
		}
	}
	r.Thread.GitInfo = &known
	if known == (protocol.GitInfo{}) {
		r.Thread.GitInfo = nil
	}
	if t != nil {
		if err = t.do(ctx, func() { t.git = r.Thread.GitInfo }); t.missed(err) {
			err = nil // it is in the store
		}
	}
	return r, err
}

// gitChange reads a change of git facts. White space around a value does not
// count.
func gitChange(up *protocol.GitInfoUpdate) (func(*protocol.GitInfo), error) {
	if up == nil || up.SHA.IsZero() && up.Branch.IsZero() && up.OriginURL.IsZero() {
		return nil, protocol.Invalid(protocol.ReasonInvalidParams, "gitInfo names nothing to change")
	}
	for name, o := range map[string]*protocol.Optional[string]{"sha": &up.SHA, "branch": &up.Branch, "originUrl": &up.OriginURL} {
		if o.Value == nil {
			continue
		}
		v := strings.TrimSpace(*o.Value)
		if v == "" {
			return nil, protocol.Invalid(protocol.ReasonInvalidParams, "gitInfo.%s is empty; null clears it", name)
		}
		o.Value = &v
	}
	return func(g *protocol.GitInfo) {
		for into, o := range map[**string]protocol.Optional[string]{&g.SHA: up.SHA, &g.Branch: up.Branch, &g.OriginURL: up.OriginURL} {
			if o.Present {
				*into = o.Value
			}
		}
	}, nil
}

// described finds a thread of which something is to be noted down: a live one,
// or, where t is nil, one that is stored.
func (m *Manager) described(given string) (t *thread, id string, err error) {
	if id, err = threadID(given); err != nil {
		return nil, "", err
	}
	if t = m.live(id); t == nil {
		_, id, err = m.place(id)
		return nil, id, err
	}
	if t.ephemeral {
		return nil, "", protocol.Invalid(protocol.ReasonThreadEphemeral, "The thread %s lives in memory only; nothing is noted down of it", id)
	}
	return t, id, nil
}

// describeError is what the parent is told where something was not noted down.
func (m *Manager) describeError(err error, id string) error {
	m.log.Warn("thread not described", zap.String("thread", id), zap.Error(err))
	return protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "This cannot be stored for the thread %s: %v", id, plainfile.Cause(err))
}
