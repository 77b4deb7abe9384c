package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/zalando/go-keyring"
	"go.uber.org/zap"
)

// keyringService is the name under which the reference keeps its entries.
const keyringService = "Codex Auth"

// keyringTime bounds one look into the keyring, and one change. A locked keyring
// asks its user, who may not be there.
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

// ringPlace keeps the content of auth.json as one entry of a keyring. One home is
// one entry.
type ringPlace struct {
	home string
	ring Keyring

	mu   sync.Mutex
	last chan struct{} // closed when the last call has ended; nil before the first
}

// user names the home as the reference does.
func (p *ringPlace) user() string {
	home := p.home
	if real, err := filepath.EvalSymlinks(home); err == nil {
		home = real
	}
	sum := sha256.Sum256([]byte(home))
	return "cli|" + hex.EncodeToString(sum[:])[:16]
}

// call runs f, and waits for it until ctx ends: then it is left behind, and ends
// when the keyring answers. Calls run in their order, the left ones, too: what was
// given up must not land on top of what came after it.
func (p *ringPlace) call(ctx context.Context, f func() error) error {
	done := make(chan struct{})
	p.mu.Lock()
	before := p.last
	p.last = done
	p.mu.Unlock()
	var err error // set before done is closed
	go func() {
		defer close(done)
		if before != nil {
			<-before
		}
		err = f()
	}()
	select {
	case <-done:
		if err == nil || errors.Is(err, ErrNoEntry) {
			return err
		}
	case <-ctx.Done():
	}
	return errNoKeyring
}

// load implements place.
func (p *ringPlace) load(ctx context.Context) (*Auth, error) {
	ctx, cancel := context.WithTimeout(ctx, keyringTime)
	defer cancel()
	got := make(chan string, 1)
	err := p.call(ctx, func() error {
		text, err := p.ring.Get(keyringService, p.user())
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
		return nil, fmt.Errorf("the entry in the system's keyring %w", err)
	}
	return a, nil
}

// save implements place.
func (p *ringPlace) save(ctx context.Context, a *Auth) error {
	raw, err := a.encode()
	if err != nil {
		return err
	}
	return p.call(ctx, func() error { return p.ring.Set(keyringService, p.user(), string(raw)) })
}

// remove implements place.
func (p *ringPlace) remove(ctx context.Context) error {
	err := p.call(ctx, func() error { return p.ring.Delete(keyringService, p.user()) })
	if errors.Is(err, ErrNoEntry) {
		return nil
	}
	return err
}

// autoPlace is the keyring where there is one, and auth.json where not. What is
// in the keyring wins.
type autoPlace struct {
	ring *ringPlace
	file *filePlace
	log  *zap.Logger
}

// load implements place.
func (p *autoPlace) load(ctx context.Context) (*Auth, error) {
	a, err := p.ring.load(ctx)
	if a != nil {
		return a, nil
	}
	if err != nil {
		p.log.Debug("the keyring is not used, auth.json is", zap.Error(err))
	}
	return p.file.load(ctx)
}

// save implements place. What goes into the keyring leaves no file behind, and
// what does not (it may be too large) no older entry, which would win.
func (p *autoPlace) save(ctx context.Context, a *Auth) error {
	if err := p.ring.save(ctx, a); err != nil {
		p.log.Info("the sign-in is kept in auth.json", zap.NamedError("why", err))
		if err := p.file.save(ctx, a); err != nil {
			return err
		}
		if err := p.ring.remove(ctx); err != nil {
			p.log.Debug("the keyring is not used", zap.Error(err))
		}
		return nil
	}
	return p.file.remove(ctx)
}

// remove implements place. Both places are emptied; a keyring that cannot be
// used holds nothing that anybody here could read.
func (p *autoPlace) remove(ctx context.Context) error {
	if err := p.ring.remove(ctx); err != nil {
		p.log.Debug("the keyring is not used", zap.Error(err))
	}
	return p.file.remove(ctx)
}
