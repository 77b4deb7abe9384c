package fake

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Mode is a way to run stories.
type Mode struct {
	// Name is process or child.
	Name string
	// Start starts the server. The transport reaches the backend where that is
	// in memory, and is nil where it is on loopback.
	Start func(l Launch, transport http.RoundTripper) (*Process, error)
	// Memory puts the backend into memory.
	Memory bool
	// Quiet returns when the server has nothing left to do but wait.
	Quiet func()
	// Patience is how long what a story waits for may take where it states no
	// time, Exit how long the server may take to end. With Memory these are facts
	// about the server. Real machines stall, so that without it they are a bound
	// against hangs, and a story's own times can only make it longer.
	Patience, Exit time.Duration
}

// RunOptions configure [Run].
type RunOptions struct {
	// Dir is an empty folder that the story may fill.
	Dir string
	// Update makes mismatches rewrite the story's lines instead of failing it.
	Update bool
	// Line, where set, is called with each line of the server's stdout, in order.
	Line func(line string)
}

// Run plays a story. The error tells the line, what was wanted, what came, and
// the conversation so far. With Update it returns the new text of the file, nil
// where nothing changed.
func Run(ctx context.Context, s *Story, m Mode, o RunOptions) (updated []byte, err error) {
	r := &runner{story: s, mode: m, opts: o, vars: vars{}, rewritten: map[int]string{}, taken: map[int]bool{},
		out: newStdout(), transcript: &transcript{start: time.Now(), secrets: s.secrets}}
	if err := r.setUp(); err != nil {
		return nil, err
	}
	err = r.play(ctx)
	if err == nil {
		err = r.finish()
	}
	if stopErr := r.stop(); err == nil {
		err = stopErr
	}
	if err == nil {
		err = r.checkAll()
	}
	if err != nil {
		return nil, r.explain(err)
	}
	if len(r.rewritten) == 0 {
		return nil, nil
	}
	return r.newText(), nil
}

// runner is one run of one story.
type runner struct {
	story      *Story
	mode       Mode
	opts       RunOptions
	vars       vars
	home       string
	project    string
	backend    *Backend
	endpoint   *Endpoint
	process    *Process
	send       *sender
	out        *stdout
	transcript *transcript

	unread    []*outLine
	ignored   []any // patterns
	never     []never
	sent      []sentRequest
	taken     map[int]bool // requests at the backend that the script has read
	within    time.Duration
	inputDone bool
	exited    bool
	rewritten map[int]string // new text by index in story.lines

	visits     []*visit          // all journeys of the browser
	page       *visit            // the one that page looks at
	occupied   []net.Listener    // ports that the story took
	pastStderr string            // of servers before a restart
	transport  http.RoundTripper // to the backend in memory; nil on loopback
}

type never struct {
	line    storyLine
	pattern any
}

// sentRequest is a request that the story sent and that must be answered.
type sentRequest struct{ id, method string }

// outLine is one line of the server's stdout.
type outLine struct {
	raw   string
	value any // nil where it is no JSON object
}

// stdout collects the server's lines. Reading can be paused, as a parent that
// is busy would.
type stdout struct {
	mu     sync.Mutex
	wake   *sync.Cond
	paused bool       // guarded by mu
	lines  []*outLine // guarded by mu; all of them
	read   int        // guarded by mu; how many the script has fetched
	ended  bool       // guarded by mu
	more   chan struct{}
	done   chan struct{}
}

func newStdout() *stdout {
	o := &stdout{}
	o.wake = sync.NewCond(&o.mu)
	return o
}

func (r *runner) setUp() error {
	r.home, r.project = filepath.Join(r.opts.Dir, "home"), filepath.Join(r.opts.Dir, "project")
	for _, s := range r.story.secrets {
		r.vars[s.name] = s.value
	}
	r.backend = NewBackend()
	var err error
	if r.mode.Memory {
		r.endpoint = r.backend.ListenMemory()
		r.transport = r.endpoint.Transport
	} else if r.endpoint, err = r.backend.ListenLoopback(); err != nil {
		return err
	}
	r.vars["backend"], r.vars["home"], r.vars["project"] = r.endpoint.URL, r.home, r.project
	// A number that no other run uses, so that its processes can be told apart.
	r.vars["mark"] = strconv.Itoa(100_000 + rand.IntN(900_000))
	if r.story.provider != nil {
		if r.backend.Provider, err = r.makeProvider(); err == nil {
			r.backend.Provider.Root = r.endpoint.URL
		}
	}
	if err == nil {
		err = r.addReplies()
	}
	if err == nil {
		err = r.writeFiles()
	}
	if err == nil {
		err = r.start()
	}
	if err != nil {
		r.endpoint.Close()
		r.backend.Close()
	}
	return err
}

// addReplies tells the backend what it answers.
func (r *runner) addReplies() error {
	text, err := r.fillText(r.story.replies)
	if err != nil {
		return fmt.Errorf("%s: backend: %w", r.story.Path, err)
	}
	replies, err := ParseReplies(text, r.story.repliesL)
	if err != nil {
		return fmt.Errorf("%s: backend: %w", r.story.Path, err)
	}
	r.backend.Add(replies...)
	return nil
}

// fillText puts variables into text that is no JSON.
func (r *runner) fillText(text string) (string, error) {
	out := expand(text, func(name string) (any, bool) { v, ok := r.vars[name]; return v, ok })
	if ref := inlineVar.FindString(out); ref != "" {
		return "", fmt.Errorf("nothing is known as %s", ref)
	}
	return out, nil
}

func (r *runner) writeFiles() error {
	for _, dir := range []string{r.home, r.project} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("story: %w", err)
		}
	}
	for name, text := range r.story.files {
		text, err := r.fillText(text)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", r.story.Path, name, err)
		}
		path := filepath.Join(r.opts.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("story: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("story: %w", err)
		}
	}
	return nil
}

func (r *runner) start() error {
	l := Launch{Dir: r.project, Listen: r.endpoint.Listen, Env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.opts.Dir, "CODEX_HOME=" + r.home,
		// No story signs in, or refreshes, at the real provider.
		"CODEX_APP_SERVER_LOGIN_ISSUER=" + r.endpoint.URL,
		"CODEX_REFRESH_TOKEN_URL_OVERRIDE=" + r.endpoint.URL + pathToken,
		"CODEX_REVOKE_TOKEN_URL_OVERRIDE=" + r.endpoint.URL + pathRevoke,
		// A binary with the race detector would otherwise sleep a second at its end.
		"GORACE=atexit_sleep_ms=0"}}
	for _, e := range r.story.env {
		text, err := r.fillText(e)
		if err != nil {
			return fmt.Errorf("%s: env: %w", r.story.Path, err)
		}
		l.Env = append(l.Env, text)
	}
	for _, a := range r.story.args {
		text, err := r.fillText(a)
		if err != nil {
			return fmt.Errorf("%s: args: %w", r.story.Path, err)
		}
		l.Args = append(l.Args, text)
	}
	p, err := r.mode.Start(l, r.transport)
	if err != nil {
		return err
	}
	r.process, r.send = p, newSender(p.Stdin)
	r.out.more, r.out.done = make(chan struct{}, 1), make(chan struct{})
	go r.readStdout() // ends with the server's stdout
	return nil
}

func (r *runner) readStdout() {
	defer close(r.out.done)
	in := bufio.NewReaderSize(r.process.Stdout, 64<<10)
	for {
		r.out.waitResumed()
		line, err := in.ReadString('\n')
		if line != "" {
			if err == nil {
				line = line[:len(line)-1]
			}
			l := &outLine{raw: line}
			if v, decodeErr := decodeJSON([]byte(line)); decodeErr == nil && err == nil {
				l.value, _ = v.(map[string]any)
			}
			if r.opts.Line != nil && err == nil {
				r.opts.Line(line)
			}
			r.transcript.add("<- %s", line)
			r.out.put(l)
		}
		if err != nil {
			r.out.end()
			return
		}
	}
}

func (o *stdout) waitResumed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.paused {
		o.wake.Wait()
	}
}

func (o *stdout) pause() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.paused = true
}

func (o *stdout) resume() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.paused = false
	o.wake.Broadcast()
}

func (o *stdout) put(l *outLine) {
	o.mu.Lock()
	o.lines = append(o.lines, l)
	o.mu.Unlock()
	o.signal()
}

func (o *stdout) end() {
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	o.signal()
}

func (o *stdout) signal() {
	select {
	case o.more <- struct{}{}:
	default:
	}
}

// fetch returns the lines that came since the last fetch, and whether stdout
// has ended.
func (o *stdout) fetch() ([]*outLine, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fresh := slices.Clone(o.lines[o.read:])
	o.read = len(o.lines)
	return fresh, o.ended
}

func (o *stdout) all() []*outLine {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.lines)
}

var errNothing = errors.New("nothing came")

// take returns the first unread line that want accepts, and removes it. It
// waits for one until patience is over.
func (r *runner) take(ctx context.Context, patience time.Duration, want func(i int, l *outLine) bool) (*outLine, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for checked := 0; ; {
		ended := r.refill()
		for ; checked < len(r.unread); checked++ {
			if l := r.unread[checked]; want(checked, l) {
				r.unread = slices.Delete(r.unread, checked, checked+1)
				return l, nil
			}
		}
		if ended {
			return nil, fmt.Errorf("%w, and stdout has ended", errNothing)
		}
		select {
		case <-r.out.more:
		case <-timer.C:
			return nil, fmt.Errorf("%w within %v", errNothing, patience)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// refill moves new lines to the unread ones, without those that are ignored.
func (r *runner) refill() (ended bool) {
	fresh, ended := r.out.fetch()
	for _, l := range fresh {
		if !slices.ContainsFunc(r.ignored, func(p any) bool { return r.fits(p, l) }) {
			r.unread = append(r.unread, l)
		}
	}
	return ended
}

func (r *runner) fits(pattern any, l *outLine) bool {
	if l.value == nil {
		return false
	}
	_, diff := match(pattern, l.value, r.vars, false)
	return diff == ""
}

// play runs the script.
func (r *runner) play(ctx context.Context) error {
	for i, l := range r.story.lines {
		if ctx.Err() != nil {
			return fmt.Errorf("%s\n%w", l, context.Cause(ctx))
		}
		verb, rest, _ := strings.Cut(l.text, " ")
		rest = strings.TrimSpace(rest)
		if err := r.directive(ctx, i, verb, rest); err != nil {
			return fmt.Errorf("%s\n%w", r.transcript.hide(l.String()), err)
		}
		if verb != "within" {
			r.within = 0
		}
	}
	return nil
}

// finish ends the input and expects exit code 0, where the script has not done
// so.
func (r *runner) finish() error {
	if r.exited {
		return nil
	}
	r.eof()
	if err := r.exit(0); err != nil {
		return fmt.Errorf("%s: at the end: %w", r.story.Path, err)
	}
	return nil
}

func (r *runner) eof() {
	if !r.inputDone {
		r.inputDone = true
		r.transcript.add("end of input")
		r.send.close()
	}
}

func (r *runner) exit(want int) error {
	ctx, cancel := bounded(context.Background(), r.patience(r.mode.Exit))
	defer cancel()
	code, err := r.process.waitExit(ctx)
	if err != nil {
		return err
	}
	r.exited = true
	r.transcript.add("exit %d", code)
	if code != want {
		return fmt.Errorf("exit code: want %d, got %d", want, code)
	}
	return nil
}

// stop ends everything that the run has started and waits for it.
func (r *runner) stop() error {
	var err error
	if !r.exited {
		r.process.Kill()
		ctx, cancel := bounded(context.Background(), killPatience)
		defer cancel()
		_, err = r.process.waitExit(ctx)
	}
	if err != nil { // nobody will write the end of it
		_ = r.process.Stdout.Close()
	}
	r.drain()
	for _, l := range r.occupied {
		_ = l.Close()
	}
	for _, v := range r.visits {
		<-v.done
	}
	r.endpoint.Close()
	r.backend.Close()
	return err
}

// explain adds the conversation and stderr to an error.
func (r *runner) explain(err error) error {
	return fmt.Errorf("%s\n--- conversation (%s) ---\n%s--- stderr ---\n%s", r.transcript.hide(err.Error()), r.mode.Name,
		r.transcript.render(r.backend.Requests()), lastLines(r.transcript.hide(r.stderr())))
}

// stderr is all that the servers of the story wrote there.
func (r *runner) stderr() string { return r.pastStderr + r.process.Stderr.String() }

// shownStderr is how much of stderr a failure shows, from its end, in bytes.
const shownStderr = 4000

func lastLines(s string) string {
	if len(s) > shownStderr {
		s = "..." + strings.ToValidUTF8(s[len(s)-shownStderr:], "")
	}
	return s
}
