package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/internal/fake"
)

var reference = flag.String("reference", "", "carry threads back and forth with this program codex, of version 0.125.0")

// TestInterop carries a thread between this server and the reference: each goes
// on with what the other wrote, shows the same turns, and tells the model all of
// it.
func TestInterop(t *testing.T) {
	if *reference == "" {
		t.Skip("no -reference is given")
	}
	programs := map[string][]string{"ours": {serverBinary(t), leadingWord}, "reference": {*reference, "app-server"}}
	for _, order := range [][]string{{"ours", "reference", "ours"}, {"reference", "ours", "reference"}} {
		t.Run(strings.Join(order, " "), func(t *testing.T) {
			w := newCarrier(t)
			var before any
			for i, name := range order {
				before = w.carry(t, programs[name], before, fmt.Sprintf("question %d", i+1))
				w.mu.Lock()
				for n := range i + 1 {
					if !bytes.Contains(w.last, fmt.Appendf(nil, "question %d", n+1)) {
						t.Errorf("%s does not tell the model of question %d", name, n+1)
					}
				}
				w.mu.Unlock()
			}
		})
	}
}

// carrier is a home that two programs share, and their backend.
type carrier struct {
	dir, home string
	thread    string

	mu   sync.Mutex
	last []byte // guarded by mu; the last request
}

func newCarrier(t *testing.T) *carrier {
	w := &carrier{dir: t.TempDir()}
	w.home = filepath.Join(w.dir, "home")
	backend := httptest.NewServer(w)
	t.Cleanup(backend.Close)
	if err := os.MkdirAll(w.home, 0o700); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("model = \"gpt-5.2\"\nmodel_provider = \"m\"\napproval_policy = \"never\"\nsandbox_mode = \"danger-full-access\"\n[model_providers.m]\nname = \"m\"\nwire_api = \"responses\"\nbase_url = %q\n", backend.URL+"/v1")
	if err := os.WriteFile(filepath.Join(w.home, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// ServeHTTP lets the model think, run a command, and answer.
func (w *carrier) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/responses") {
		http.NotFound(out, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the program has ended
	}
	w.mu.Lock()
	w.last = body
	w.mu.Unlock()
	events := []string{
		`{"type":"response.output_item.done","item":{"type":"reasoning","id":"r1","summary":[{"type":"summary_text","text":"thinking"}],"encrypted_content":"E"}}`,
		`{"type":"response.output_item.done","item":{"type":"function_call","call_id":"c1","name":"exec_command","arguments":"{\"cmd\":\"echo kept\"}"}}`,
	}
	if turn := body[bytes.LastIndex(body, []byte(`"question `)):]; bytes.Contains(turn, []byte("function_call_output")) {
		events = []string{`{"type":"response.output_item.done","item":{"type":"message","role":"assistant","id":"m1","content":[{"type":"output_text","text":"answer"}]}}`}
	}
	out.Header().Set("Content-Type", "text/event-stream")
	for _, e := range append(events, `{"type":"response.completed","response":{"id":"r","usage":{"input_tokens":10,"output_tokens":2,"total_tokens":12}}}`) {
		fmt.Fprintf(out, "data: %s\n\n", e)
	}
}

func (w *carrier) spawn(t *testing.T, program []string, notified func(string, jsontext.Value)) *fake.Parent {
	t.Helper()
	p, err := fake.Spawn(fake.Launch{
		Path: program[0], Args: program[1:], Dir: w.dir,
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "CODEX_HOME=" + w.home},
	}, fake.ParentOptions{Notification: notified})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// carry goes on with the thread in a program: its turns must be those that were
// seen before. It returns all turns as they are seen then.
func (w *carrier) carry(t *testing.T, program []string, before any, words string) any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), childLimit)
	defer cancel()
	ended := make(chan struct{}, 1)
	p := w.spawn(t, program, func(method string, _ jsontext.Value) {
		if method == "turn/completed" {
			ended <- struct{}{}
		}
	})
	call := func(method, params string) seenThread {
		t.Helper()
		var r seenThread
		if err := p.Call(ctx, method, jsontext.Value(params), &r); err != nil {
			t.Fatalf("%s: %v\n%s", method, err, p.Stderr())
		}
		return r
	}
	call("initialize", `{"clientInfo":{"name":"carrier","version":"1"},"capabilities":{"experimentalApi":true}}`)
	if w.thread == "" {
		w.thread = call("thread/start", `{"persistExtendedHistory":true}`).Thread.ID
	} else {
		seen := call("thread/resume", `{"threadId":"`+w.thread+`","persistExtendedHistory":true}`)
		if diff := cmp.Diff(before, seen.plain()); diff != "" {
			t.Errorf("%s: the turns before (-) and now (+)\n%s", program[0], diff)
		}
	}
	call("turn/start", `{"threadId":"`+w.thread+`","input":[{"type":"text","text":"`+words+`"}]}`)
	select {
	case <-ended:
	case <-ctx.Done():
		t.Fatalf("the turn does not end\n%s", p.Stderr())
	}
	if _, err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	return w.look(t, program)
}

// look reads the turns as a new process of the program shows them.
func (w *carrier) look(t *testing.T, program []string) any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), childLimit)
	defer cancel()
	p := w.spawn(t, program, nil)
	var r seenThread
	err := p.Call(ctx, "initialize", jsontext.Value(`{"clientInfo":{"name":"carrier","version":"1"}}`), nil)
	if err == nil {
		err = p.Call(ctx, "thread/read", jsontext.Value(`{"threadId":"`+w.thread+`","includeTurns":true}`), &r)
	}
	if _, closeErr := p.Close(ctx); err == nil {
		err = closeErr
	}
	if err != nil {
		t.Fatal(err)
	}
	return r.plain()
}

type seenThread struct {
	Thread struct {
		ID    string           `json:"id"`
		Turns []map[string]any `json:"turns"`
	} `json:"thread"`
}

// plain is the turns without what the reference numbers anew each time.
func (s *seenThread) plain() any {
	for _, turn := range s.Thread.Turns {
		items, _ := turn["items"].([]any)
		for _, it := range items {
			if item, ok := it.(map[string]any); ok {
				delete(item, "id")
			}
		}
	}
	raw, err := json.Marshal(s.Thread.Turns, json.Deterministic(true))
	if err != nil {
		return err
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	return v
}
