package session

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/backend"
	"app-server/internal/config"
	"app-server/internal/process"
	"app-server/internal/prompt"
	"app-server/internal/tools"
	"app-server/protocol"
)

// note is a notification as the parent got it.
type note struct {
	Method string
	Params jsontext.Value
}

// get reads a member of the params by a path such as turn.status. Objects come
// as JSON, absent members as "".
func (n note) get(path string) string {
	v := n.Params
	for _, name := range strings.Split(path, ".") {
		var m map[string]jsontext.Value
		if json.Unmarshal(v, &m) != nil {
			return ""
		}
		v = m[name]
	}
	var s string
	if json.Unmarshal(v, &s) == nil && v.Kind() == '"' {
		return s
	}
	return string(v)
}

// fakeParent records notifications.
type fakeParent struct {
	mu    sync.Mutex
	notes []note
	came  chan note
	// hold, where set, is called before a notification is taken.
	hold func(ctx context.Context, method string) error
	// answer, where set, answers questions. Each is noted like a notification.
	answer func(ctx context.Context, method string) (string, error)
	asked  int64 // guarded by mu
}

func newParent() *fakeParent { return &fakeParent{came: make(chan note, 100_000)} }

func (p *fakeParent) Notify(ctx context.Context, method string, params any) error {
	if p.hold != nil {
		if err := p.hold(ctx, method); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(params)
	if err != nil {
		panic(err)
	}
	n := note{method, raw}
	p.mu.Lock()
	p.notes = append(p.notes, n)
	p.mu.Unlock()
	p.came <- n
	return nil
}

func (p *fakeParent) Ask(ctx context.Context, method string, params any) (int64, jsontext.Value, error) {
	if p.answer == nil {
		return -1, nil, errors.New("nothing is asked here")
	}
	p.mu.Lock()
	id := p.asked
	p.asked++
	p.mu.Unlock()
	if err := p.Notify(ctx, method, params); err != nil {
		return id, nil, err
	}
	answer, err := p.answer(ctx, method)
	return id, jsontext.Value(answer), err
}

// until waits for a notification of a method, passing others over.
func (p *fakeParent) until(t *testing.T, method string) note {
	t.Helper()
	deadline := time.After(time.Hour) // of fake time
	for {
		select {
		case n := <-p.came:
			if n.Method == method {
				return n
			}
		case <-deadline:
			t.Fatalf("no %s", method)
		}
	}
}

// all returns what came so far, of the methods given or of all.
func (p *fakeParent) all(methods ...string) []note {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []note
	for _, n := range p.notes {
		if len(methods) == 0 {
			out = append(out, n)
		}
		for _, m := range methods {
			if n.Method == m {
				out = append(out, n)
			}
		}
	}
	return out
}

func (p *fakeParent) methods() []string {
	var out []string
	for _, n := range p.all() {
		out = append(out, n.Method)
	}
	return out
}

// reply is one attempt of a response: events, errors that end it, durations and
// channels to wait for, functions to call.
type reply []any

// fakeModel plays replies in turn and records requests.
type fakeModel struct {
	mu       sync.Mutex
	replies  []reply
	requests []*backend.Request
	gone     int // streams that were left because their context ended
	// forever plays when the replies are used up.
	forever reply
}

func (m *fakeModel) Stream(ctx context.Context, r *backend.Request) iter.Seq2[backend.Event, error] {
	m.mu.Lock()
	m.requests = append(m.requests, r)
	script := m.forever
	if len(m.replies) > 0 {
		script, m.replies = m.replies[0], m.replies[1:]
	}
	m.mu.Unlock()
	return func(yield func(backend.Event, error) bool) {
		if !yield(backend.Event{Kind: backend.EventStarted}, nil) {
			return
		}
		for _, step := range script {
			var wait <-chan time.Time
			switch s := step.(type) {
			case backend.Event:
				if !yield(s, nil) {
					return
				}
			case *backend.Error:
				yield(backend.Event{}, s)
				return
			case func():
				s()
			case time.Duration:
				wait = time.After(s)
			}
			gate, gated := step.(chan struct{})
			if wait == nil && !gated {
				continue
			}
			select {
			case <-wait:
			case <-gate:
			case <-ctx.Done():
				m.mu.Lock()
				m.gone++
				m.mu.Unlock()
				yield(backend.Event{}, &backend.Error{Kind: backend.KindCanceled, Message: "cancelled", Err: ctx.Err()})
				return
			}
		}
	}
}

func (m *fakeModel) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.requests)
}

// request returns a request, counted from the end where i is negative.
func (m *fakeModel) request(i int) *backend.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i < 0 {
		i += len(m.requests)
	}
	return m.requests[i]
}

// said lists "role: text" of the messages of a request and "type call: output"
// of the outputs, without the context that every thread begins with.
func said(r *backend.Request) []string {
	var out []string
	for _, raw := range r.Input {
		var it struct {
			Type    string `json:"type"`
			Role    string `json:"role"`
			CallID  string `json:"call_id"`
			Output  string `json:"output"`
			Content []part `json:"content"`
		}
		if err := json.Unmarshal(raw, &it); err != nil {
			out = append(out, string(raw))
			continue
		}
		var text []string
		for _, c := range it.Content {
			text = append(text, c.Text+c.ImageURL)
		}
		line := strings.Join(text, "|")
		switch {
		case it.Role == roleDeveloper, strings.HasPrefix(line, "<environment_context>"):
			continue
		case strings.HasPrefix(line, "<turn_aborted>"):
			line = "ABORTED"
		case strings.HasPrefix(line, "<conversation_summary>"):
			_, line, _ = strings.Cut(strings.TrimSuffix(line, "\n</conversation_summary>"), "\n\n")
			line = "SUMMARY " + line
		case line == prompt.Compaction():
			line = "COMPACT"
		}
		switch {
		case it.Role != "":
			out = append(out, it.Role+": "+line)
		case strings.HasSuffix(it.Type, "_output"):
			out = append(out, it.Type+" "+it.CallID+": "+it.Output)
		default:
			out = append(out, it.Type+" "+it.CallID)
		}
	}
	return out
}

// Events of the backend.

func added(item string) backend.Event {
	return backend.Event{Kind: backend.EventItemAdded, Item: jsontext.Value(item)}
}

func done(item string) backend.Event {
	return backend.Event{Kind: backend.EventItemDone, Item: jsontext.Value(item)}
}

func messageAdded(id string) backend.Event {
	return added(`{"type":"message","role":"assistant","id":"` + id + `","content":[]}`)
}

func messageDone(id, text string) backend.Event {
	return done(`{"type":"message","role":"assistant","id":"` + id + `","content":[{"type":"output_text","text":"` + text + `"}]}`)
}

func delta(id, text string) backend.Event {
	return backend.Event{Kind: backend.EventTextDelta, ItemID: id, Delta: text}
}

func call(id, name, args string) backend.Event {
	raw, _ := json.Marshal(args)
	return done(`{"type":"function_call","id":"fc_` + id + `","call_id":"` + id + `","name":"` + name + `","arguments":` + string(raw) + `}`)
}

func completed(usage ...int64) backend.Event {
	c := &backend.Completed{ID: "resp"}
	if len(usage) == 3 {
		c.Usage = &backend.Usage{Input: usage[0], Output: usage[1], Total: usage[2]}
	}
	return backend.Event{Kind: backend.EventCompleted, Response: c}
}

// say is a whole response of one message.
func say(text string) reply { return reply{messageDone("m", text), completed(1, 2, 3)} }

const testConfig = `
model = "mock-model"
model_provider = "mock"
approval_policy = "never"
sandbox_mode = "danger-full-access"
[model_providers.mock]
name = "Mock"
base_url = "http://127.0.0.1:9/v1"
stream_max_retries = 2
`

// world is a manager with its fakes.
type world struct {
	*Manager
	t      *testing.T
	parent *fakeParent
	model  *fakeModel
	home   string
	thread string // the id of the last thread started
}

// newWorld makes a manager. Shut it down before a synctest bubble ends.
func newWorld(t *testing.T, cfg string, replies ...reply) *world {
	t.Helper()
	return newWorldTools(t, cfg, nil, replies...)
}

// newWorldTools makes a manager with some tools, none of which runs commands.
func newWorldTools(t *testing.T, cfg string, offered []tools.Tool, replies ...reply) *world {
	t.Helper()
	registry := newRegistry(offered...)
	home := t.TempDir()
	w := &world{t: t, parent: newParent(), model: &fakeModel{replies: replies, forever: say("more")}, home: home}
	w.Manager = NewManager(Options{
		Parent: w.parent, Model: w.model, Tools: registry, Version: "1.2.3", Cwd: home,
		Config: configOf(t, home, cfg),
		Getenv: func(name string) string { return map[string]string{"SHELL": "/bin/bash"}[name] },
	})
	return w
}

func newRegistry(offered ...tools.Tool) *tools.Registry {
	r := tools.NewRegistry(tools.Options{Processes: process.NewManager()})
	for _, t := range offered {
		r.Add(t)
	}
	return r
}

// tool makes a tool that answers by f.
func tool(name string, f func(context.Context, *tools.Turn, tools.Call) tools.Output) tools.Tool {
	return tools.Tool{Name: name, Run: f}
}

// loadConfig reads cfg as the config.toml of home.
func loadConfig(t testing.TB, home, cfg string) *config.Config {
	t.Helper()
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(config.Options{Home: home, Cwd: home, Getenv: func(string) string { return "" }})
}

// configOf reads cfg once, for Options.
func configOf(t testing.TB, home, cfg string) func() *config.Config {
	t.Helper()
	c := loadConfig(t, home, cfg)
	return func() *config.Config { return c }
}

// start starts a thread from params as JSON.
func (w *world) start(params string) protocol.ThreadStartResponse {
	w.t.Helper()
	r, then, err := w.StartThread(w.t.Context(), w.config(), decode[protocol.ThreadStartParams](w.t, params))
	if err != nil {
		w.t.Fatalf("StartThread(%s) = %v", params, err)
	}
	then()
	w.thread = r.Thread.ID
	return r
}

func decode[P any](t *testing.T, params string) *P {
	t.Helper()
	var p P
	if err := protocol.Decode(jsontext.Value(params), &p); err != nil {
		t.Fatalf("Decode(%s) = %v", params, err)
	}
	return &p
}

func text(s string) []protocol.UserInput {
	return []protocol.UserInput{{Type: protocol.InputText, Text: s}}
}

// begin starts a turn and returns its id.
func (w *world) begin(input string, with ...func(*protocol.TurnStartParams)) string {
	w.t.Helper()
	p := &protocol.TurnStartParams{ThreadID: w.thread, Input: text(input)}
	for _, f := range with {
		f(p)
	}
	r, then, err := w.StartTurn(w.t.Context(), p)
	if err != nil {
		w.t.Fatalf("StartTurn = %v", err)
	}
	if then != nil {
		then()
	}
	return r.Turn.ID
}

// turn runs a turn and returns its turn/completed.
func (w *world) turn(input string, with ...func(*protocol.TurnStartParams)) note {
	w.t.Helper()
	id := w.begin(input, with...)
	for {
		n := w.parent.until(w.t, protocol.MethodTurnCompleted)
		if n.get("turn.id") == id {
			return n
		}
	}
}

func (w *world) ok(input string, with ...func(*protocol.TurnStartParams)) {
	w.t.Helper()
	if n := w.turn(input, with...); n.get("turn.status") != "completed" {
		w.t.Fatalf("the turn ended as %s", n.Params)
	}
}

func (w *world) interrupt(turn string) error {
	_, then, err := w.InterruptTurn(w.t.Context(), &protocol.TurnInterruptParams{ThreadID: w.thread, TurnID: turn})
	if err == nil {
		then()
	}
	return err
}

func (w *world) steer(turn, input string) error {
	p := &protocol.TurnSteerParams{ThreadID: w.thread, ExpectedTurnID: turn}
	if input != "" {
		p.Input = text(input)
	}
	_, then, err := w.SteerTurn(w.t.Context(), p)
	if err == nil {
		then()
	}
	return err
}

// reason is the reason of a refusal.
func reason(err error) string {
	var e *protocol.Error
	if !errors.As(err, &e) {
		return "no protocol error"
	}
	return e.Reason
}
