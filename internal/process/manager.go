package process

import (
	"crypto/rand"
	"hash/fnv"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// MaxRunning is how many commands of one owner may run at once; the
	// reference's number.
	MaxRunning = 64
	// maxEnded is how many ended commands of one owner wait for their
	// last Take. The oldest go first.
	maxEnded = 16
	// stopGrace is how long a command may take to end by itself when it is
	// told to. An interrupt is waited for, so it is short.
	stopGrace = 400 * time.Millisecond
	// closeGrace is the same when the server ends, which must take less than
	// two seconds in all.
	closeGrace = 200 * time.Millisecond
	// firstID is the first id handed out; small numbers look like counts.
	firstID = 1000
)

// markName is the variable that marks all descendants of a manager's commands.
const markName = "APP_SERVER_COMMAND"

// Manager owns processes. Its methods may be called from any goroutine.
type Manager struct {
	mark  string // NAME=VALUE up to the owner's part
	guard *guard
	wg    sync.WaitGroup // processes, each until it is reaped and its output read

	// spawn runs functions on one thread that lives as long as the manager:
	// Linux ties the death signal of a child to the thread that started it.
	spawn chan func()
	quit  chan struct{} // closed when the thread may end
	ended chan struct{} // closed when it has

	mu       sync.Mutex
	started  bool // the thread runs
	closed   bool
	nextID   int
	starting map[string]int // by owner: counted, but not in procs yet
	procs    map[int]*Process
}

// NewManager returns a manager without processes. It starts nothing itself.
func NewManager() *Manager {
	mark := markName + "=" + rand.Text() + "."
	return &Manager{
		mark: mark, guard: newGuard(mark), spawn: make(chan func()), quit: make(chan struct{}), ended: make(chan struct{}),
		nextID: firstID, starting: map[string]int{}, procs: map[int]*Process{},
	}
}

// Start starts a command that goes on by itself. It fails with ErrFull when
// the owner has MaxRunning commands already, ErrClosed, ErrDir, ErrNotFound, or
// the system's error.
//
// The process stays known to Get until a Take has told its end or until
// Release, but at most 16 ended ones of an owner stay.
func (m *Manager) Start(s Spec) (*Process, error) {
	id, err := m.reserve(s.Owner)
	if err != nil {
		return nil, err
	}
	p := newProcess(m, id, s)
	if err = p.start(); err == nil {
		p.serve()
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	if m.starting[s.Owner]--; m.starting[s.Owner] == 0 {
		delete(m.starting, s.Owner)
	}
	if err != nil {
		m.wg.Done()
		return nil, err
	}
	m.procs[id] = p
	if m.closed { // Close looked before this one was there
		p.stop(closeGrace)
	}
	return p, nil
}

// reserve counts a process before it is there, so that two starts at once do
// not both take the last place.
func (m *Manager) reserve(owner string) (id int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, ErrClosed
	}
	running, ended := m.starting[owner], []*Process(nil)
	for _, p := range m.procs {
		switch {
		case p.spec.Owner != owner:
		case p.hasEnded():
			ended = append(ended, p)
		default:
			running++
		}
	}
	if running >= MaxRunning {
		return 0, ErrFull
	}
	slices.SortFunc(ended, func(a, b *Process) int { return a.id - b.id })
	for ; len(ended) > maxEnded; ended = ended[1:] {
		delete(m.procs, ended[0].id)
	}
	if !m.started {
		m.started = true
		go m.spawnThread() // ended by Close
	}
	m.starting[owner]++
	m.wg.Add(1)
	m.nextID++
	return m.nextID - 1, nil
}

func (m *Manager) spawnThread() {
	defer close(m.ended)
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	for {
		select {
		case f := <-m.spawn:
			f()
		case <-m.quit:
			return
		}
	}
}

// onThread runs f on the manager's thread.
func (m *Manager) onThread(f func() error) error {
	done := make(chan error)
	m.spawn <- func() { done <- f() }
	return <-done
}

// Get returns an owner's process by its id.
func (m *Manager) Get(owner string, id int) (*Process, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.procs[id]
	return p, ok && p.spec.Owner == owner
}

// CloseOwner ends all processes of an owner, services that left their command
// included, and forgets them.
func (m *Manager) CloseOwner(owner string) {
	m.mu.Lock()
	var mine []*Process
	for id, p := range m.procs {
		if p.spec.Owner == owner {
			mine = append(mine, p)
			delete(m.procs, id)
		}
	}
	m.mu.Unlock()
	for _, p := range mine {
		p.stop(stopGrace)
	}
	for _, p := range mine {
		<-p.Done()
	}
	killMarked(m.markOfOwner(owner))
}

// Close ends every process and everything that they left behind, and waits
// for it. It takes little more than a fifth of a second when nothing obeys.
// Start fails from then on. Closing twice is harmless.
func (m *Manager) Close() {
	m.mu.Lock()
	first := !m.closed
	m.closed = true
	procs := make([]*Process, 0, len(m.procs))
	for _, p := range m.procs {
		procs = append(procs, p)
	}
	started := m.started
	m.mu.Unlock()
	for _, p := range procs {
		p.stop(closeGrace)
	}
	m.wg.Wait()
	if first {
		killMarked(m.mark)
		m.guard.close()
		close(m.quit)
	}
	if started {
		<-m.ended
	}
}

func (m *Manager) forget(p *Process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.procs, p.id)
}

// markOf is the whole mark of one process.
func (m *Manager) markOf(p *Process) string { return m.markOfOwner(p.spec.Owner) + strconv.Itoa(p.id) }

// markOfOwner is what the marks of an owner's processes begin with. The name
// of the owner is no command's business, so a number stands for it.
func (m *Manager) markOfOwner(owner string) string {
	h := fnv.New64a()
	h.Write([]byte(owner))
	return m.mark + strconv.FormatUint(h.Sum64(), 36) + "."
}
