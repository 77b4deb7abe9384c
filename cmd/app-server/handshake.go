package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/backend"
	"app-server/internal/config"
	"app-server/protocol"
	"app-server/rpc"
	"app-server/session"
)

// parent is the application at the other end: what it said of itself at
// initialize, and the way to it. It is safe for concurrent use.
type parent struct {
	conn    *rpc.Conn
	cfg     *config.Config
	session atomic.Pointer[handshake] // nil before initialize

	mu sync.Mutex
	// told are the details of the configuration's problems that the parent knows.
	// Guarded by mu.
	told map[string]bool
}

// handshake is what initialize settled.
type handshake struct {
	experimental bool
	optedOut     map[string]bool
	identity     backend.Identity
}

// Notify sends a notification unless the parent opted out of it.
func (p *parent) Notify(ctx context.Context, method string, params any) error {
	if h := p.session.Load(); h != nil && h.optedOut[method] {
		return nil
	}
	return p.conn.Notify(ctx, method, params)
}

// Ask sends a request to the parent and waits for its answer. It returns the
// request's id as well.
func (p *parent) Ask(ctx context.Context, method string, params any) (int64, jsontext.Value, error) {
	id, answer, err := p.conn.Ask(ctx, method, params)
	if errors.Is(err, rpc.ErrClosed) {
		err = fmt.Errorf("%w: %w", session.ErrParentGone, err)
	}
	return id, answer, err
}

// identity is how the server names itself to the backend: as its parent.
func (p *parent) identity() backend.Identity {
	if h := p.session.Load(); h != nil {
		return h.identity
	}
	return backend.Identity{Originator: "app-server", UserAgent: "app-server/" + protocol.WireVersion}
}

// gate refuses requests before the handshake. It runs in order of arrival, and
// initialize takes effect before the next line is looked at, so that a parent
// may send initialize and what follows in one write.
func (p *parent) gate(method string) error {
	if p.session.Load() == nil && method != protocol.MethodInitialize {
		return protocol.Invalid(protocol.ReasonNotInitialized, "Not initialized")
	}
	return nil
}

// check refuses experimental methods and fields to a parent that did not ask
// for them.
func (p *parent) check(_ string, params any) error {
	e, ok := params.(protocol.Experimental)
	if !ok {
		return nil
	}
	if h := p.session.Load(); h != nil && h.experimental {
		return nil
	}
	if use := e.ExperimentalUse(); use != "" {
		return protocol.Invalid(protocol.ReasonExperimental, "%s requires experimentalApi capability", use)
	}
	return nil
}

// initialize settles the handshake and then tells what of the configuration
// could not be read.
func (p *parent) initialize(ctx context.Context, params *protocol.InitializeParams) (protocol.InitializeResponse, rpc.Then, error) {
	if p.session.Load() != nil {
		return protocol.InitializeResponse{}, nil, protocol.Invalid(protocol.ReasonInitialized, "Already initialized")
	}
	name := params.ClientInfo.Name
	if headerText(name) != name {
		return protocol.InitializeResponse{}, nil, protocol.Invalid(protocol.ReasonInvalidParams, "Invalid request: clientInfo.name cannot stand in an HTTP header")
	}
	h := &handshake{optedOut: map[string]bool{}}
	if c := params.Capabilities; c != nil {
		h.experimental = c.ExperimentalAPI
		for _, m := range c.OptOutNotificationMethods {
			h.optedOut[m] = true
		}
	}
	agent := userAgent(name, params.ClientInfo.Version)
	h.identity = backend.Identity{Originator: name, UserAgent: agent}
	if where := p.cfg.Requirements.EnforceResidency; where != nil {
		h.identity.Residency = *where
	}
	p.session.Store(h)
	return protocol.InitializeResponse{
		UserAgent: agent, CodexHome: p.cfg.Home, PlatformFamily: platformFamily(), PlatformOS: platformOS(),
	}, func() { p.warn(ctx, p.cfg.Problems) }, nil
}

// warn sends a configWarning for each of the configuration's problems that the
// parent has not been told. One that went away and came back is told again.
func (p *parent) warn(ctx context.Context, problems []config.Problem) {
	p.mu.Lock()
	known := p.told
	p.told = make(map[string]bool, len(problems))
	for _, problem := range problems {
		p.told[problem.Details] = true
	}
	p.mu.Unlock()
	for _, problem := range problems {
		if known[problem.Details] {
			continue
		}
		if p.Notify(ctx, protocol.MethodConfigWarning, problem.Notification()) != nil {
			return // the connection is gone
		}
	}
}

// userAgent has the form that parents parse: NAME/x.y.z, with the generation of
// the wire in the place of the version.
func userAgent(name, clientVersion string) string {
	return fmt.Sprintf("%s/%s (%s; %s) app-server/%s (%s; %s)",
		name, protocol.WireVersion, osName(), archName(), version, name, headerText(clientVersion))
}

// headerText replaces what cannot stand in a header. Names in other letters than
// those of ASCII can.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return '_'
		}
		return r
	}, s)
}

func platformFamily() string {
	if runtime.GOOS == "windows" {
		return "windows"
	}
	return "unix"
}

// platformOS uses the reference's names, which are those of Rust.
func platformOS() string {
	if runtime.GOOS == "darwin" {
		return "macos"
	}
	return runtime.GOOS
}

func osName() string {
	switch runtime.GOOS {
	case "darwin":
		return "Mac OS"
	case "windows":
		return "Windows"
	case "linux":
		return "Linux"
	}
	return runtime.GOOS
}

// archName uses the reference's names.
func archName() string {
	switch runtime.GOARCH {
	case "amd64":
		return "x86_64"
	case "arm64":
		if runtime.GOOS == "darwin" {
			return "arm64"
		}
		return "aarch64"
	}
	return runtime.GOARCH
}
