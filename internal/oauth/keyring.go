package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"time"

	"github.com/zalando/go-keyring"
	"go.uber.org/zap"

	"app-server/protocol"
)

// keyringService is the name under which the reference keeps its entries.
const keyringService = "Codex Auth"

// keyringTime bounds one call. A locked keyring asks its user, who may not be
// there.
const keyringTime = 5 * time.Second

// Keyring is a place of the system for small secrets. Get returns
// ErrNoEntry where there is none; any other error means that the keyring
// cannot be used.
type Keyring interface {
	Get(service, user string) (string, error)
	Set(service, user, secret string) error
	Delete(service, user string) error
}

// ErrNoEntry is what a [Keyring] returns where nothing is stored.
var ErrNoEntry = keyring.ErrNotFound

// errNoKeyring is what is told of every fault: the texts of keyrings may quote
// what they were given.
var errNoKeyring = errors.New("the system's keyring cannot be used")

// noKeyring stands where there is none.
type noKeyring struct{}

func (noKeyring) Get(string, string) (string, error) { return "", errNoKeyring }
func (noKeyring) Set(string, string, string) error   { return errNoKeyring }
func (noKeyring) Delete(string, string) error        { return errNoKeyring }

// systemKeyring is that of the operating system.
type systemKeyring struct{}

func (systemKeyring) Get(service, user string) (string, error) { return keyring.Get(service, user) }
func (systemKeyring) Set(service, user, secret string) error {
	return keyring.Set(service, user, secret)
}
func (systemKeyring) Delete(service, user string) error { return keyring.Delete(service, user) }

// keyringStore keeps the content of auth.json as one entry of the keyring. One
// home is one entry.
type keyringStore struct {
	homeLocks
	ring Keyring
}

// user names the home as the reference does.
func (s *keyringStore) user() string {
	home := s.home
	if real, err := filepath.EvalSymlinks(home); err == nil {
		home = real
	}
	sum := sha256.Sum256([]byte(home))
	return "cli|" + hex.EncodeToString(sum[:])[:16]
}

// call runs f, but not for longer than keyringTime: then it is left behind, and
// ends when the keyring answers.
func (s *keyringStore) call(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	timer := time.NewTimer(keyringTime)
	defer timer.Stop()
	select {
	case err := <-done:
		if err != nil && !errors.Is(err, ErrNoEntry) {
			return errNoKeyring
		}
		return err
	case <-timer.C:
		return errNoKeyring
	}
}

// Load implements Store.
func (s *keyringStore) Load() (*Auth, error) {
	got := make(chan string, 1)
	err := s.call(func() error {
		text, err := s.ring.Get(keyringService, s.user())
		got <- text
		return err
	})
	switch {
	case errors.Is(err, ErrNoEntry):
		return nil, nil
	case err != nil:
		return nil, err
	}
	a, err := decodeAuth([]byte(<-got))
	if err != nil {
		return nil, errors.New("the entry in the system's keyring " + err.Error())
	}
	return a, nil
}

// Save implements Store.
func (s *keyringStore) Save(ctx context.Context, a *Auth) error {
	raw, err := a.encode()
	if err != nil {
		return err
	}
	return s.changing(ctx, func() error { return s.set(raw) })
}

func (s *keyringStore) set(raw []byte) error {
	return s.call(func() error { return s.ring.Set(keyringService, s.user(), string(raw)) })
}

// Replace implements Store.
func (s *keyringStore) Replace(ctx context.Context, used protocol.Secret, a *Auth, keep func() bool) error {
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
		return s.set(raw)
	})
}

// Remove implements Store.
func (s *keyringStore) Remove(ctx context.Context) error {
	return s.changing(ctx, s.remove)
}

func (s *keyringStore) remove() error {
	err := s.call(func() error { return s.ring.Delete(keyringService, s.user()) })
	if errors.Is(err, ErrNoEntry) {
		return nil
	}
	return err
}

// autoStore is the keyring where there is one, and auth.json where not. What is
// in the keyring wins; a save into it removes the file.
type autoStore struct {
	*keyringStore
	file *fileStore
	log  *zap.Logger
}

// place is the store that a sign-in is in now; the file where it is in none.
func (s *autoStore) place() (Store, *Auth, error) {
	a, err := s.keyringStore.Load()
	if a != nil {
		return s.keyringStore, a, nil
	}
	if err != nil {
		s.log.Debug("the keyring is not used, auth.json is", zap.Error(err))
	}
	a, err = s.file.Load()
	return s.file, a, err
}

// Load implements Store.
func (s *autoStore) Load() (*Auth, error) {
	_, a, err := s.place()
	return a, err
}

// Save implements Store.
func (s *autoStore) Save(ctx context.Context, a *Auth) error {
	if err := s.keyringStore.Save(ctx, a); err != nil {
		s.log.Info("the sign-in is kept in auth.json", zap.NamedError("why", err))
		return s.file.Save(ctx, a)
	}
	return s.file.Remove(ctx)
}

// Replace implements Store. A sign-in stays in the place where it is.
func (s *autoStore) Replace(ctx context.Context, used protocol.Secret, a *Auth, keep func() bool) error {
	place, _, err := s.place()
	if err != nil {
		return err
	}
	return place.Replace(ctx, used, a, keep)
}

// Remove implements Store. Both places are emptied; a keyring that cannot be
// used holds nothing that anybody here could read.
func (s *autoStore) Remove(ctx context.Context) error {
	if err := s.keyringStore.Remove(ctx); err != nil {
		s.log.Debug("the keyring is not used", zap.Error(err))
	}
	return s.file.Remove(ctx)
}
