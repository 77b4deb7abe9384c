package session

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"app-server/internal/config"
	"app-server/internal/rollout"
	"app-server/internal/skills"
	"app-server/internal/tools"
	"app-server/protocol"
)

// Options are what a [Manager] works with. Parent, Model and Config are needed.
type Options struct {
	Parent Parent
	Model  Model
	// Tools are what the model may call. The Manager closes them in the end.
	Tools *tools.Registry
	// Config reads the settings of the process as they are now.
	Config func() *config.Config
	// Skills finds those that a thread may use in a working directory. Nil: none.
	Skills func(ctx context.Context, cwd string, cfg *config.Config) []skills.Skill
	// Store keeps the threads. Nil means that all live in memory only.
	Store *rollout.Store
	// Originator is the name of the parent, which a thread's file tells; nil for
	// none.
	Originator func() string
	// Version is this server's own, shown as a thread's cliVersion.
	Version string
	// Cwd is the server's working directory, where relative ones start.
	Cwd string
	// Getenv tells the user's shell. Nil means os.Getenv.
	Getenv func(string) string
	// Log may be nil.
	Log *zap.Logger
}

// Manager holds the live threads. Its methods are the handlers of the thread
// and turn methods; all are safe for concurrent use.
type Manager struct {
	parent  Parent
	model   Model
	tools   *tools.Registry
	config  func() *config.Config
	store   *rollout.Store // may be nil
	version string
	cwd     string
	getenv  func(string) string
	log     *zap.Logger
	// originator and skills may be nil.
	originator func() string
	skills     func(ctx context.Context, cwd string, cfg *config.Config) []skills.Skill

	// base is the context of everything that runs; hardStop ends it when
	// Shutdown may wait no longer. ending is done when Shutdown begins; it changes
	// under mu.
	base     context.Context
	hardStop context.CancelFunc
	ending   context.Context
	end      context.CancelFunc
	// wg counts the goroutines of threads and turns.
	wg    sync.WaitGroup
	loads loads

	mu sync.Mutex
	// Guarded by mu.
	threads map[string]*thread
	order   []*thread // by id, which for UUIDv7 is by creation
}

// NewManager makes a Manager without threads. It starts no goroutine.
func NewManager(o Options) *Manager {
	m := &Manager{
		parent: o.Parent, model: o.Model, tools: o.Tools, config: o.Config, store: o.Store, originator: o.Originator, skills: o.Skills,
		version: o.Version, cwd: o.Cwd, getenv: o.Getenv, log: o.Log,
		threads: map[string]*thread{},
	}
	if m.getenv == nil {
		m.getenv = os.Getenv
	}
	if m.log == nil {
		m.log = zap.NewNop()
	}
	m.base, m.hardStop = context.WithCancel(context.Background())
	m.ending, m.end = context.WithCancel(m.base)
	return m
}

// Problems are those of the configuration of a live thread.
func (m *Manager) Problems(id string) []config.Problem {
	if t := m.live(id); t != nil {
		return t.cfg.Problems
	}
	return nil
}

// add takes a thread in and starts its goroutine, which ends in Shutdown or when
// the thread is unloaded.
func (m *Manager) add(t *thread) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shuttingDown() {
		return errShuttingDown
	}
	if m.threads[t.id] != nil {
		return storageError(rollout.ErrInUse, t.id)
	}
	m.threads[t.id] = t
	at, _ := slices.BinarySearchFunc(m.order, t.id, func(x *thread, id string) int { return strings.Compare(x.id, id) })
	m.order = slices.Insert(m.order, at, t)
	m.wg.Go(t.loop)
	return nil
}

// thread finds a live thread.
func (m *Manager) thread(id string) (*thread, error) {
	if t := m.live(id); t != nil {
		return t, nil
	}
	usual, err := threadID(id)
	if err != nil {
		return nil, err
	}
	return nil, errNotLoaded(usual)
}

func errNotLoaded(id string) error {
	return protocol.Invalid(protocol.ReasonThreadNotFound, "No such thread is loaded: %s. A stored one must be resumed first", id)
}

// live is the live thread with an id, or nil. It waits for the end of one that is
// being unloaded.
func (m *Manager) live(id string) *thread {
	m.mu.Lock()
	t := m.threads[id]
	if t == nil {
		if usual, err := threadID(id); err == nil {
			t = m.threads[usual] // the reference takes other ways to write it, too
		}
	}
	var left chan struct{}
	if t != nil {
		left = t.left
	}
	m.mu.Unlock()
	if left == nil {
		return t
	}
	<-left
	return nil
}

// livePath is the live thread that is kept in a file, or nil. It waits as live
// does.
func (m *Manager) livePath(path string) *thread {
	for _, t := range m.all() {
		if t.keptIn(path) {
			return m.live(t.id)
		}
	}
	return nil
}

// all lists the live threads, oldest first.
func (m *Manager) all() []*thread {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.order)
}

// notify sends a notification. A parent that cannot be reached is no reason to
// stop: the connection ends the server by itself.
func (m *Manager) notify(ctx context.Context, method string, params any) {
	if err := m.parent.Notify(ctx, method, params); err != nil {
		m.log.Debug("notification not sent", zap.String("method", method), zap.Error(err))
	}
}

func (m *Manager) shuttingDown() bool { return m.ending.Err() != nil }

// Shutdown refuses new threads and turns, interrupts the turns that run, and
// waits until each has sent its turn/completed and every goroutine has ended.
// When ctx ends first, turns are cut off wherever they wait, and Shutdown still
// waits for their goroutines, and for the commands that were left running. Then
// the threads' files are synced and closed. Calling it again is harmless.
func (m *Manager) Shutdown(ctx context.Context) {
	m.mu.Lock()
	m.end()
	m.mu.Unlock()
	stop := context.AfterFunc(ctx, m.hardStop)
	defer stop()
	for _, t := range m.all() {
		t.post(t.close)
	}
	// Commands are ended while their turns wait for them: one after the other would
	// take longer than there is.
	var commands sync.WaitGroup
	commands.Go(m.tools.Close)
	m.wg.Wait()
	commands.Wait()
	m.shut()
	m.hardStop()
}

// maxClosing is how many files are synced at once in the end: a disk takes about
// as long for many as for one.
const maxClosing = 32

// shut closes the files of all threads.
func (m *Manager) shut() {
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxClosing)
	for _, t := range m.all() {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			t.shut()
		})
	}
	wg.Wait()
}
