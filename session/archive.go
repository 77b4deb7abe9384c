package session

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"app-server/internal/plainfile"
	"app-server/internal/rollout"
	"app-server/protocol"
)

// ArchiveThread handles thread/archive: the thread's file goes to the archive. A
// live thread is unloaded, and a turn that runs is interrupted, which is all told
// before the response. The func returned tells that it is archived.
//
// It fails with a *protocol.Error where nothing is stored, which goes for a thread
// in which nothing was said yet, and where another server has the thread.
func (m *Manager) ArchiveThread(_ context.Context, p *protocol.ThreadArchiveParams) (r protocol.ThreadArchiveResponse, then func(), err error) {
	place, id, err := m.place(p.ThreadID)
	if err != nil {
		return r, nil, err
	}
	if place.Archived {
		return r, nil, protocol.Invalid(protocol.ReasonThreadArchived, "The thread %s is archived already", id)
	}
	// One that somebody else unloads is gone then.
	if t := m.live(id); t != nil && !m.unload(t, always) && m.live(id) != nil {
		return r, nil, t.over()
	}
	if _, err := m.store.Archive(id); err != nil {
		return r, nil, m.moveError(err, id)
	}
	return r, func() {
		m.notify(m.base, protocol.MethodThreadArchived, &protocol.ThreadArchivedNotification{ThreadID: id})
	}, nil
}

// UnarchiveThread handles thread/unarchive. The func returned tells that the
// thread is back. It fails with a *protocol.Error for a thread that is not
// archived.
func (m *Manager) UnarchiveThread(ctx context.Context, p *protocol.ThreadUnarchiveParams) (r protocol.ThreadUnarchiveResponse, then func(), err error) {
	place, id, err := m.place(p.ThreadID)
	if err != nil {
		return r, nil, err
	}
	if !place.Archived {
		return r, nil, protocol.Invalid(protocol.ReasonInvalidParams, "The thread %s is not archived", id)
	}
	if _, err := m.store.Unarchive(id); err != nil {
		return r, nil, m.moveError(err, id)
	}
	log, err := m.store.Read(ctx, id)
	if err != nil {
		return r, nil, storageError(err, id)
	}
	r.Thread = m.storedView(log)
	return r, func() {
		m.notify(m.base, protocol.MethodThreadUnarchived, &protocol.ThreadUnarchivedNotification{ThreadID: id})
	}, nil
}

// place finds a stored thread, and gives its id in its usual form.
func (m *Manager) place(id string) (rollout.Place, string, error) {
	usual, err := threadID(id)
	if err != nil {
		return rollout.Place{}, "", err
	}
	if m.store == nil {
		return rollout.Place{}, "", storageError(rollout.ErrNotFound, usual)
	}
	p, err := m.store.Find(usual)
	return p, usual, storageError(err, usual)
}

// moveError is what the parent is told where a file stays where it was.
func (m *Manager) moveError(err error, id string) error {
	if errors.Is(err, rollout.ErrNotFound) || errors.Is(err, rollout.ErrInUse) {
		return storageError(err, id)
	}
	m.log.Warn("thread not moved", zap.String("thread", id), zap.Error(err))
	return protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "The file of the thread %s cannot be moved: %v", id, plainfile.Cause(err))
}
