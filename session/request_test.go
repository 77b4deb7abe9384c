package session

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/internal/backend"
	"app-server/protocol"
)

// roles lists the roles of a request's messages.
func roles(r *backend.Request) string {
	var out []string
	for _, raw := range r.Input {
		out = append(out, note{Params: raw}.get("role"))
	}
	return strings.Join(out, " ")
}

func TestRequestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		if err := os.WriteFile(filepath.Join(w.home, "AGENTS.md"), []byte("Always-say-xyzzy"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := w.start(`{"sandbox":"read-only","baseInstructions":"BASE","developerInstructions":"DEV","personality":"friendly"}`)
		if d := cmp.Diff([]string{filepath.Join(w.home, "AGENTS.md")}, r.InstructionSources); d != "" {
			t.Error(d)
		}
		w.ok("words")
		q := w.model.request(0)
		if got := roles(q); got != "developer user user" {
			t.Fatalf("roles %s", got)
		}
		for i, want := range [][]string{{"read-only", `"DEV"`, "<personality>"}, {"Always-say-xyzzy", "<environment_context>", w.home, "bash", "2000-01-01"}, {`"words"`}} {
			for _, s := range want {
				if !strings.Contains(string(q.Input[i]), s) {
					t.Errorf("message %d lacks %q: %s", i, s, q.Input[i])
				}
			}
		}
		if q.Instructions != "BASE" || q.ThreadID != w.thread || q.Model != "mock-model" || q.Reasoning != nil || len(q.Tools) != 0 {
			t.Errorf("request %+v", q)
		}
	})
}

// TestStablePrefix changes everything that may change between turns: what was
// sent is never rewritten.
func TestStablePrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig, reply{call("c", "nope", "{}"), completed()})
		defer w.Shutdown(t.Context())
		sub := filepath.Join(w.home, "sub")
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sub, "AGENTS.md"), []byte("SUBRULE"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.start(`{}`)
		w.ok("1")
		w.ok("2")
		if got := roles(w.model.request(-1)); got != "developer user user   assistant user" {
			t.Errorf("roles without a change: %q", got)
		}
		high, detailed := protocol.EffortHigh, protocol.SummaryDetailed
		w.ok("3", func(p *protocol.TurnStartParams) {
			p.Cwd = &sub
			p.Model = new(string)
			*p.Model = "gpt-5.2"
			p.ApprovalPolicy = &protocol.ApprovalPolicy{Mode: protocol.ApprovalOnRequest}
			p.SandboxPolicy = &protocol.SandboxPolicy{Type: protocol.PolicyReadOnly}
			p.Effort, p.Summary = &high, &detailed
			p.ServiceTier = protocol.Some(protocol.TierFlex)
		})
		changed := w.model.request(-1)
		tail := ""
		for _, raw := range changed.Input[len(w.model.request(-2).Input):] {
			tail += string(raw)
		}
		for _, s := range []string{"on-request", "read-only", sub, "SUBRULE", "gpt-5.2"} {
			if !strings.Contains(tail, s) {
				t.Errorf("the model was not told %q", s)
			}
		}
		if d := cmp.Diff(&backend.Reasoning{Effort: "high", Summary: "detailed"}, changed.Reasoning); d != "" || changed.ServiceTier != "flex" {
			t.Errorf("reasoning %s tier %q", d, changed.ServiceTier)
		}
		time.Sleep(24 * time.Hour) // the date changes
		w.ok("4", func(p *protocol.TurnStartParams) { p.ServiceTier = protocol.Null[protocol.ServiceTier]() })
		last := w.model.request(-1)
		if last.ServiceTier != "" || last.Model != "gpt-5.2" || last.Reasoning.Effort != "high" {
			t.Errorf("overrides did not stick: %q %q %v", last.ServiceTier, last.Model, last.Reasoning)
		}
		if !strings.Contains(string(last.Input[len(last.Input)-2]), "2000-01-02") {
			t.Errorf("the new date was not told: %s", last.Input[len(last.Input)-2])
		}
		for i := 1; i < w.model.count(); i++ {
			a, b := w.model.request(i-1), w.model.request(i)
			if d := cmp.Diff(a.Input, b.Input[:len(a.Input)]); d != "" {
				t.Errorf("request %d rewrote history: %s", i, d)
			}
			if a.Instructions != b.Instructions {
				t.Errorf("request %d has other instructions", i)
			}
		}
	})
}

// TestHistoryForms: what the model said goes back as it came, but for ids.
func TestHistoryForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		items := []string{
			`{"type":"reasoning","summary":[],"encrypted_content":"SECRET"}`,
			`{"type":"message","role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"a"}]}`,
			`{"type":"web_search_call","status":"completed","action":{"type":"search","query":"q"}}`,
		}
		var script reply
		for i, it := range items {
			script = append(script, done(`{"id":"i`+string(rune('0'+i))+`",`+it[1:]))
		}
		script = append(script, done(`{"type":"martian","id":"z"}`), done(`{"type":"message","content":7}`), completed())
		w := newWorld(t, testConfig, script)
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		w.ok("1")
		w.ok("2")
		in := w.model.request(-1).Input
		var got []string
		for _, raw := range in[3 : len(in)-1] {
			got = append(got, string(raw))
		}
		if d := cmp.Diff(items, got); d != "" {
			t.Error(d)
		}
	})
}

func TestOutputSchemaOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		w.start(`{}`)
		schema := `{"type":"object"}`
		w.ok("1", func(p *protocol.TurnStartParams) { p.OutputSchema = jsontext.Value(schema) })
		w.ok("2", func(p *protocol.TurnStartParams) { p.OutputSchema = jsontext.Value("null") })
		if got := string(w.model.request(0).OutputSchema); got != schema {
			t.Errorf("schema %s", got)
		}
		if got := w.model.request(1).OutputSchema; got != nil {
			t.Errorf("the next turn has schema %s", got)
		}
	})
}

func TestInputForms(t *testing.T) {
	png, err := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"p.png": png, "t.txt": []byte("text")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := []protocol.UserInput{
		{Type: protocol.InputText, Text: "see"},
		{Type: protocol.InputText},
		{Type: protocol.InputImage, URL: "https://x/y.png"},
		{Type: protocol.InputLocalImage, Path: "p.png"},
		{Type: protocol.InputLocalImage, Path: dir + "/none.png"},
		{Type: protocol.InputLocalImage, Path: dir},
		{Type: protocol.InputLocalImage, Path: dir + "/t.txt"},
		{Type: protocol.InputSkill, Name: "sk", Path: "/s/SKILL.md"},
		{Type: protocol.InputMention, Name: "me", Path: "app://x"},
	}
	open, named, end := textPart("<image>"), textPart("<image name=[Image #2]>"), textPart("</image>")
	want := []part{
		textPart("see"),
		open, {Type: "input_image", ImageURL: "https://x/y.png", Detail: "high"}, end,
		named, {Type: "input_image", ImageURL: "data:image/png;base64," + base64.StdEncoding.EncodeToString(png), Detail: "high"}, end,
		textPart("The image " + dir + "/none.png could not be read: no such file or directory"),
		textPart("The image " + dir + " could not be read: it is not a regular file"),
		textPart("The image " + dir + "/t.txt could not be read: it is not an image in PNG, JPEG, GIF or WebP form"),
		textPart(`The user refers to "me" (app://x).`),
	}
	if d := cmp.Diff(want, inputParts(in, dir)); d != "" {
		t.Error(d)
	}
}

// TestBadBytes: a byte that is no UTF-8 must not keep words from the model.
func TestBadBytes(t *testing.T) {
	if got := string(messageItem(roleUser, textPart("a\xffb"))); !strings.Contains(got, "a\uFFFDb") {
		t.Errorf("item %s", got)
	}
}
