package account

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"app-server/internal/oauth"
	"app-server/protocol"
)

// Login serves account/login/start. The func returned sends what follows the
// response and must run after that is on its way: account/login/completed and
// account/updated, or the start of a managed login. After an error there is
// nothing to send and who is signed in has not changed, but a managed login that
// could not begin has ended the one before it. The error is a *protocol.Error.
//
// Where rest is not nil the login waits for the provider: rest makes the answer
// and may take as long as that, and other calls may come in between.
func (m *Manager) Login(ctx context.Context, p *protocol.LoginAccountParams) (r protocol.LoginAccountResponse, then func(),
	rest func(context.Context) (protocol.LoginAccountResponse, func(), error), err error) {
	if err := p.Validate(); err != nil {
		return r, nil, nil, err
	}
	switch p.Type {
	case protocol.LoginChatGPT:
		r, then, err = m.startBrowser()
	case protocol.LoginChatGPTDeviceCode:
		rest, err = m.startDevice()
	default:
		r, then, err = m.loginDirect(ctx, p)
	}
	if err != nil {
		m.log.Debug("login refused", zap.String("type", string(p.Type)))
	}
	return r, then, rest, err
}

// loginDirect is a login that brings its credentials along.
func (m *Manager) loginDirect(ctx context.Context, p *protocol.LoginAccountParams) (protocol.LoginAccountResponse, func(), error) {
	s, ended, err := m.takeDirect(ctx, p)
	if err != nil {
		return protocol.LoginAccountResponse{}, nil, err
	}
	m.log.Debug("signed in", zap.String("mode", string(s.Mode)), zap.Uint64("generation", s.Generation))
	return protocol.LoginAccountResponse{Type: p.Type}, func() {
		m.tellEnded(ended, "another sign-in took its place")
		m.tell(completed(protocol.AccountLoginCompletedNotification{Success: true}), updated(s))
	}, nil
}

// takeDirect checks, stores and puts in force. It returns the managed login that
// this one ends, nil for none.
func (m *Manager) takeDirect(ctx context.Context, p *protocol.LoginAccountParams) (s *Snapshot, ended *attempt, err error) {
	if err := m.mayLogin(p.Type); err != nil {
		return nil, nil, err
	}
	if p.Type != protocol.LoginAPIKey {
		return m.takeExternal(&p.ExternalTokens)
	}
	done, err := m.change(ctx)
	if err != nil {
		return nil, nil, protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "%v", err)
	}
	defer done()
	if s, err = m.storeAPIKey(ctx, *p.APIKey); err != nil {
		return nil, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replace(s)
	m.aside = false
	m.endFlight(nil)
	return s, m.endAttempt(), nil
}

// takeExternal is takeDirect for tokens of the parent. The store is kept for
// later, what a refresh or a login under way brings there as well, so that this
// waits for none of them.
func (m *Manager) takeExternal(t *protocol.ExternalTokens) (s *Snapshot, ended *attempt, err error) {
	if s, err = readExternal(t, nil, &m.policy); err != nil {
		return nil, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replace(s)
	m.aside, m.storing = true, nil
	m.release(nil)
	return s, m.endAttempt(), nil
}

// mayLogin makes the checks that do not depend on what a login brings.
func (m *Manager) mayLogin(t protocol.LoginType) error {
	// The parent that owns the sign-in must give it up before another kind can
	// take its place.
	if m.externalActive() && t != protocol.LoginChatGPTAuthTokens {
		return protocol.Invalid(protocol.ReasonExternalAuth, "external ChatGPT tokens are in use; log out before another kind of login")
	}
	return m.policy.checkMethod(t)
}

// attempt is one managed login, from its start until it is told how it ended.
// Whoever takes it out of Manager.attempt tells that, so that it is told once.
type attempt struct {
	id     string
	ctx    context.Context
	cancel context.CancelFunc

	// browser is nil for a device code. Guarded by Manager.mu.
	browser *oauth.BrowserLogin
	// taken is whether accept has taken it out of its place; only accept looks at it.
	taken bool
	// announced is whether the parent has its id; before that it is told
	// nothing about it, and why keeps what is to be told. Guarded by Manager.mu.
	announced bool
	why       string
}

// stop ends the attempt's goroutine and frees its port. It does not wait. A nil
// attempt is none. Manager.mu is held.
func (a *attempt) stop() {
	if a == nil {
		return
	}
	a.cancel()
	if a.browser != nil {
		a.browser.Close()
	}
}

// beginAttempt checks whether a managed login of the kind may start and puts it
// in the place of the one under way, which it returns.
func (m *Manager) beginAttempt(t protocol.LoginType) (a, ended *attempt, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return nil, nil, protocol.Errorf(protocol.CodeInternal, protocol.ReasonShuttingDown, "the server is shutting down")
	case m.store == nil:
		return nil, nil, protocol.Invalid(protocol.ReasonConfig, "the sign-in could not be stored: %v", m.storeErr)
	case m.policy.WorkspacesErr != nil:
		return nil, nil, unreadable("forced_chatgpt_workspace_id", m.policy.WorkspacesErr)
	}
	if err := m.mayLogin(t); err != nil {
		return nil, nil, err
	}
	a = &attempt{id: uuid.NewString()}
	a.ctx, a.cancel = context.WithCancel(m.signingIn)
	ended = m.endAttempt()
	if m.browser != nil {
		m.browser.Close() // frees the port that the next one wants
		m.browser = nil
	}
	m.attempt = a
	return a, ended, nil
}

// endAttempt takes the attempt under way, if there is one, out of its place and
// stops it. The caller tells. mu is held.
func (m *Manager) endAttempt() *attempt {
	a := m.attempt
	m.attempt = nil
	a.stop()
	return a
}

// abandon takes a out of its place, unless somebody else has done so.
func (m *Manager) abandon(a *attempt) (mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.attempt != a {
		return false
	}
	m.attempt = nil
	return true
}

// keep is abandon for accept, which stores what the attempt brought.
func (m *Manager) keep(a *attempt) (mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.taken = m.attempt == a; a.taken {
		m.attempt, m.storing = nil, a
	}
	return a.taken
}

// startBrowser opens the browser's way back.
func (m *Manager) startBrowser() (protocol.LoginAccountResponse, func(), error) {
	a, ended, err := m.beginAttempt(protocol.LoginChatGPT)
	if err != nil {
		return protocol.LoginAccountResponse{}, nil, err
	}
	b, err := m.provider.StartBrowser(oauth.BrowserOptions{Workspaces: m.policy.Workspaces,
		Accept: func(ctx context.Context, t oauth.Tokens) error { return m.accept(ctx, a, t) }})
	if err != nil {
		m.abandon(a)
		a.cancel()
		// The one before has been ended, and nobody else would tell.
		m.tellEnded(ended, "another sign-in took its place")
		return protocol.LoginAccountResponse{}, nil, protocol.Errorf(protocol.CodeInternal, protocol.ReasonLogin, "%v", err)
	}
	m.mu.Lock()
	a.browser, m.browser = b, b
	if m.attempt != a { // ended by Close
		b.Close()
	}
	m.mu.Unlock()
	m.log.Debug("browser login under way", zap.String("login", a.id))
	return protocol.LoginAccountResponse{Type: protocol.LoginChatGPT, LoginID: a.id, AuthURL: b.AuthURL}, func() {
		m.tellEnded(ended, "another sign-in took its place")
		m.announce(a)
		m.run(func() { m.finish(a, b.Wait(a.ctx)) })
	}, nil
}

// startDevice asks the provider for a code, off the caller's goroutine.
func (m *Manager) startDevice() (func(context.Context) (protocol.LoginAccountResponse, func(), error), error) {
	a, ended, err := m.beginAttempt(protocol.LoginChatGPTDeviceCode)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (protocol.LoginAccountResponse, func(), error) {
		replaced := func() { m.tellEnded(ended, "another sign-in took its place") }
		stop := context.AfterFunc(ctx, a.cancel)
		d, err := m.provider.StartDevice(a.ctx)
		stop()
		if err != nil {
			m.abandon(a)
			a.cancel()
			replaced()
			return protocol.LoginAccountResponse{}, nil, deviceError(err)
		}
		m.log.Debug("device code login under way", zap.String("login", a.id))
		return protocol.LoginAccountResponse{Type: protocol.LoginChatGPTDeviceCode, LoginID: a.id, VerificationURL: d.VerificationURL, UserCode: d.UserCode}, func() {
			replaced()
			m.announce(a)
			m.run(func() {
				t, err := d.Wait(a.ctx)
				if err == nil {
					err = m.accept(a.ctx, a, t)
				}
				m.finish(a, err)
			})
		}, nil
	}, nil
}

// deviceError is the answer where no code could be had.
func deviceError(err error) error {
	if f := asFault(err); f != nil && f.Reason == oauth.ReasonNoDeviceCode {
		return protocol.Invalid(protocol.ReasonNotServed, "%v", err)
	}
	return protocol.Errorf(protocol.CodeInternal, protocol.ReasonLogin, "%v", err)
}

// run starts a goroutine of the Manager, unless it is closed. A panic ends there.
func (m *Manager) run(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	m.work.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				m.logPanic(p)
			}
		}()
		f()
	})
}

// logPanic logs a panic without its value, which may quote a token.
func (m *Manager) logPanic(p any) {
	m.log.Error("panic in the account's work", zap.String("type", fmt.Sprintf("%T", p)), zap.ByteString("stack", debug.Stack()))
}

// accept stores the tokens of a managed login and puts them in force, unless the
// login was ended meanwhile, or external tokens came while they were stored: then
// they are put aside as what was stored before. It tells the parent before it
// returns, so that the browser's page is true. Its error may be shown to people.
func (m *Manager) accept(ctx context.Context, a *attempt, t oauth.Tokens) error {
	s, err := m.takeManaged(ctx, a, t)
	if err != nil {
		if a.taken {
			m.tellFailed(a, m.redactor().Text(err.Error()))
		}
		return err
	}
	m.log.Debug("signed in", zap.String("mode", string(s.Mode)), zap.Uint64("generation", s.Generation))
	m.send()
	return nil
}

// takeManaged does that, and leaves what is to be told of it unsent.
func (m *Manager) takeManaged(ctx context.Context, a *attempt, t oauth.Tokens) (*Snapshot, error) {
	auth, err := managedAuth(t)
	if err != nil {
		return nil, err
	}
	s, err := managedSnapshot(auth, &m.policy)
	if err != nil {
		return nil, err
	}
	done, err := m.change(ctx)
	if err != nil {
		return nil, errEnded
	}
	defer done()
	// From when it is wanted, nobody else ends it.
	err = m.store.Save(ctx, auth, func() bool { return m.keep(a) })
	switch {
	case errors.Is(err, oauth.ErrChanged), a.ctx.Err() != nil && !a.taken:
		return nil, errEnded
	case err != nil:
		m.log.Warn("the sign-in could not be stored", zap.Error(err))
		return nil, protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "the sign-in could not be stored: %v", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unsent = append(m.unsent, completed(protocol.AccountLoginCompletedNotification{LoginID: new(a.id), Success: true}))
	if m.storing != a {
		return s, nil // external tokens came meanwhile, and are the later word
	}
	m.aside, m.storing = false, nil
	m.replace(s)
	m.endFlight(nil)
	m.unsent = append(m.unsent, updated(s))
	return s, nil
}

// completed is account/login/completed.
func completed(n protocol.AccountLoginCompletedNotification) note {
	return note{protocol.MethodAccountLoginCompleted, n}
}

// errEnded is what a browser shows that comes back to a login that was ended.
var errEnded = errors.New("this sign-in was given up")

// finish tells how a managed login ended, unless that was told by whoever ended
// it.
func (m *Manager) finish(a *attempt, err error) {
	a.cancel()
	if !m.abandon(a) {
		return // told by accept, or by whoever ended it
	}
	if err == nil { // cannot be: accept takes the attempt out of its place
		err = errEnded
	}
	m.log.Debug("managed login failed", zap.String("login", a.id))
	m.tellFailed(a, m.redactor().Text(err.Error()))
}

// tellEnded tells that somebody ended a login; nil for none.
func (m *Manager) tellEnded(a *attempt, why string) {
	if a == nil {
		return
	}
	why = "the sign-in was given up: " + why
	m.mu.Lock()
	announced := a.announced
	if !announced {
		a.why = why
	}
	m.mu.Unlock()
	if announced {
		m.tellFailed(a, why)
	}
}

// announce notes that the parent knows of the login now, and tells it what could
// not be told before.
func (m *Manager) announce(a *attempt) {
	m.mu.Lock()
	a.announced = true
	why := a.why
	m.mu.Unlock()
	if why != "" {
		m.tellFailed(a, why)
	}
}

func (m *Manager) tellFailed(a *attempt, why string) {
	m.tell(completed(protocol.AccountLoginCompletedNotification{LoginID: new(a.id), Error: &why}))
}

// CancelLogin serves account/login/cancel. The func returned sends
// account/login/completed of the login that it ended.
func (m *Manager) CancelLogin(_ context.Context, p *protocol.CancelLoginAccountParams) (protocol.CancelLoginAccountResponse, func(), error) {
	id, err := uuid.Parse(p.LoginID)
	if err != nil {
		return protocol.CancelLoginAccountResponse{}, nil, protocol.Invalid(protocol.ReasonInvalidParams, "loginId is not a UUID")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.attempt == nil || m.attempt.id != id.String() {
		return protocol.CancelLoginAccountResponse{Status: protocol.CancelLoginNotFound}, nil, nil
	}
	ended := m.endAttempt()
	return protocol.CancelLoginAccountResponse{Status: protocol.CancelLoginCanceled}, func() { m.tellEnded(ended, "it was cancelled") }, nil
}
