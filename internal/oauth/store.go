package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"go.uber.org/zap"

	"app-server/internal/atomicfile"
	"app-server/protocol"
)

// AuthFile is the name of the file in the home that the reference and this
// server share.
const AuthFile = "auth.json"

// emptyAuth is auth.json without a sign-in.
var emptyAuth = []byte("{}\n")

const (
	// writeLock is held while auth.json changes. The reference of 0.169 takes
	// the same one for its own changes, so both exclude each other.
	writeLock = "auth.lock"
	// refreshLock is held from reading the tokens until their successors are
	// stored: a refresh token can be used once. The reference has no such lock.
	refreshLock = "auth.refresh.lock"

	// lockTime is how long a change waits for another process, lockPause how
	// often it looks. A change takes milliseconds; a busy machine gets its time, and
	// a process that is stopped for good does not hold up this one much longer.
	lockTime  = 10 * time.Second
	lockPause = 20 * time.Millisecond

	// maxAuthFile is in bytes. A real file has a few thousand.
	maxAuthFile = 1 << 20
	// lockMode is the mode of the locks: nobody else has a reason to take them.
	lockMode = 0o600
	// fileMode is that of auth.json.
	fileMode = 0o600
)

// Store keeps one sign-in. Its errors hold nothing of the content. It is safe for
// concurrent use, also by several processes on one home.
type Store struct {
	place place
	locks locks
}

// place is where the content of auth.json is. Its methods are called under the
// lock for changes, load also without.
type place interface {
	load(context.Context) (*Auth, error)
	save(context.Context, *Auth) error
	remove(context.Context) error
}

// locks exclude other changes and other refreshes of the same sign-in. The error
// of hold wraps that of ctx where it was not to be had in time.
type locks interface {
	hold(ctx context.Context, name string) (release func(), err error)
}

// ErrChanged is the error of [Store.Replace] where somebody else changed what
// is stored, and of [Store.Save] where what was to be stored is not wanted any more.
var ErrChanged = errors.New("the stored sign-in was changed by somebody else")

// Load returns what is stored; nil and nil where nothing is.
func (s *Store) Load(ctx context.Context) (*Auth, error) { return s.place.load(ctx) }

// Save replaces whatever is stored. It asks wanted once it has the lock; where
// that is false it changes nothing and returns ErrChanged.
func (s *Store) Save(ctx context.Context, a *Auth, wanted func() bool) error {
	release, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	if !wanted() {
		return ErrChanged
	}
	ctx, cancel := context.WithTimeout(ctx, keyringTime)
	defer cancel()
	return s.place.save(ctx, a)
}

// Replace stores the successor of the refresh token used, provided that this one
// is still stored; else it changes nothing and returns ErrChanged. The sign-in
// would be lost with what cannot be stored, so that it is tried to the last:
// without the lock where another process does not give that up, and after the end
// of ctx.
func (s *Store) Replace(ctx context.Context, used protocol.Secret, a *Auth) error {
	if release, err := s.lock(ctx); err == nil {
		defer release()
	}
	ctx, cancel := context.WithTimeout(ctx, keyringTime)
	defer cancel()
	switch now, err := s.place.load(ctx); {
	case errors.Is(err, errKeyringHangs): // auth.json may be there
	case err != nil:
		return err
	case !now.holds(used):
		return ErrChanged
	}
	return s.place.save(ctx, a)
}

// Remove leaves nothing stored. It returns what was, as far as that could be read.
func (s *Store) Remove(ctx context.Context) (was *Auth, err error) {
	release, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, keyringTime)
	defer cancel()
	was, _ = s.place.load(ctx) // what cannot be read goes all the same
	return was, s.place.remove(ctx)
}

// LockRefresh waits until no other refresh of the same sign-in is under way, here
// or in another process.
func (s *Store) LockRefresh(ctx context.Context) (release func(), err error) {
	return s.locks.hold(ctx, refreshLock)
}

// lock takes the lock for changes.
func (s *Store) lock(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	return s.locks.hold(ctx, writeLock)
}

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
func OpenStore(o StoreOptions) (*Store, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Keyring == nil {
		o.Keyring = noKeyring{}
	}
	file, ring := &filePlace{o.Home}, &ringPlace{home: o.Home, ring: o.Keyring}
	s := &Store{locks: homeLocks{o.Home, o.Log}}
	switch o.Kind {
	case "", "file":
		s.place = file
	case "keyring":
		s.place = ring
	case "auto":
		s.place = &autoPlace{ring, file, o.Log}
	case "ephemeral":
		s.place, s.locks = &memoryPlace{}, memoryLocks{writeLock: make(chan struct{}, 1), refreshLock: make(chan struct{}, 1)}
	default:
		return nil, fmt.Errorf("cli_auth_credentials_store %q is not known", o.Kind)
	}
	return s, nil
}

// homeLocks are the locks of one home across processes, files in its folder.
type homeLocks struct {
	home string
	log  *zap.Logger
}

// hold implements locks. Where there can be no lock (the home is mounted
// read-only, the file is somebody else's, the file system knows none) it is done
// without: a sign-in that works goes on working. Any other fault is an error,
// since a refresh token works once.
func (h homeLocks) hold(ctx context.Context, name string) (release func(), err error) {
	if err := os.MkdirAll(h.home, 0o700); err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(h.home, name), flock.SetPermissions(lockMode))
	switch _, err := l.TryLockContext(ctx, lockPause); {
	case err == nil:
		return func() { _ = l.Close() }, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("another process holds %s: %w", name, ctx.Err())
	case lockless(err):
		h.log.Debug("no lock on the home", zap.String("name", name), zap.Error(err))
		return func() {}, nil
	default:
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
}

// lockless reports whether err says that there can be no lock.
func lockless(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) ||
		errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.ENOLCK)
}

// memoryLocks are those of a sign-in in memory. A channel holds a value while its
// lock is held.
type memoryLocks map[string]chan struct{}

// hold implements locks.
func (l memoryLocks) hold(ctx context.Context, name string) (release func(), err error) {
	select {
	case l[name] <- struct{}{}:
		return func() { <-l[name] }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("another refresh is under way: %w", ctx.Err())
	}
}

// filePlace is auth.json.
type filePlace struct{ home string }

func (p *filePlace) path() string { return filepath.Join(p.home, AuthFile) }

// load implements place.
func (p *filePlace) load(context.Context) (*Auth, error) {
	path := p.path()
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

// save implements place. A reader sees the old file or the new one, and after a
// crash one of both is there. Where auth.json is a link, what it points at is
// replaced, as the reference does: several homes may share one sign-in. Where the
// file cannot be replaced (it is mounted into a container, say) it is written in
// place: a refresh token that was used up and whose successor is lost would end
// the sign-in.
func (p *filePlace) save(_ context.Context, a *Auth) error {
	raw, err := a.encode()
	if err != nil {
		return err
	}
	path := p.path()
	err = atomicfile.ReplacePrivate(path, raw)
	if errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission) {
		if overwrite(path, raw) == nil {
			return nil
		}
	}
	return err
}

// overwrite gives a file that is there new content, not in one step.
func overwrite(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_ = f.Chmod(fileMode) // whoever else owns the file keeps its mode
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// remove implements place. Where the file cannot be removed (it is mounted into
// a container, say) it is emptied in place, which ends the sign-in, too. What a
// link points at is emptied as well: the link alone would leave the tokens there.
func (p *filePlace) remove(context.Context) error {
	path := p.path()
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		err := overwrite(path, emptyAuth)
		leadsNowhere := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EISDIR)
		if err != nil && !leadsNowhere {
			return err
		}
	}
	err := os.Remove(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) || overwrite(path, emptyAuth) == nil {
		return nil
	}
	return err
}

// memoryPlace keeps a sign-in as long as the process lives.
type memoryPlace struct{ auth atomic.Pointer[Auth] }

// load implements place.
func (p *memoryPlace) load(context.Context) (*Auth, error) { return p.auth.Load(), nil }

// save implements place.
func (p *memoryPlace) save(_ context.Context, a *Auth) error { p.auth.Store(a); return nil }

// remove implements place.
func (p *memoryPlace) remove(context.Context) error { p.auth.Store(nil); return nil }
