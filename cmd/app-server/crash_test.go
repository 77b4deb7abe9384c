package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"app-server/internal/fake"
	"app-server/internal/rollout"
	"app-server/protocol"
)

var crashRounds = flag.Int("crashes", 8, "how often the server is killed in TestCrash")

// crashSteps are the responses of one turn: items of many kinds, a few
// milliseconds apart.
var crashSteps = [][]string{
	{
		`{"type":"response.created","response":{"id":"r"}}`,
		`{"type":"response.output_item.done","item":{"type":"reasoning","id":"r1","summary":[{"type":"summary_text","text":"thinking"}],"encrypted_content":"E"}}`,
		`{"type":"response.output_item.added","item":{"type":"message","role":"assistant","id":"m1","content":[]}}`,
		`{"type":"response.output_text.delta","delta":"I look."}`,
		`{"type":"response.output_item.done","item":{"type":"message","role":"assistant","id":"m1","content":[{"type":"output_text","text":"I look."}]}}`,
		`{"type":"response.output_item.done","item":{"type":"function_call","call_id":"c1","name":"exec_command","arguments":"{\"cmd\":\"printf one; sleep 0.01; printf two\",\"login\":false}"}}`,
		`{"type":"response.output_item.done","item":{"type":"custom_tool_call","call_id":"c2","name":"apply_patch","input":"*** Begin Patch\n*** Add File: new.txt\n+text\n*** End Patch"}}`,
		`{"type":"response.completed","response":{"id":"r","usage":{"input_tokens":10,"output_tokens":2,"total_tokens":12}}}`,
	},
	{
		`{"type":"response.output_item.done","item":{"type":"web_search_call","id":"w1","action":{"type":"search","query":"x"}}}`,
		`{"type":"response.output_item.done","item":{"type":"function_call","call_id":"c3","name":"exec_command","arguments":"{\"cmd\":\"printf three\",\"login\":false}"}}`,
		`{"type":"response.completed","response":{"id":"r"}}`,
	},
	{
		`{"type":"response.output_item.done","item":{"type":"message","role":"assistant","id":"m2","content":[{"type":"output_text","text":"Done."}]}}`,
		`{"type":"response.completed","response":{"id":"r"}}`,
	},
}

// crashBackend answers by how many calls of the running turn have an output.
func crashBackend(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server was killed
	}
	turn := body[bytes.LastIndex(body, []byte(`"text":"go"`)):]
	step := min((bytes.Count(turn, []byte(`_call_output"`))+1)/2, len(crashSteps)-1)
	w.Header().Set("Content-Type", "text/event-stream")
	for _, event := range crashSteps[step] {
		if _, err := fmt.Fprintf(w, "data: %s\n\n", event); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		time.Sleep(2 * time.Millisecond) // a model is slower
	}
}

// TestCrash kills the server at random moments of turns. Each time another one
// must resume the thread; every item that was reported complete is there as it
// was told, no turn runs, and the thread goes on. -crashes says how often.
func TestCrash(t *testing.T) {
	server := serverBinary(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	backend := httptest.NewServer(http.HandlerFunc(crashBackend))
	defer backend.Close()
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("model = \"gpt-5.2\"\nmodel_provider = \"m\"\napproval_policy = \"never\"\nsandbox_mode = \"danger-full-access\"\n[model_providers.m]\nname = \"m\"\nbase_url = %q\n", backend.URL+"/v1")
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &crasher{told: newToldTurns(), home: home, launch: fake.Launch{
		Path: server, Args: []string{leadingWord}, Dir: dir,
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "CODEX_HOME=" + home},
	}}
	for round := range *crashRounds {
		if round%20 == 0 {
			c.thread = "" // threads of some length, but not without end
		}
		c.round(t, time.Duration(random.Int64N(int64(120*time.Millisecond))))
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	c.round(t, 0)
	var interrupted, whole int
	for _, end := range c.told.ends {
		if strings.Contains(end, `"completed"`) {
			whole++
		}
	}
	interrupted = len(c.told.items) - len(c.told.ends)
	t.Logf("of the last thread %d turns died and %d ended before the kill", interrupted, whole)
}

// crasher is the parent of servers that are killed.
type crasher struct {
	launch fake.Launch
	home   string
	thread string

	mu    sync.Mutex
	told  *toldTurns // guarded by mu
	began bool       // guarded by mu; whether the parent has heard of words of the user in this thread
}

// ended waits for the end of a turn.
func (c *crasher) ended(ctx context.Context, turn string) bool {
	for {
		c.mu.Lock()
		end := c.told.ends[turn]
		c.mu.Unlock()
		if end != "" {
			return strings.Contains(end, `"completed"`)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// round starts a server, resumes the thread, compares, and kills the server a
// while after a turn was begun. With 0 it lets the turn and the server end.
func (c *crasher) round(t *testing.T, lives time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), childLimit)
	defer cancel()
	process, err := fake.StartChild(c.launch)
	if err != nil {
		t.Fatal(err)
	}
	defer process.Kill()
	parent := fake.NewParent(process, fake.ParentOptions{Trace: func(d fake.Direction, line []byte) {
		if d == fake.FromServer {
			c.mu.Lock()
			c.told.line(string(line))
			c.began = c.began || len(c.told.items) > 0
			c.mu.Unlock()
		}
	}})
	call := func(method string, params, result any) error { return parent.Call(ctx, method, params, result) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%v\n%s", err, parent.Stderr())
		}
	}
	must(call("initialize", map[string]any{"clientInfo": map[string]any{"name": "crash", "version": "1"}}, nil))
	var r struct {
		Thread struct {
			ID     string                `json:"id"`
			Status protocol.ThreadStatus `json:"status"`
			Turns  []struct {
				Status protocol.TurnStatus `json:"status"`
			} `json:"turns"`
		} `json:"thread"`
	}
	c.mu.Lock()
	began := c.began
	c.mu.Unlock()
	if c.thread != "" && began {
		must(call("thread/resume", map[string]any{"threadId": c.thread}, &r))
		if r.Thread.Status.Type != protocol.StatusIdle {
			t.Errorf("status %s after a kill", r.Thread.Status.Type)
		}
		for _, turn := range r.Thread.Turns {
			if turn.Status == protocol.TurnInProgress {
				t.Error("a dead turn is shown as running")
			}
		}
	} else {
		must(call("thread/start", map[string]any{}, &r))
		c.thread = r.Thread.ID
		c.mu.Lock()
		c.told, c.began = newToldTurns(), false
		c.mu.Unlock()
	}
	var turn struct {
		Turn struct {
			ID string `json:"id"`
		} `json:"turn"`
	}
	must(call("turn/start", map[string]any{"threadId": c.thread, "input": []map[string]string{{"type": "text", "text": "go"}}}, &turn))
	if lives > 0 {
		time.Sleep(lives)
		process.Kill()
	} else if !c.ended(ctx, turn.Turn.ID) {
		t.Error("the turn after the kills does not end")
	}
	_, _ = parent.Close(ctx) // mostly it died by a signal
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told.checkStored(t, c.home)
	log, err := rollout.New(c.home).Read(ctx, c.thread)
	if err != nil {
		if c.began {
			t.Error(err)
		}
		return
	}
	for id := range c.told.items {
		if !slices.Contains(log.TurnIDs(), id) {
			t.Errorf("the turn %s was told of and is lost", id)
		}
	}
}
