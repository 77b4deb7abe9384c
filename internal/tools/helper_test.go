package tools

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/process"
	"app-server/internal/process/shell"
	"app-server/internal/sandbox"
	"app-server/protocol"
)

// TestMain makes the test binary the sandbox's child as well.
func TestMain(m *testing.M) {
	if sandbox.Is(os.Args[1:]) {
		os.Exit(sandbox.Run(os.Args[1:]))
	}
	if signal.Ignored(os.Interrupt) { // by what runs the tests; commands would inherit it
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	}
	// With the race detector every program waits a second before it ends.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// fakeHost records what a turn tells its parent, and answers its questions.
type fakeHost struct {
	// answer gives the answer to a question; nil never answers.
	answer func(method string, params any) (string, error)
	// cancel ends the contexts of the turn; nil where no test interrupts it.
	cancel context.CancelFunc

	mu      sync.Mutex
	events  []event
	taken   int           // how many of them take has given
	changed chan struct{} // closed and made anew at each event
}

// event is one thing told. What is told of an item is started or completed; of a
// question ask; of a notification its method; and there are interrupt, warn and
// inform.
type event struct {
	told  string
	value any // the item, the parameters, or the warning
	flag  protocol.ThreadActiveFlag
}

// What is told of things that are no notifications.
const (
	begun     = "started"
	ended     = "completed"
	asks      = "ask"
	interrupt = "interrupt"
	warn      = "warn"
	inform    = "inform"
)

// line is an event in a few words.
func (e event) line() string {
	switch v := e.value.(type) {
	case *protocol.FileChangeItem:
		return e.told + " " + string(v.Status)
	case *protocol.DynamicToolCallItem:
		return e.told + " " + string(v.Status)
	case *protocol.CommandExecutionItem:
		return e.told + " " + string(v.Status)
	case *protocol.ImageViewItem:
		return e.told + " " + string(v.Type)
	case string:
		return e.told + " " + v
	}
	if e.told == asks {
		return e.told + " " + string(e.flag)
	}
	return e.told
}

func (h *fakeHost) add(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

func (h *fakeHost) ItemStarted(i protocol.ThreadItem)   { h.add(event{told: begun, value: i}) }
func (h *fakeHost) ItemCompleted(i protocol.ThreadItem) { h.add(event{told: ended, value: i}) }
func (h *fakeHost) Notify(method string, params any)    { h.add(event{told: method, value: params}) }
func (h *fakeHost) Warn(message string)                 { h.add(event{told: warn, value: message}) }
func (h *fakeHost) Inform(text string)                  { h.add(event{told: inform, value: text}) }

func (h *fakeHost) Interrupt() {
	h.add(event{told: interrupt})
	if h.cancel != nil {
		h.cancel()
	}
}

func (h *fakeHost) Progress(_ context.Context, method string, params any) { h.Notify(method, params) }

func (h *fakeHost) Ask(ctx context.Context, flag protocol.ThreadActiveFlag, method string, params any) (jsontext.Value, error) {
	h.add(event{asks, params, flag})
	if h.answer == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	text, err := h.answer(method, params)
	return jsontext.Value(text), err
}

// answering makes an answer that is always the same.
func answering(raw string) func(string, any) (string, error) {
	return func(string, any) (string, error) { return raw, nil }
}

// deciding makes an answer to a request for approval.
func deciding(decision string) func(string, any) (string, error) {
	return answering(`{"decision":` + decision + `}`)
}

// seen returns what was told so far.
func (h *fakeHost) seen() []event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// take returns what was told since the last call, in words.
func (h *fakeHost) take() (lines []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events[h.taken:] {
		lines = append(lines, e.line())
	}
	h.taken = len(h.events)
	return lines
}

// values are those of the events told so, or of all of them for "", that are of
// a type.
func values[T any](h *fakeHost, told string) (list []T) {
	for _, e := range h.seen() {
		if v, ok := e.value.(T); ok && (told == "" || e.told == told) {
			list = append(list, v)
		}
	}
	return list
}

// approvals are the requests to approve a command.
func (h *fakeHost) approvals() []*protocol.CommandExecutionRequestApprovalParams {
	return values[*protocol.CommandExecutionRequestApprovalParams](h, asks)
}

func (h *fakeHost) warnings() []string { return values[string](h, warn) }

// interrupts counts how often the turn was cancelled.
func (h *fakeHost) interrupts() (n int) {
	for _, e := range h.seen() {
		if e.told == interrupt {
			n++
		}
	}
	return n
}

// tooLong bounds the waits for what must come.
const tooLong = time.Minute

// until waits until something of a type was told so, and returns it.
func until[T any](t *testing.T, h *fakeHost, told string) T {
	t.Helper()
	limit := time.After(tooLong)
	for {
		h.mu.Lock()
		if h.changed == nil {
			h.changed = make(chan struct{})
		}
		changed := h.changed
		h.mu.Unlock()
		if v := values[T](h, told); len(v) > 0 {
			return v[0]
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatal("it was never told")
		}
	}
}

// command returns the start and the end of the only item, which is a command.
func (h *fakeHost) command(t *testing.T) (begin, end *protocol.CommandExecutionItem) {
	t.Helper()
	begins, ends := values[*protocol.CommandExecutionItem](h, begun), values[*protocol.CommandExecutionItem](h, ended)
	if len(begins) != 1 || len(ends) != 1 {
		t.Fatalf("item started %d times, completed %d times", len(begins), len(ends))
	}
	return begins[0], ends[0]
}

// deltas are all deltas of commands put together.
func (h *fakeHost) deltas() string {
	var b strings.Builder
	for _, d := range values[*protocol.CommandExecutionOutputDeltaNotification](h, "") {
		b.WriteString(d.Delta)
	}
	return b.String()
}

// bench is a registry with a home, beside a folder to work in, and one thread.
type bench struct {
	*Registry
	th        *Thread
	home, cwd string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{home: filepath.Join(base, "home"), cwd: filepath.Join(base, "work")}
	for _, dir := range []string{b.home, b.cwd} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.Registry = NewRegistry(Options{
		Home: b.home, Sandbox: sandbox.New(sandbox.Options{Protected: []string{b.home}}), Processes: process.NewManager(),
		Shell: shell.Shell{Path: "/bin/sh"}, Environ: os.Environ(),
	})
	for _, tool := range Builtin() {
		b.Add(tool)
	}
	b.th = b.Open(ThreadOptions{ID: "thread"})
	t.Cleanup(func() {
		b.th.Close()
		b.Close()
	})
	return b
}

// testOutput is how much output models get in tests, in tokens.
const testOutput = 10_000

// turn begins a turn of the thread. The policies are those of the wire.
func (b *bench) turn(h *fakeHost, approval protocol.ApprovalMode, policy protocol.SandboxPolicyType) *Turn {
	return b.th.Begin("turn", Env{
		OutputTokens: testOutput, Cwd: b.cwd, Approval: protocol.ApprovalPolicy{Mode: approval}, Sandbox: protocol.SandboxPolicy{Type: policy},
	}, h)
}

// env is a turn's settings in which patches are offered. Folders for temporary
// files are not writable, since the home lies in one.
func (b *bench) env(mode protocol.SandboxPolicyType, approval protocol.ApprovalMode) Env {
	return Env{
		Model: Model{Slug: "m", FreeformPatch: true, Images: true}, OutputTokens: testOutput, Cwd: b.cwd,
		Sandbox: protocol.SandboxPolicy{Type: mode, ExcludeSlashTmp: true, ExcludeTmpdirEnvVar: true}, Approval: protocol.ApprovalPolicy{Mode: approval},
	}
}

// begin begins a turn on a thread of its own.
func (b *bench) begin(t *testing.T, e Env, h *fakeHost, o ThreadOptions) *Turn {
	t.Helper()
	o.ID = "thread"
	th := b.Open(o)
	t.Cleanup(th.Close)
	return th.Begin("turn", e, h)
}

// exec calls exec_command, and waits for the end as long as it can unless more
// says otherwise. more is further members, such as `,"tty":true`.
func exec(t *Turn, ctx context.Context, cmd, more string) string {
	if !strings.Contains(more, "yield_time_ms") {
		more += waitLong
	}
	return t.Run(ctx, Call{ID: "c1", Name: "exec_command", Arguments: `{"login":false,"cmd":` + string(encode(cmd)) + more + `}`}).Text
}

// waitLong makes exec_command and write_stdin wait as long as they can.
const waitLong = `,"yield_time_ms":30000`

// untilGo makes a command wait for letGo.
const untilGo = "until test -e go; do sleep .01; done"

func (b *bench) letGo(t *testing.T) {
	t.Helper()
	writeFile(t, filepath.Join(b.cwd, "go"), "")
}

// printed is the output in an answer to the model.
func printed(answer string) string {
	_, text, _ := strings.Cut(answer, "\nOutput:\n")
	return text
}

// needSandbox skips a test where the host cannot confine commands.
func needSandbox(t *testing.T, b *bench) {
	t.Helper()
	if err := b.o.Sandbox.Probe().Err; err != nil {
		t.Skip(err)
	}
}

// call is a call of a function.
func call(name, args string) Call { return Call{ID: "c1", Name: name, Arguments: args} }

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(b)
}

// link makes or turns a symlink.
func link(t *testing.T, to, name string) {
	t.Helper()
	os.Remove(name)
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}
