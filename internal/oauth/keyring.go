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

// These are told of every fault: the texts of keyrings may quote what they were
// given.
var (
	errNoKeyring    = errors.New("the system's keyring cannot be used")
	errKeyringHangs = errors.New("the system's keyring does not answer")
)

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
	last *ringCall // nil before the first
}

// ringCall is one call of the keyring.
type ringCall struct {
	done chan struct{} // closed when it has ended
	late bool          // it has had its time; guarded by ringPlace.mu
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
// given up must not land on top of what came after it. Behind a call that has had
// its time nobody waits.
func (p *ringPlace) call(ctx context.Context, f func() error) error {
	c := &ringCall{done: make(chan struct{})}
	p.mu.Lock()
	before := p.last
	p.last = c
	c.late = before != nil && before.late && !before.ended()
	hangs := c.late
	p.mu.Unlock()
	var err error // set before done is closed
	go func() {
		defer close(c.done)
		if before != nil {
			<-before.done
		}
		err = f()
	}()
	if hangs {
		return errKeyringHangs
	}
	select {
	case <-c.done:
		if err == nil || errors.Is(err, ErrNoEntry) {
			return err
		}
		return errNoKeyring
	case <-ctx.Done():
		p.mu.Lock()
		c.late = errors.Is(ctx.Err(), context.DeadlineExceeded)
		p.mu.Unlock()
		return errKeyringHangs
	}
}

func (c *ringCall) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
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

// autoPlace is the keyring where there is one, and auth.json where not.
type autoPlace struct {
	ring *ringPlace
	file *filePlace
	log  *zap.Logger
}

// load implements place. What is in the keyring wins, as with the reference, but
// not over newer tokens, which were stored when the keyring did not answer: the
// refresh token that it still has was used up for them.
func (p *autoPlace) load(ctx context.Context) (*Auth, error) {
	kept, err := p.ring.load(ctx)
	if err != nil {
		p.log.Debug("the keyring is not used, auth.json is", zap.Error(err))
	}
	filed, fileErr := p.file.load(ctx)
	switch {
	case kept != nil && (filed == nil || !filed.LastRefresh.After(kept.LastRefresh)):
		return kept, nil
	case filed == nil && errors.Is(err, errKeyringHangs):
		return nil, err
	}
	return filed, fileErr
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
