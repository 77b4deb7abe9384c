package account

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"app-server/protocol"
)

// Refresher asks the parent for new tokens.
type Refresher interface {
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

// Options are what a Manager needs. All but Policy and Log are required.
type Options struct {
	// Home is the folder of auth.json ($CODEX_HOME).
	Home   string
	Policy Policy
	Ask    Refresher
	Notify Notifier
	Log    *zap.Logger
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
}

// Recoverable reports whether a 401 may be cured by Manager.Refresh.
func (s *Snapshot) Recoverable() bool { return s.Mode == protocol.AuthModeChatGPTAuthTokens }

// ChatGPT reports whether the bearer is one of ChatGPT and not an API key.
func (s *Snapshot) ChatGPT() bool { return s.Mode != protocol.AuthModeAPIKey }

// plan is the plan as the wire names it; nil in API key mode and logged out.
func (s *Snapshot) plan() *protocol.PlanType {
	if s == nil || !s.ChatGPT() {
		return nil
	}
	return new(protocol.WirePlan(s.Plan))
}

// seenTokens bounds how many replaced tokens are remembered for cleaning texts.
// A parent that quotes a token in an error quotes one of the last few.
const seenTokens = 8

// Manager knows who is signed in. Its methods may be called from any goroutine;
// the order of login and logout is that of the calls.
type Manager struct {
	home   string
	policy Policy
	ask    Refresher
	notify Notifier
	log    *zap.Logger

	// life ends with Close. Flights and notifications run under it.
	life    context.Context
	end     context.CancelFunc
	flights sync.WaitGroup

	// current is read without the lock and written under it; nil when nobody
	// is signed in.
	current atomic.Pointer[Snapshot]

	// mu orders the changes of current and guards what follows. auth.json is
	// written under it, so that file and memory cannot disagree; the parent is
	// never asked or told anything under it.
	mu         sync.Mutex
	generation uint64
	flight     *flight           // the refresh under way for generation, or nil
	seen       []protocol.Secret // tokens in force since the last logout, the newest last
	closed     bool
}

// NewManager reads auth.json and returns a Manager that the caller must Close.
// A file that cannot be used is reported in the log and otherwise left alone:
// the Manager is then signed out.
func NewManager(o Options) *Manager {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	m := &Manager{home: o.Home, policy: o.Policy, ask: o.Ask, notify: o.Notify, log: o.Log}
	m.life, m.end = context.WithCancel(context.Background())
	s, err := m.stored()
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

// Close ends the refresh under way and waits for its goroutine. Closing twice
// is harmless. A closed Manager refreshes no more; all else works on.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	m.endFlight(refreshError(ReasonClosed, "the server is shutting down"))
	m.mu.Unlock()
	m.end()
	m.flights.Wait()
}

// replace puts s (nil for none) in force under a new generation. The caller
// ends the flight of the old one before it lets go of mu, which is held.
func (m *Manager) replace(s *Snapshot) {
	m.generation++
	if s == nil {
		m.seen = nil
	} else {
		s.Generation = m.generation
		m.seen = append(m.seen, s.Token)
		if len(m.seen) > seenTokens {
			m.seen = append([]protocol.Secret(nil), m.seen[1:]...)
		}
	}
	m.current.Store(s)
}

// Login serves account/login/start. The func returned sends
// account/login/completed and account/updated and must run after the response
// is on its way. After an error there is nothing to send and nothing changed;
// the error is a *protocol.Error.
func (m *Manager) Login(_ context.Context, p *protocol.LoginAccountParams) (protocol.LoginAccountResponse, func(), error) {
	s, err := m.login(p)
	if err != nil {
		m.log.Debug("login refused", zap.String("type", string(p.Type)))
		return protocol.LoginAccountResponse{}, nil, err
	}
	m.log.Debug("signed in", zap.String("mode", string(s.Mode)), zap.Uint64("generation", s.Generation))
	return protocol.LoginAccountResponse{Type: p.Type}, func() {
		m.tell(protocol.MethodAccountLoginCompleted, protocol.AccountLoginCompletedNotification{Success: true})
		m.tellUpdated(s)
	}, nil
}

// login checks, stores and puts in force.
func (m *Manager) login(p *protocol.LoginAccountParams) (*Snapshot, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// The parent that owns the sign-in must give it up before another kind can
	// take its place.
	if m.externalActive() && p.Type != protocol.LoginChatGPTAuthTokens {
		return nil, protocol.Invalid(protocol.ReasonExternalAuth, "external ChatGPT tokens are in use; log out before another kind of login")
	}
	if err := m.policy.checkMethod(p.Type); err != nil {
		return nil, err
	}
	var s *Snapshot
	var err error
	switch p.Type {
	case protocol.LoginChatGPTAuthTokens:
		s, err = readExternal(&p.ExternalTokens, nil, &m.policy)
	case protocol.LoginAPIKey:
		s, err = m.storeAPIKey(*p.APIKey)
	default:
		return m.loginManaged(p)
	}
	if err != nil {
		return nil, err
	}
	m.replace(s)
	m.endFlight(nil) // whoever waits goes on with the new sign-in
	return s, nil
}

// externalActive reports whether the parent owns the sign-in in force.
func (m *Manager) externalActive() bool {
	s := m.current.Load()
	return s != nil && s.Mode == protocol.AuthModeChatGPTAuthTokens
}

// CancelLogin serves account/login/cancel. No login that could be cancelled is
// ever under way until managed login is served.
func (m *Manager) CancelLogin(_ context.Context, p *protocol.CancelLoginAccountParams) (protocol.CancelLoginAccountResponse, error) {
	if _, err := uuid.Parse(p.LoginID); err != nil {
		return protocol.CancelLoginAccountResponse{}, protocol.Invalid(protocol.ReasonInvalidParams, "loginId is not a UUID")
	}
	return protocol.CancelLoginAccountResponse{Status: protocol.CancelLoginNotFound}, nil
}

// Logout serves account/logout. It ends a refresh under way, so it never waits
// for the parent. auth.json is removed in the modes that live in it; a logout
// from external tokens leaves it alone, and it is not read again either: the
// process stays signed out. Where auth.json can neither be removed nor emptied
// the logout is refused and nothing changed. The func returned sends
// account/updated.
func (m *Manager) Logout(context.Context, *protocol.NoParams) (protocol.LogoutAccountResponse, func(), error) {
	if err := m.logout(); err != nil {
		return protocol.LogoutAccountResponse{}, nil, err
	}
	m.log.Debug("signed out")
	return protocol.LogoutAccountResponse{}, func() { m.tellUpdated(nil) }, nil
}

func (m *Manager) logout() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.current.Load(); s != nil && !m.externalActive() && m.stores() {
		if err := removeStored(m.home); err != nil {
			return protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "%s could not be removed: %v", authFile, err)
		}
	}
	m.replace(nil)
	m.endFlight(signedOut())
	return nil
}

// tellUpdated sends account/updated for s, nil for signed out.
func (m *Manager) tellUpdated(s *Snapshot) {
	n := protocol.AccountUpdatedNotification{PlanType: s.plan()}
	if s != nil {
		n.AuthMode = new(s.Mode)
	}
	m.tell(protocol.MethodAccountUpdated, n)
}

func (m *Manager) tell(method string, params any) {
	if err := m.notify.Notify(m.life, method, params); err != nil {
		m.log.Debug("notification not sent", zap.String("method", method), zap.Error(err))
	}
}
