package account

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"app-server/internal/oauth"
	"app-server/internal/redact"
	"app-server/protocol"
)

// Asker asks the parent for new tokens.
type Asker interface {
	// RefreshExternal sends account/chatgptAuthTokens/refresh and returns the
	// result of the answer as it came. It must return soon after ctx ends. The
	// error is a *ParentError where the parent answered with an error, and
	// wraps ErrParentGone where no answer can come any more.
	RefreshExternal(ctx context.Context, p protocol.ChatgptAuthTokensRefreshParams) (jsontext.Value, error)
}

// Notifier tells the parent something.
type Notifier interface {
	// Notify may wait while the parent reads slowly, until ctx ends.
	Notify(ctx context.Context, method string, params any) error
}

// store is where a sign-in is kept; an oauth.Store.
type store interface {
	Load(ctx context.Context) (*oauth.Auth, error)
	Save(ctx context.Context, a *oauth.Auth, wanted func() bool) error
	Replace(ctx context.Context, used protocol.Secret, a *oauth.Auth) error
	Remove(ctx context.Context) (was *oauth.Auth, err error)
	LockRefresh(ctx context.Context) (release func(), err error)
}

// Options are what a Manager needs. Home, Ask and Notify are required.
type Options struct {
	// Home is the folder of auth.json ($CODEX_HOME).
	Home   string
	Policy Policy
	Ask    Asker
	Notify Notifier
	// Provider is where managed sign-ins come from and are refreshed. Nil is one
	// at the default endpoints.
	Provider *oauth.Client
	// Keyring is the system's; nil is none.
	Keyring oauth.Keyring
	Log     *zap.Logger
}

// Snapshot is a sign-in at one moment. It never changes after it was made and
// may be kept and shared.
type Snapshot struct {
	Mode protocol.AuthMode
	// Token is the bearer: the API key or the ChatGPT access token.
	Token protocol.Secret
	// AccountID is the ChatGPT workspace; empty in API key mode and where the
	// tokens name none. Then no account header may be sent.
	AccountID string
	UserID    string
	// Email is empty where the tokens name none.
	Email string
	// Plan is the plan as the tokens name it; protocol.WirePlan maps it to the wire.
	Plan string
	// Generation is another one after every login, logout and refresh, and
	// never 0. Refresh wants the one of the token that was used.
	Generation uint64
	// Found is whether a refresh came upon this sign-in in the store, where
	// another process had put it, and did not fetch it: it may be old as well,
	// so that a 401 to it is worth another refresh.
	Found bool

	// stored is what a managed sign-in is kept as; nil in other modes.
	stored *oauth.Auth
	// ends is when Token says that it ends, where it is a managed one; zero where
	// that is not known.
	ends time.Time
	// unsaved is set where stored could not be written: the refresh token that
	// was used up for it and that the store may still hold.
	unsaved protocol.Secret
}

// Recoverable reports whether a 401 may be cured by Manager.Refresh.
func (s *Snapshot) Recoverable() bool {
	return s.Mode == protocol.AuthModeChatGPTAuthTokens || s.managed()
}

// managed reports whether the server itself can refresh the sign-in.
func (s *Snapshot) managed() bool {
	return s.stored != nil && s.stored.Tokens != nil && !s.stored.Tokens.Refresh.IsEmpty()
}

// ChatGPT reports whether the bearer is one of ChatGPT and not an API key.
func (s *Snapshot) ChatGPT() bool { return s.Mode != protocol.AuthModeAPIKey }

// plan is the plan as the wire names it; nil in API key mode and logged out.
func (s *Snapshot) plan() *protocol.PlanType {
	if s == nil || !s.ChatGPT() {
		return nil
	}
	return new(protocol.WirePlan(s.Plan))
}

const (
	// seenTokens bounds how many tokens are remembered for cleaning texts. Who
	// quotes a token in an error quotes one of the last few.
	seenTokens = 24

	// closeGrace is how long Close waits for a request that uses up a refresh
	// token, or revokes one. The whole end may take two seconds.
	closeGrace = time.Second
)

// Manager knows who is signed in. Its methods may be called from any goroutine;
// the order of login and logout is that of the calls.
type Manager struct {
	policy   Policy
	ask      Asker
	notify   Notifier
	provider *oauth.Client
	log      *zap.Logger

	// store is nil where cli_auth_credentials_store could not be understood;
	// then storeErr says so.
	store    store
	storeErr error

	// life ends with Close. Notifications and all of work run under it.
	life context.Context
	end  context.CancelFunc
	// signingIn is what managed logins run under. It ends at once with Close.
	signingIn    context.Context
	endSigningIn context.CancelFunc
	// work are the goroutines: refreshes, logins under way, revocations.
	work sync.WaitGroup

	// current is read without the lock and written under it; nil when nobody
	// is signed in.
	current atomic.Pointer[Snapshot]

	// changing holds a value while a login, a logout or a refresh changes the
	// store, so that these come one after the other and store and memory cannot
	// disagree. That may take seconds: see change. What concerns external tokens
	// changes memory only, and does not wait for it.
	changing chan struct{}

	// mu orders the changes of current and guards what follows. It is never held
	// over anything that waits: who is asked, or told, or the store.
	mu         sync.Mutex
	generation uint64
	flight     *flight             // the refresh under way for generation, or nil
	attempt    *attempt            // the managed login under way, or nil
	storing    *attempt            // the managed login that is being stored; nil once external tokens came
	browser    *oauth.BrowserLogin // the last one: it may still be showing its last page
	dead       deadToken           // the last refresh token that was refused for good
	aside      bool                // an external login took the place of what is stored
	seen       []protocol.Secret   // tokens in force since the last logout, the newest last
	unsent     []note              // notifications in the order of what they tell of
	closed     bool

	// sending is held by who sends them.
	sending sync.Mutex
}

// note is a notification that is yet to be sent.
type note struct {
	method string
	params any
}

// NewManager reads auth.json and returns a Manager that the caller must Close.
// A file that cannot be used is reported in the log and otherwise left alone:
// the Manager is then signed out.
func NewManager(o Options) *Manager {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Provider == nil {
		o.Provider = oauth.New(oauth.Options{})
	}
	m := &Manager{policy: o.Policy, ask: o.Ask, notify: o.Notify, provider: o.Provider, log: o.Log, changing: make(chan struct{}, 1)}
	m.life, m.end = context.WithCancel(context.Background())
	m.signingIn, m.endSigningIn = context.WithCancel(m.life)
	if st, err := oauth.OpenStore(oauth.StoreOptions{Kind: o.Policy.Store, Home: o.Home, Keyring: o.Keyring, Log: o.Log}); err == nil {
		m.store = st
	} else {
		m.storeErr = err
	}
	s, err := m.stored(m.life)
	if err != nil {
		m.log.Warn("the stored sign-in is not used", zap.Error(err))
	}
	if s != nil {
		m.mu.Lock()
		m.replace(s)
		m.mu.Unlock()
	}
	return m
}

// Snapshot returns the sign-in in force, nil when there is none.
func (m *Manager) Snapshot() *Snapshot { return m.current.Load() }

// Close ends the login and the refresh under way and waits for their goroutines.
// Who waits for a refresh is let go at once; a request that uses up a refresh
// token gets a short while more, so that its successor is stored. Closing twice
// is harmless. A closed Manager signs in and refreshes no more; all else works
// on.
func (m *Manager) Close() {
	m.endSigningIn()
	m.mu.Lock()
	m.closed = true
	m.release(refreshError(ReasonClosed, "the server is shutting down"))
	m.endAttempt()
	if m.browser != nil {
		m.browser.Close()
	}
	m.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends with the work, which life ends at the latest
		m.work.Wait()
		close(done)
	}()
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
	}
	m.end()
	<-done
}

// change waits until nobody else changes the store. The func returned must be
// called after the change. What a login or a logout means for memory is part of
// it. Neither the change nor the wait may happen under mu.
func (m *Manager) change(ctx context.Context) (done func(), err error) {
	done = func() { <-m.changing }
	select { // first, so that what need not wait is done at the end of ctx, too
	case m.changing <- struct{}{}:
		return done, nil
	default:
	}
	select {
	case m.changing <- struct{}{}:
		return done, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("another sign-in or logout is under way: %w", ctx.Err())
	}
}

// replace puts s (nil for none) in force under a new generation. The caller
// ends the flight of the old one before it lets go of mu, which is held.
func (m *Manager) replace(s *Snapshot) {
	m.generation++
	if s == nil {
		m.seen, m.dead = nil, deadToken{}
	} else {
		s.Generation = m.generation
		m.remember(s.Token)
		if s.stored != nil && s.stored.Tokens != nil {
			m.remember(s.stored.Tokens.ID, s.stored.Tokens.Refresh)
		}
	}
	m.current.Store(s)
}

// remember makes secrets known to the redactor. mu is held.
func (m *Manager) remember(secrets ...protocol.Secret) {
	m.seen = append(m.seen, secrets...)
	if len(m.seen) > seenTokens {
		m.seen = append([]protocol.Secret(nil), m.seen[len(m.seen)-seenTokens:]...)
	}
}

// redactor knows the tokens of the present sign-in, the replaced ones included.
func (m *Manager) redactor() redact.Redactor {
	m.mu.Lock()
	defer m.mu.Unlock()
	return redact.New(m.seen...)
}

// externalActive reports whether the parent owns the sign-in in force.
func (m *Manager) externalActive() bool {
	s := m.current.Load()
	return s != nil && s.Mode == protocol.AuthModeChatGPTAuthTokens
}

// updated is account/updated for s, nil for signed out.
func updated(s *Snapshot) note {
	n := protocol.AccountUpdatedNotification{PlanType: s.plan()}
	if s != nil {
		n.AuthMode = new(s.Mode)
	}
	return note{protocol.MethodAccountUpdated, n}
}

// tell sends notifications after those that were there before.
func (m *Manager) tell(notes ...note) {
	m.mu.Lock()
	m.unsent = append(m.unsent, notes...)
	m.mu.Unlock()
	m.send()
}

// send sends what is unsent. What a change is told by, whoever makes it leaves there
// under the lock of the change: the last word that a parent hears is then that of
// the last change.
func (m *Manager) send() {
	m.sending.Lock()
	defer m.sending.Unlock()
	for {
		m.mu.Lock()
		notes := m.unsent
		m.unsent = nil
		m.mu.Unlock()
		if len(notes) == 0 {
			return
		}
		for _, n := range notes {
			if err := m.notify.Notify(m.life, n.method, n.params); err != nil {
				m.log.Debug("notification not sent", zap.String("method", n.method), zap.Error(err))
			}
		}
	}
}
