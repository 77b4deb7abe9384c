package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/internal/fake"
	"app-server/internal/sandbox"
	"app-server/protocol"
)

// The files of the module that the agent works on. Words counts blanks that
// follow each other as words, which its test finds.
const (
	wordsModule = "module example.com/words\n\ngo 1.24\n"
	wordsFile   = `package words

import "strings"

// Count counts the words of a text.
func Count(text string) int {
	return len(strings.Split(text, " "))
}
`
	wordsTest = `package words

import "testing"

func TestCount(t *testing.T) {
	if n := Count("one  two"); n != 2 {
		t.Errorf("%d words", n)
	}
}
`
)

// agentModel is the model at work. It answers only where it has seen what the
// answer is about, so that an output which does not come through fails the test:
// it breaks the build, tries to build inside of the sandbox, where Go may not
// write its files, asks to build outside, reads what is wrong, mends it, and runs
// the test again, for which it needs no new permission.
const agentModel = `
reply sse
created
done "I take strings.Fields."
custom break apply_patch "*** Begin Patch\n*** Update File: words.go\n@@ func Count(text string) int {\n-\treturn len(strings.Split(text, \" \"))\n+\treturn len(strngs.Fields(text))\n*** End Patch"
completed
reply sse
when body Patch applied
created
call inside shell_command {"command":"go vet ./...","login":false,"timeout_ms":300000}
completed
reply sse
when body creating work dir
created
call vet shell_command {"command":"go vet ./...","login":false,"timeout_ms":300000,"sandbox_permissions":"require_escalated","justification":"Go writes its files outside of the project. May it?"}
call test shell_command {"command":"go test ./...","login":false,"timeout_ms":300000,"sandbox_permissions":"require_escalated","justification":"May I run the tests?","prefix_rule":["go","test"]}
completed
reply sse
when body undefined: strngs
created
done "A letter is missing."
custom mend apply_patch "*** Begin Patch\n*** Update File: words.go\n@@\n-\treturn len(strngs.Fields(text))\n+\treturn len(strings.Fields(text))\n*** End Patch"
call again shell_command {"command":"go test ./...","login":false,"timeout_ms":300000,"sandbox_permissions":"require_escalated","justification":"May I run the tests?"}
completed
reply sse
when body ok  \texample.com/words
answer "Count takes blanks together now, and its test passes."
`

// agentSession is what a parent has seen of the turn.
type agentSession struct {
	mu    sync.Mutex
	items []string // each with its status, in the order of their ends
	asked []string
	diff  string
	ended chan protocol.Turn
}

func (s *agentSession) note(list *[]string, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, fmt.Sprintf(format, args...))
}

// notification is called in the order of the notifications.
func (s *agentSession) notification(method string, params jsontext.Value) {
	var p struct {
		Item struct {
			Type, ID, Status string
			Text             string
			ExitCode         *int
		} `json:"item"`
		Diff string        `json:"diff"`
		Turn protocol.Turn `json:"turn"`
	}
	if json.Unmarshal(params, &p, json.MatchCaseInsensitiveNames(true)) != nil {
		return
	}
	switch i := p.Item; {
	case method == protocol.MethodItemCompleted && i.Type == "agentMessage":
		s.note(&s.items, "says %s", i.Text)
	case method == protocol.MethodItemCompleted && i.ExitCode != nil:
		s.note(&s.items, "%s %s, exit code %d", i.ID, i.Status, *i.ExitCode)
	case method == protocol.MethodItemCompleted && i.Status != "":
		s.note(&s.items, "%s %s", i.ID, i.Status)
	case method == protocol.MethodTurnDiffUpdated:
		s.mu.Lock()
		s.diff = p.Diff
		s.mu.Unlock()
	case method == protocol.MethodTurnCompleted:
		s.ended <- p.Turn
	}
}

// approve says yes to a command, and for good where the model proposed a rule for
// it.
func (s *agentSession) approve(_ context.Context, params jsontext.Value) (any, error) {
	var p protocol.CommandExecutionRequestApprovalParams
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, err
	}
	s.note(&s.asked, "%s: %s", p.ItemID, *p.Reason)
	if len(p.ProposedExecpolicyAmendment) == 2 {
		return map[string]any{"decision": map[string]any{"acceptWithExecpolicyAmendment": map[string]any{"execpolicy_amendment": p.ProposedExecpolicyAmendment}}}, nil
	}
	return map[string]any{"decision": "accept"}, nil
}

// TestAgent has the server, as a child, work on a real Go module.
func TestAgent(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go tool")
	}
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Skip("there is no go tool:", err)
	}
	if err := sandbox.New(sandbox.Options{}).Probe().Err; err != nil {
		t.Skip("commands cannot be confined here:", err)
	}
	home, project := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"go.mod": wordsModule, "words.go": wordsFile, "words_test.go": wordsTest} {
		if err := os.WriteFile(filepath.Join(project, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	replies, err := fake.ParseReplies(agentModel, 1)
	if err != nil {
		t.Fatal(err)
	}
	backend := fake.NewBackend(replies...)
	endpoint, err := backend.ListenLoopback()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Close)
	t.Cleanup(endpoint.Close)
	config := fmt.Sprintf(`model = "gpt-5.2"
model_provider = "mock"
approval_policy = "on-request"
sandbox_mode = "workspace-write"
[sandbox_workspace_write]
exclude_slash_tmp = true
exclude_tmpdir_env_var = true
[model_providers.mock]
name = "Mock"
base_url = "%s/v1"
`, endpoint.URL)
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}

	s := &agentSession{ended: make(chan protocol.Turn, 1)}
	parent, err := fake.Spawn(fake.Launch{Path: serverBinary(t), Args: []string{leadingWord}, Dir: project, Env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "CODEX_HOME=" + home,
		"GOCACHE=" + strings.TrimSpace(string(goCache)), "GOTOOLCHAIN=local", "GOPROXY=off", "GOFLAGS=",
	}}, fake.ParentOptions{
		Notification: s.notification,
		Requests:     map[string]func(context.Context, jsontext.Value) (any, error){protocol.MethodItemCommandExecutionRequestApproval: s.approve},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	call := func(method string, params, result any) {
		t.Helper()
		if err := parent.Call(ctx, method, params, result); err != nil {
			t.Fatal(err, parent.Stderr())
		}
	}
	call(protocol.MethodInitialize, map[string]any{"clientInfo": map[string]any{"name": "agent", "version": "1"}}, nil)
	if err := parent.Notify("initialized", nil); err != nil {
		t.Fatal(err)
	}
	var started protocol.ThreadStartResponse
	call(protocol.MethodThreadStart, map[string]any{}, &started)
	call(protocol.MethodTurnStart, map[string]any{"threadId": started.Thread.ID, "input": []any{map[string]any{"type": "text", "text": "Blanks that follow each other are one."}}}, nil)
	var turn protocol.Turn
	select {
	case turn = <-s.ended:
	case <-parent.Gone():
		t.Fatal("the server has ended: ", parent.Stderr())
	case <-ctx.Done():
		t.Fatal("the turn did not end")
	}
	if code, err := parent.Close(ctx); code != 0 || err != nil {
		t.Errorf("end of the server: code %d, %v\n%s", code, err, parent.Stderr())
	}

	if turn.Status != protocol.TurnCompleted {
		t.Errorf("the turn ended as %s: %+v", turn.Status, turn.Error)
	}
	// Two commands run side by side, and are asked about so.
	slices.Sort(s.asked)
	if len(s.items) > 5 {
		slices.Sort(s.items[3:5])
	}
	if diff := cmp.Diff([]string{
		"says I take strings.Fields.", "break completed",
		"inside failed, exit code 1", "test failed, exit code 1", "vet failed, exit code 1",
		"says A letter is missing.", "mend completed", "again completed, exit code 0",
		"says Count takes blanks together now, and its test passes.",
	}, s.items); diff != "" {
		t.Error(diff)
		for _, r := range backend.Requests() {
			t.Logf("%s", r.Body)
		}
	}
	if diff := cmp.Diff([]string{"test: May I run the tests?", "vet: Go writes its files outside of the project. May it?"}, s.asked); diff != "" {
		t.Error(diff)
	}
	_, hunk, _ := strings.Cut(s.diff, "@@ -")
	if want := "4,5 +4,5 @@\n \n // Count counts the words of a text.\n func Count(text string) int {\n-\treturn len(strings.Split(text, \" \"))\n+\treturn len(strings.Fields(text))\n }\n"; hunk != want {
		t.Errorf("the diff of the turn: %s", s.diff)
	}
	for name, want := range map[string]string{
		filepath.Join(project, "words.go"):            strings.Replace(wordsFile, `strings.Split(text, " ")`, "strings.Fields(text)", 1),
		filepath.Join(home, "rules", "default.rules"): "prefix_rule(pattern=[\"go\", \"test\"], decision=\"allow\")\n",
	} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}
