package tools

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/process"
	"app-server/internal/sandbox"
	"app-server/protocol"
)

// recorder records what tools tell the parent, as "method detail" lines, and
// answers questions.
type recorder struct {
	mu    sync.Mutex
	lines []string
	items []protocol.ThreadItem // completed ones
	notes []any
	asked []any
	// answer answers a question; without it nobody ever answers.
	answer func(method string, params any) (string, error)
	// waiting gets a value when a question is open.
	waiting chan struct{}
}

func (h *recorder) add(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, fmt.Sprintf(format, args...))
}

func (h *recorder) ItemStarted(i protocol.ThreadItem) { h.add("started %s", statusOf(i)) }

func (h *recorder) ItemCompleted(i protocol.ThreadItem) {
	h.add("completed %s", statusOf(i))
	h.mu.Lock()
	defer h.mu.Unlock()
	h.items = append(h.items, i)
}

func (h *recorder) Notify(method string, params any) {
	h.add("%s", method)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notes = append(h.notes, params)
}

func (h *recorder) Progress(_ context.Context, method string, params any) { h.Notify(method, params) }

func (h *recorder) Ask(ctx context.Context, flag protocol.ThreadActiveFlag, method string, params any) (jsontext.Value, error) {
	h.add("ask %s", flag)
	h.mu.Lock()
	h.asked = append(h.asked, params)
	h.mu.Unlock()
	if h.answer == nil {
		if h.waiting != nil {
			h.waiting <- struct{}{}
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	raw, err := h.answer(method, params)
	return jsontext.Value(raw), err
}

func (h *recorder) Interrupt()          { h.add("interrupt") }
func (h *recorder) Warn(message string) { h.add("warn %s", message) }
func (h *recorder) take() (lines []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	lines, h.lines = h.lines, nil
	return lines
}

// answering makes an answer that is always the same.
func answering(raw string) func(string, any) (string, error) {
	return func(string, any) (string, error) { return raw, nil }
}

func statusOf(i protocol.ThreadItem) string {
	switch i := i.(type) {
	case *protocol.FileChangeItem:
		return string(i.Status)
	case *protocol.DynamicToolCallItem:
		return string(i.Status)
	case *protocol.ImageViewItem:
		return string(i.Type)
	}
	return fmt.Sprintf("%T", i)
}

// place is a registry with a home, beside a folder to work in.
type place struct {
	r         *Registry
	home, cwd string
}

func newPlace(t *testing.T) place {
	t.Helper()
	// Not below $TMPDIR or /tmp: those are writable in workspace-write.
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := place{home: filepath.Join(base, "home"), cwd: filepath.Join(base, "work")}
	for _, dir := range []string{p.home, p.cwd} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.r = NewRegistry(Options{
		Home: p.home, Sandbox: sandbox.New(sandbox.Options{Protected: []string{p.home}}), Processes: process.NewManager(),
	})
	for _, tool := range Builtin() {
		p.r.Add(tool)
	}
	t.Cleanup(p.r.Close)
	return p
}

// env is a turn's settings in which patches are offered.
func (p place) env(mode protocol.SandboxPolicyType, approval protocol.ApprovalMode) Env {
	e := Env{
		Model: Model{Slug: "m", FreeformPatch: true, Images: true}, Cwd: p.cwd,
		Sandbox: protocol.SandboxPolicy{Type: mode, ExcludeSlashTmp: true, ExcludeTmpdirEnvVar: true}, Approval: protocol.ApprovalPolicy{Mode: approval},
	}
	return e
}

// turn begins a turn on a thread of its own.
func (p place) turn(t *testing.T, e Env, h *recorder, o ThreadOptions) *Turn {
	t.Helper()
	o.ID = "thread"
	th := p.r.Open(o)
	t.Cleanup(th.Close)
	return th.Begin("turn", e, h)
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
