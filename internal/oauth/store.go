package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"go.uber.org/zap"

	"app-server/protocol"
)

// AuthFile is the name of the file in the home that the reference and this
// server share.
const AuthFile = "auth.json"

const (
	// writeLock is held while auth.json changes. The reference of 0.169 takes
	// the same one for its own changes, so both exclude each other.
	writeLock = "auth.lock"
	// refreshLock is held from reading the tokens until their successors are
	// stored: a refresh token can be used once. The reference has no such lock.
	refreshLock = "auth.refresh.lock"

	// lockTime is how long a change waits for another process, lockPause how
	// often it looks.
	lockTime  = 5 * time.Second
	lockPause = 20 * time.Millisecond

	// maxAuthFile is in bytes. A real file has a few thousand.
	maxAuthFile = 1 << 20
	// authFileMode lets only the owner read the tokens.
	authFileMode = 0o600
)

// Store keeps one sign-in. Its errors hold nothing of the content. It is safe
// for concurrent use, also by several processes on one home.
type Store interface {
	// Load returns what is stored; nil and nil where nothing is.
	Load() (*Auth, error)
	// Save replaces whatever is stored.
	Save(ctx context.Context, a *Auth) error
	// Replace is Save, provided that the refresh token used is still the one
	// that is stored; else it changes nothing and returns ErrChanged. The
	// provided keep is asked last, and false is ErrChanged, too.
	Replace(ctx context.Context, used protocol.Secret, a *Auth, keep func() bool) error
	// Remove leaves nothing stored.
	Remove(ctx context.Context) error
	// LockRefresh waits until no other refresh on the same home is under way.
	LockRefresh(ctx context.Context) (release func(), err error)
}

// ErrChanged is the error of [Store.Replace] where somebody else changed what
// is stored.
var ErrChanged = errors.New("the stored sign-in was changed by somebody else")

// StoreOptions say where a sign-in is kept.
type StoreOptions struct {
	// Kind is cli_auth_credentials_store: "" and "file" are auth.json in Home,
	// "keyring" is the system's keyring alone, "auto" is the keyring or else
	// auth.json, "ephemeral" is memory.
	Kind string
	Home string
	// Keyring is the system's; nil is none.
	Keyring Keyring
	Log     *zap.Logger
}

// OpenStore makes a Store. It reads and writes nothing.
func OpenStore(o StoreOptions) (Store, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	file := &fileStore{homeLocks: homeLocks{home: o.Home, log: o.Log}}
	ring := &keyringStore{homeLocks: file.homeLocks, ring: o.Keyring}
	if ring.ring == nil {
		ring.ring = noKeyring{}
	}
	switch o.Kind {
	case "", "file":
		return file, nil
	case "keyring":
		return ring, nil
	case "auto":
		return &autoStore{keyringStore: ring, file: file, log: o.Log}, nil
	case "ephemeral":
		return &memoryStore{refreshing: make(chan struct{}, 1)}, nil
	}
	return nil, fmt.Errorf("cli_auth_credentials_store %q is not known", o.Kind)
}

// homeLocks are the locks of one home across processes.
type homeLocks struct {
	home string
	log  *zap.Logger
}

// hold takes a lock of the home. Where the folder cannot hold lock files (it is
// mounted read-only, say) nobody can change the file either, so that the lock is
// done without.
func (h homeLocks) hold(ctx context.Context, name string) (release func(), err error) {
	if err := os.MkdirAll(h.home, 0o700); err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(h.home, name), flock.SetPermissions(authFileMode))
	switch _, err := l.TryLockContext(ctx, lockPause); {
	case err == nil:
		return func() { _ = l.Close() }, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("another process holds %s: %w", name, ctx.Err())
	default:
		h.log.Debug("no lock on the home", zap.String("name", name), zap.Error(err))
		return func() {}, nil
	}
}

// LockRefresh implements Store.
func (h homeLocks) LockRefresh(ctx context.Context) (func(), error) { return h.hold(ctx, refreshLock) }

// changing runs f under the lock for changes.
func (h homeLocks) changing(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	release, err := h.hold(ctx, writeLock)
	if err != nil {
		return err
	}
	defer release()
	return f()
}

// fileStore is auth.json.
type fileStore struct{ homeLocks }

func (s *fileStore) path() string { return filepath.Join(s.home, AuthFile) }

// Load implements Store.
func (s *fileStore) Load() (*Auth, error) {
	path := s.path()
	// A pipe in its place would block the start for ever.
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() || info.Size() > maxAuthFile {
		return nil, fmt.Errorf("%s is no regular file of up to %d bytes", path, maxAuthFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxAuthFile))
	if err != nil {
		return nil, err
	}
	a, err := decodeAuth(raw)
	if err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return a, nil
}

// Save implements Store. A reader sees the old file or the new one, and after a
// crash one of both is there.
func (s *fileStore) Save(ctx context.Context, a *Auth) error {
	raw, err := a.encode()
	if err != nil {
		return err
	}
	return s.changing(ctx, func() error { return replaceFile(s.path(), raw) })
}

// Replace implements Store.
func (s *fileStore) Replace(ctx context.Context, used protocol.Secret, a *Auth, keep func() bool) error {
	raw, err := a.encode()
	if err != nil {
		return err
	}
	return s.changing(ctx, func() error {
		now, err := s.Load()
		if err != nil {
			return err
		}
		if !now.holds(used) || !keep() {
			return ErrChanged
		}
		return replaceFile(s.path(), raw)
	})
}

// Remove implements Store. Where the file cannot be removed (it is mounted into
// a container, say) it is emptied in place, which ends the sign-in, too.
func (s *fileStore) Remove(ctx context.Context) error {
	if _, err := os.Lstat(s.path()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return s.changing(ctx, s.remove)
}

func (s *fileStore) remove() error {
	err := os.Remove(s.path())
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	f, openErr := os.OpenFile(s.path(), os.O_WRONLY|os.O_TRUNC, 0)
	if openErr != nil {
		return err
	}
	_, writeErr := f.WriteString("{}\n")
	if closeErr := f.Close(); writeErr != nil || closeErr != nil {
		return err
	}
	return nil
}

// memoryStore keeps a sign-in as long as the process lives.
type memoryStore struct {
	refreshing chan struct{} // holds a value while a refresh is under way

	mu   sync.Mutex
	auth *Auth // guarded by mu
}

// Load implements Store.
func (s *memoryStore) Load() (*Auth, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.auth, nil
}

// Save implements Store.
func (s *memoryStore) Save(_ context.Context, a *Auth) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.auth = a
	return nil
}

// Replace implements Store.
func (s *memoryStore) Replace(_ context.Context, used protocol.Secret, a *Auth, keep func() bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.auth.holds(used) || !keep() {
		return ErrChanged
	}
	s.auth = a
	return nil
}

// Remove implements Store.
func (s *memoryStore) Remove(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.auth = nil
	return nil
}

// LockRefresh implements Store.
func (s *memoryStore) LockRefresh(ctx context.Context) (func(), error) {
	select {
	case s.refreshing <- struct{}{}:
		return func() { <-s.refreshing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
