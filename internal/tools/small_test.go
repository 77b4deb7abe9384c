package tools

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

func TestUpdatePlan(t *testing.T) {
	for _, c := range []struct {
		name, args string
		mode       protocol.ModeKind
		told, says string
	}{
		{"plan", `{"explanation":"e","plan":[{"step":"a","status":"in_progress"},{"step":"b","status":"pending"},{"step":"c","status":"completed"}]}`, "",
			`{"threadId":"thread","turnId":"turn","explanation":"e","plan":[{"step":"a","status":"inProgress"},{"step":"b","status":"pending"},{"step":"c","status":"completed"}]}`, "shown"},
		{"two in progress", `{"plan":[{"step":"a","status":"in_progress"},{"step":"b","status":"in_progress"}]}`, protocol.ModeDefault,
			`{"threadId":"thread","turnId":"turn","explanation":null,"plan":[{"step":"a","status":"inProgress"},{"step":"b","status":"inProgress"}]}`, "shown"},
		{"empty", `{"plan":[]}`, "", `{"threadId":"thread","turnId":"turn","explanation":null,"plan":[]}`, "shown"},
		{"unknown status", `{"plan":[{"step":"a","status":"zzz"}]}`, "", "", "in_progress"},
		{"no status", `{"plan":[{"step":"a"}]}`, "", "", "in_progress"},
		{"no plan", `{}`, "", "", "plan"},
		{"no JSON", `{`, "", "", "not valid JSON"},
		{"plan mode", `{"plan":[]}`, protocol.ModePlan, "", "plan mode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, h := newBench(t), &fakeHost{}
			e := p.env(protocol.PolicyReadOnly, protocol.ApprovalNever)
			e.Mode = c.mode
			out := p.begin(t, e, h, ThreadOptions{}).Run(t.Context(), call("update_plan", c.args))
			told := ""
			if notes := values[any](h, protocol.MethodTurnPlanUpdated); len(notes) > 0 {
				told = asJSON(t, notes[0])
			}
			if told != c.told || !strings.Contains(out.Text, c.says) {
				t.Errorf("told %s; the model hears %q", told, out.Text)
			}
		})
	}
}

func TestRequestUserInput(t *testing.T) {
	one := `{"questions":[{"id":"pick","header":"H","question":"Which?","options":[{"label":"A","description":"a"}]}]}`
	answer := `{"answers":{"pick":{"answers":["A"]}}}`
	for _, c := range []struct {
		name, args, answer string
		err                error
		mode               protocol.ModeKind
		asked              bool
		says               string
	}{
		{"plan mode", one, answer, nil, protocol.ModePlan, true, answer},
		{"default mode", one, answer, nil, protocol.ModeDefault, false, "plan mode only"},
		{"no mode", one, answer, nil, "", false, "plan mode only"},
		{"other id", one, `{"answers":{"zzz":{"answers":["A"]}}}`, nil, protocol.ModePlan, true, `{"answers":{}}`},
		{"error", one, ``, errors.New("x"), protocol.ModePlan, true, "could not be asked"},
		{"rubbish", one, `{"x":1}`, nil, protocol.ModePlan, true, "no usable answer"},
		{"none", `{"questions":[]}`, answer, nil, protocol.ModePlan, false, "no question"},
		{"missing", `{}`, answer, nil, protocol.ModePlan, false, "questions"},
		{"no options", `{"questions":[{"id":"a","header":"H","question":"q"}]}`, answer, nil, protocol.ModePlan, false, "no options"},
		{"no id", `{"questions":[{"header":"H","question":"q"}]}`, answer, nil, protocol.ModePlan, false, "needs an id"},
		{"twice", strings.Replace(one, `}]}`, `}]},{"id":"pick","header":"H","question":"q","options":[{"label":"A","description":"a"}]}`, 1), answer, nil, protocol.ModePlan, false, "Two questions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newBench(t)
			h := &fakeHost{answer: func(string, any) (string, error) { return c.answer, c.err }}
			e := p.env(protocol.PolicyReadOnly, protocol.ApprovalNever)
			e.Mode = c.mode
			out := p.begin(t, e, h, ThreadOptions{}).Run(t.Context(), call("request_user_input", c.args))
			if !strings.Contains(out.Text, c.says) || (len(values[any](h, asks)) > 0) != c.asked {
				t.Errorf("asked %d; the model hears %q", len(values[any](h, asks)), out.Text)
			}
			if c.asked && h.take()[0] != "ask waitingOnUserInput" {
				t.Error("no flag")
			}
		})
	}
	p, h := newBench(t), &fakeHost{answer: answering(answer)}
	turn := p.begin(t, p.env(protocol.PolicyReadOnly, protocol.ApprovalNever), h, ThreadOptions{Features: map[string]bool{"default_mode_request_user_input": true}})
	turn.Run(t.Context(), call("request_user_input", one))
	want := `{"threadId":"thread","turnId":"turn","itemId":"c1","questions":[{"id":"pick","header":"H","question":"Which?","isOther":true,"isSecret":false,"options":[{"label":"A","description":"a"}]}],"isBlocking":true}`
	if got := asJSON(t, values[any](h, asks)[0]); got != want {
		t.Error(got)
	}
}

func TestQuestionsEndWithTheTurn(t *testing.T) {
	for name, args := range map[string]string{
		"request_user_input":  `{"questions":[{"id":"pick","header":"H","question":"Which?","options":[{"label":"A","description":"a"}]}]}`,
		"request_permissions": `{"permissions":{"network":{"enabled":true}}}`,
	} {
		p, h := newBench(t), &fakeHost{}
		e := p.env(protocol.PolicyReadOnly, protocol.ApprovalOnRequest)
		e.Mode = protocol.ModePlan
		turn := p.begin(t, e, h, ThreadOptions{Features: map[string]bool{"request_permissions_tool": true}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan Output)
		go func() { done <- turn.Run(ctx, call(name, args)) }()
		until[any](t, h, asks)
		cancel()
		if out := <-done; out.Text != interrupted {
			t.Errorf("%s: %q", name, out.Text)
		}
	}
}

func TestViewImage(t *testing.T) {
	p := newBench(t)
	data, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(png, "data:image/png;base64,"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(p.cwd, "a.txt"), string(data))
	writeFile(t, filepath.Join(p.cwd, "cut.png"), string(data[:20]))
	writeFile(t, filepath.Join(p.cwd, "t.png"), "text")
	writeFile(t, filepath.Join(p.cwd, "big.png"), string(data))
	if err := os.Truncate(filepath.Join(p.cwd, "big.png"), 21<<20); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, args, detail, says string
		model                    Model
	}{
		{"relative", `{"path":"a.txt"}`, "high", "", Model{Images: true}},
		{"absolute", `{"path":"` + p.cwd + `/x/../a.txt"}`, "high", "", Model{Images: true}},
		{"original", `{"path":"a.txt","detail":"original"}`, "original", "", Model{Images: true, OriginalDetail: true}},
		{"original cannot be had", `{"path":"a.txt","detail":"original"}`, "high", "", Model{Images: true}},
		{"other detail", `{"path":"a.txt","detail":"low"}`, "", "only value", Model{Images: true, OriginalDetail: true}},
		{"no images", `{"path":"a.txt"}`, "", "cannot look", Model{}},
		{"missing", `{"path":"none.png"}`, "", p.cwd + "/none.png cannot be shown: no such file", Model{Images: true}},
		{"folder", `{"path":"."}`, "", "not a regular file", Model{Images: true}},
		{"device", `{"path":"/dev/zero"}`, "", "not a regular file", Model{Images: true}},
		{"text", `{"path":"t.png"}`, "", "not an image", Model{Images: true}},
		{"damaged", `{"path":"cut.png"}`, "", "damaged", Model{Images: true}},
		{"huge", `{"path":"big.png"}`, "", "larger than 20 MiB", Model{Images: true}},
		{"empty", `{"path":""}`, "", "empty", Model{Images: true}},
		{"no path", `{}`, "", "path", Model{Images: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &fakeHost{}
			e := p.env(protocol.PolicyReadOnly, protocol.ApprovalNever)
			e.Model = c.model
			out := p.begin(t, e, h, ThreadOptions{}).Run(t.Context(), call("view_image", c.args))
			if c.detail == "" {
				if !strings.Contains(out.Text, c.says) || out.Content != nil || len(values[any](h, ended)) > 0 {
					t.Errorf("%q %.80s", out.Text, out.Content)
				}
				return
			}
			if want := `[{"type":"input_image","image_url":"` + png + `","detail":"` + c.detail + `"}]`; string(out.Content) != want {
				t.Errorf("%q %.200s", out.Text, out.Content)
			}
			if items := values[*protocol.ImageViewItem](h, ended); len(items) != 1 || items[0].Path != p.cwd+"/a.txt" {
				t.Error(items)
			}
		})
	}
}

func TestOffers(t *testing.T) {
	p := newBench(t)
	const search = `{"type":"web_search","external_web_access":`
	for _, c := range []struct {
		name   string
		mode   protocol.SandboxPolicyType
		model  Model
		o      ThreadOptions
		search string
		names  string
	}{
		{"plain", protocol.PolicyReadOnly, Model{}, ThreadOptions{}, search + `false}`, "update_plan request_user_input web_search"},
		{"all", protocol.PolicyReadOnly, Model{FreeformPatch: true, Images: true, SearchImages: true}, ThreadOptions{Features: map[string]bool{"request_permissions_tool": true}},
			search + `false,"search_content_types":["text","image"]}`, "update_plan request_user_input request_permissions apply_patch web_search view_image"},
		{"live", protocol.PolicyReadOnly, Model{}, ThreadOptions{WebSearch: "live"}, search + `true}`, "update_plan request_user_input web_search"},
		{"feature", protocol.PolicyReadOnly, Model{}, ThreadOptions{Features: map[string]bool{"web_search_request": true}}, search + `true}`, "update_plan request_user_input web_search"},
		{"cached", protocol.PolicyReadOnly, Model{}, ThreadOptions{WebSearch: "cached", Features: map[string]bool{"web_search_request": true}}, search + `false}`, "update_plan request_user_input web_search"},
		{"cached, full access", protocol.PolicyDangerFullAccess, Model{}, ThreadOptions{WebSearch: "cached"}, search + `true}`, "update_plan request_user_input web_search"},
		{"disabled", protocol.PolicyDangerFullAccess, Model{}, ThreadOptions{WebSearch: "disabled"}, "", "update_plan request_user_input"},
		{"options", protocol.PolicyReadOnly, Model{}, ThreadOptions{Search: SearchOptions{ContextSize: "high", AllowedDomains: []string{"a.com"}, Location: SearchLocation{Country: "US"}}},
			search + `false,"filters":{"allowed_domains":["a.com"]},"user_location":{"type":"approximate","country":"US"},"search_context_size":"high"}`, "update_plan request_user_input web_search"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := p.env(c.mode, protocol.ApprovalNever)
			e.Model = c.model
			var names []string
			found := ""
			for _, raw := range p.begin(t, e, &fakeHost{}, c.o).Specs() {
				var s struct {
					Type string `json:"type"`
					Name string `json:"name"`
				}
				if err := protocol.Decode(raw, &s); err != nil {
					t.Fatal(err)
				}
				if s.Type == "web_search" {
					s.Name, found = s.Type, string(raw)
				}
				names = append(names, s.Name)
			}
			names = names[slices.Index(names, "update_plan"):] // commands stand before
			if diff := cmp.Diff(strings.Fields(c.names), names); diff != "" || found != c.search {
				t.Error(diff, found)
			}
		})
	}
}

// What is not offered, or runs elsewhere, is answered all the same.
func TestNotServed(t *testing.T) {
	p := newBench(t)
	turn := p.begin(t, p.env(protocol.PolicyReadOnly, protocol.ApprovalOnRequest), &fakeHost{}, ThreadOptions{})
	for _, name := range []string{"web_search", "request_permissions", "zzz"} {
		if out := turn.Run(t.Context(), call(name, `{"permissions":{}}`)); !strings.Contains(out.Text, "no tool named "+name) {
			t.Errorf("%s: %q", name, out.Text)
		}
	}
	p.Add(Tool{Name: "bad", Run: func(context.Context, *Turn, Call) Output { panic("x") }})
	if out := turn.Run(t.Context(), call("bad", `{}`)); !strings.Contains(out.Text, "internal error") {
		t.Errorf("panic: %q", out.Text)
	}
	if !jsontext.Value(encode(turn.Specs())).IsValid() {
		t.Error("specs")
	}
}

// A turn without this machine serves nothing that works on it, by whatever name.
func TestDetached(t *testing.T) {
	p, host := newBench(t), &fakeHost{}
	e := p.env(protocol.PolicyDangerFullAccess, protocol.ApprovalNever)
	e.Detached = true
	turn := p.begin(t, e, host, ThreadOptions{})
	for _, tool := range Builtin() {
		switch tool.Name {
		case "update_plan", "request_user_input", "request_permissions", "web_search":
			continue
		}
		if out := turn.Run(t.Context(), call(tool.Name, `{}`)); !strings.Contains(out.Text, "no tool named "+tool.Name) {
			t.Errorf("%s: %q", tool.Name, out.Text)
		}
	}
}

// A tool that breaks off has failed, and its item does not stay open.
func TestPanicInItem(t *testing.T) {
	for name, item := range map[string]protocol.ThreadItem{
		"command": &protocol.CommandExecutionItem{ID: "c1", Status: protocol.ItemInProgress},
		"patch":   &protocol.FileChangeItem{ID: "c1", Status: protocol.ItemInProgress},
		"dynamic": &protocol.DynamicToolCallItem{ID: "c1", Status: protocol.ItemInProgress},
		"image":   &protocol.ImageViewItem{ID: "c1", Type: protocol.ItemImageView},
	} {
		for _, completes := range []bool{false, true} {
			p, host := newBench(t), &fakeHost{}
			turn := p.begin(t, p.env(protocol.PolicyReadOnly, protocol.ApprovalOnRequest), host, ThreadOptions{})
			p.Add(Tool{Name: "bad", Run: func(_ context.Context, t *Turn, c Call) Output {
				t.Host.ItemStarted(item)
				if completes {
					t.Host.ItemCompleted(item)
				}
				panic("x")
			}})
			turn.Run(t.Context(), Call{ID: "c1", Kind: CallFunction, Name: "bad", Arguments: "{}"})
			seen := host.seen()
			if len(seen) != 2 || seen[0].told != begun || seen[1].told != ended {
				t.Fatalf("%s: %v", name, seen)
			}
			if line := seen[1].line(); !completes && name != "image" && line != ended+" failed" {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}
