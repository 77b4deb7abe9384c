package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"app-server/account"
	"app-server/internal/backend"
	"app-server/internal/config"
	"app-server/internal/oauth"
	commands "app-server/internal/process"
	"app-server/internal/process/shell"
	"app-server/internal/rollout"
	"app-server/internal/sandbox"
	"app-server/internal/skills"
	"app-server/internal/tools"
	"app-server/protocol"
	"app-server/rpc"
	"app-server/session"
)

// server is the program put together.
type server struct {
	log      *zap.Logger
	cfg      *config.Config
	conn     *rpc.Conn
	parent   *parent
	accounts *account.Manager
	backend  *backend.Client
	threads  *session.Manager
	// settings reads and writes config.toml; cfg is what it said at the start.
	settings *config.Store
	skills   *skills.Lister
	cwd      string
	getenv   func(string) string
}

// newServer builds the parts and joins them. It makes no request and reads
// nothing but the configuration and the stored sign-in.
func newServer(p process, opts options, log *zap.Logger) (*server, error) {
	home, err := config.Home(p.Getenv, p.Cwd)
	if err != nil {
		return nil, err
	}
	settings := config.NewStore(config.Options{Home: home, System: p.System, Overrides: opts.overrides, Cwd: p.Cwd, Getenv: p.Getenv})
	cfg := settings.Current()
	for _, problem := range cfg.Problems {
		log.Warn("configuration problem", zap.String("key", problem.Key), zap.String("summary", problem.Summary), zap.String("details", problem.Details))
	}

	s := &server{log: log, cfg: cfg, settings: settings, parent: &parent{cfg: cfg.In(p.Cwd)}, cwd: p.Cwd, getenv: p.Getenv}
	s.skills = skills.NewLister(skills.Options{Home: home, UserHome: config.UserHome(p.Getenv), Cwd: p.Cwd})
	transport := p.Transport
	if transport == nil {
		transport = backend.LazyTransport(p.Getenv)
	}
	s.accounts = account.NewManager(account.Options{
		Home: home, Policy: s.policy(), Ask: s.parent, Notify: s.parent, Log: log.Named("account"),
		Keyring: oauth.SystemKeyring(p.Getenv),
		Provider: oauth.New(oauth.Options{
			Endpoints: oauth.EndpointsFromEnv(p.Getenv), Transport: transport, Listen: p.Listen,
			Identity: s.parent.providerIdentity, Log: log.Named("oauth"),
		}),
	})
	s.backend = backend.New(backend.Options{
		Transport: transport, Credentials: credentials{s.accounts}, Identity: s.parent.identity,
		Getenv: p.Getenv, Log: log.Named("backend"),
	})
	s.threads = session.NewManager(session.Options{
		Parent: s.parent, Model: s.backend, Tools: newTools(p, home, log.Named("tools")), Skills: s.enabledSkills, Config: settings.Current, Version: version, Cwd: p.Cwd,
		Store: rollout.New(home), Originator: func() string { return s.parent.identity().Originator },
		Getenv: p.Getenv, Log: log.Named("session"),
	})
	s.conn = rpc.New(rpc.Options{
		In: p.Stdin, Out: p.Stdout, Mux: s.methods(), Log: log.Named("rpc"), Drain: s.drain,
	})
	s.parent.conn = s.conn
	return s, nil
}

// skillSettings are those of a configuration about skills.
func skillSettings(cfg *config.Config) skills.Settings {
	set := skills.Settings{RootMarkers: cfg.ProjectRootMarkers, WithoutSystem: cfg.Skills.WithoutSystem}
	for _, r := range cfg.Skills.Rules {
		set.Rules = append(set.Rules, skills.Rule(r))
	}
	return set
}

// enabledSkills are those that a thread may use.
func (s *server) enabledSkills(ctx context.Context, cwd string, cfg *config.Config) []skills.Skill {
	return s.skills.Enabled(ctx, cwd, skillSettings(cfg))
}

// newTools makes what the model may call. Commands never write in the home: it
// holds the user's sign-in and settings.
func newTools(p process, home string, log *zap.Logger) *tools.Registry {
	r := tools.NewRegistry(tools.Options{
		Home: home, UserHome: p.Getenv("HOME"), Environ: p.Environ, Processes: commands.NewManager(),
		Sandbox: sandbox.New(sandbox.Options{Protected: []string{home}, Tmpdir: p.Getenv("TMPDIR")}),
		Shell:   shell.Detect(shell.System{Getenv: p.Getenv}), Log: log,
	})
	for _, t := range tools.Builtin() {
		r.Add(t)
	}
	return r
}

// drain ends the turns. The account ends beside them and what is still to be
// written: run waits for it, and all together may not take longer than one alone.
func (s *server) drain(ctx context.Context) {
	go s.accounts.Close() // bounds itself
	s.threads.Shutdown(ctx)
}

// run serves until the connection has ended and everything is put away.
func (s *server) run(ctx context.Context) error {
	err := s.conn.Run(ctx)
	s.accounts.Close()
	return err
}

// policy is what the configuration says about sign-in.
func (s *server) policy() account.Policy {
	p := account.Policy{
		WorkspacesErr: s.cfg.ForcedWorkspaces.Err,
		Method:        s.cfg.ForcedLoginMethod.Value,
		MethodErr:     s.cfg.ForcedLoginMethod.Err,
		Store:         s.cfg.CLIAuthCredentialsStore,
		RequiresOpenAIAuth: func() bool {
			// An unknown provider is refused at thread/start; until then the
			// careful answer is that a sign-in is needed.
			provider, known := s.cfg.Providers[s.cfg.ModelProvider]
			return !known || provider.RequiresOpenAIAuth
		},
	}
	if s.cfg.ForcedWorkspaces.Set {
		p.Workspaces = s.cfg.ForcedWorkspaces.Value
	}
	return p
}

// credentials shows the backend client who is signed in. It is the one place
// where account and backend meet.
type credentials struct{ accounts *account.Manager }

// Token returns the token in force, refreshed where it is about to expire.
func (c credentials) Token(ctx context.Context) (backend.Token, error) {
	switch s, err := c.accounts.Current(ctx); {
	case err != nil:
		return backend.Token{}, err
	case s != nil:
		return tokenOf(s), nil
	}
	return backend.Token{}, backend.ErrNotSignedIn
}

// Refresh returns a newer token than the one that the backend refused. At the end
// nobody refuses anything: the turn is interrupted.
func (c credentials) Refresh(ctx context.Context, used backend.Token) (backend.Token, error) {
	s, err := c.accounts.Refresh(ctx, used.Generation)
	if fault, ok := errors.AsType[*account.RefreshError](err); ok && (fault.Reason == account.ReasonParentGone || fault.Reason == account.ReasonClosed) {
		err = fmt.Errorf("%w: %w", session.ErrParentGone, err)
	}
	if err != nil {
		return backend.Token{}, err
	}
	return tokenOf(s), nil
}

func tokenOf(s *account.Snapshot) backend.Token {
	return backend.Token{
		Bearer: s.Token, AccountID: s.AccountID, ChatGPT: s.ChatGPT(),
		Recoverable: s.Recoverable(), Found: s.Found, Generation: s.Generation,
	}
}

// providerIdentity is how the server names itself to the sign-in provider: as its
// parent, as towards the backend.
func (p *parent) providerIdentity() oauth.Identity {
	who := p.identity()
	return oauth.Identity{Originator: who.Originator, UserAgent: who.UserAgent}
}

// RefreshExternal asks the parent for new tokens, as account wants it done.
func (p *parent) RefreshExternal(ctx context.Context, params protocol.ChatgptAuthTokensRefreshParams) (jsontext.Value, error) {
	_, answer, err := p.conn.Ask(ctx, protocol.MethodAccountChatgptAuthTokensRefresh, params)
	if refused, ok := errors.AsType[*rpc.Error](err); ok {
		return nil, &account.ParentError{Code: refused.Code, Message: refused.Message, Data: refused.Data}
	}
	if errors.Is(err, rpc.ErrClosed) {
		return nil, fmt.Errorf("%w: %w", account.ErrParentGone, err)
	}
	return answer, err
}
