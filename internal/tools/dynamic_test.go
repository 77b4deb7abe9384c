package tools

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/internal/process"
	"app-server/protocol"
)

const (
	schema = `{"type":"object","properties":{"q":{"type":"string"}}}`
	png    = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

// dynamicSpec is a tool of the parent, with further members.
func dynamicSpec(name, more string) string {
	return `{"name":"` + name + `","description":"d","inputSchema":` + schema + more + `}`
}

// parse reads and checks a list as thread/start does.
func parse(raw string) ([]protocol.DynamicToolSpec, error) {
	var p struct {
		Tools []protocol.DynamicToolSpec `json:"dynamicTools"`
	}
	if err := protocol.Decode(jsontext.Value(`{"dynamicTools":`+raw+`}`), &p); err != nil {
		return nil, err
	}
	return p.Tools, CheckDynamic(p.Tools)
}

func parsed(t *testing.T, raw string) []protocol.DynamicToolSpec {
	t.Helper()
	list, err := parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestCheckDynamic(t *testing.T) {
	bad := func(members string) string { return `[{"name":"x","description":"d",` + members + `}]` }
	for _, c := range []struct{ name, raw, refused string }{
		{"null", `null`, ""},
		{"empty", `[]`, ""},
		{"one", `[` + dynamicSpec("look_up", "") + `]`, ""},
		{"unknown member", `[` + dynamicSpec("look_up", `,"zzz":1`) + `]`, ""},
		{"longest name", `[` + dynamicSpec(strings.Repeat("a", 128), "") + `]`, ""},
		{"null namespace", `[` + dynamicSpec("a", `,"namespace":null`) + `]`, ""},
		{"same name elsewhere", `[` + dynamicSpec("a", "") + `,` + dynamicSpec("a", `,"namespace":"n"`) + `]`, ""},
		{"one of ours", `[` + dynamicSpec("update_plan", "") + `]`, ""},
		{"deferred", `[` + dynamicSpec("a", `,"namespace":"n","deferLoading":true`) + `]`, ""},
		{"no type", bad(`"inputSchema":{}`), ""},
		{"no list", `{}`, "`dynamicTools` has a wrong type"},
		{"no object", `["x"]`, "wrong type"},
		{"no name", `[{"description":"d","inputSchema":{}}]`, "`name`"},
		{"no description", `[{"name":"x","inputSchema":{}}]`, "`description`"},
		{"no schema", `[{"name":"x","description":"d"}]`, "`inputSchema`"},
		{"twice", `[` + dynamicSpec("a", "") + `,` + dynamicSpec("a", "") + `]`, "twice"},
		{"twice in a namespace", `[` + dynamicSpec("a", `,"namespace":"n"`) + `,` + dynamicSpec("a", `,"namespace":"n"`) + `]`, "twice"},
		{"empty name", `[` + dynamicSpec("", "") + `]`, "empty"},
		{"space", `[` + dynamicSpec("a b", "") + `]`, "letters, digits"},
		{"dot", `[` + dynamicSpec("a.b", "") + `]`, "letters, digits"},
		{"line end", `[` + dynamicSpec(`a\n`, "") + `]`, "letters, digits"},
		{"too long", `[` + dynamicSpec(strings.Repeat("a", 129), "") + `]`, "longer than 128"},
		{"mcp", `[` + dynamicSpec("mcp", "") + `]`, "reserved"},
		{"mcp__", `[` + dynamicSpec("mcp__a__b", "") + `]`, "reserved"},
		{"empty namespace", `[` + dynamicSpec("a", `,"namespace":""`) + `]`, "empty"},
		{"mcp namespace", `[` + dynamicSpec("a", `,"namespace":"mcp__x"`) + `]`, "reserved"},
		{"backend's namespace", `[` + dynamicSpec("a", `,"namespace":"functions"`) + `]`, "backend"},
		{"long namespace", `[` + dynamicSpec("a", `,"namespace":"`+strings.Repeat("n", 65)+`"`) + `]`, "longer than 64"},
		{"deferred without namespace", `[` + dynamicSpec("a", `,"deferLoading":true`) + `]`, "deferLoading"},
		{"not exposed", `[` + dynamicSpec("a", `,"exposeToContext":false`) + `]`, "deferLoading"},
		{"schema is text", bad(`"inputSchema":"x"`), "inputSchema"},
		{"schema is a list", bad(`"inputSchema":[]`), "inputSchema"},
		{"schema is null", bad(`"inputSchema":null`), "inputSchema"},
		{"schema of a text", bad(`"inputSchema":{"type":"string"}`), "inputSchema"},
		{"properties are a list", bad(`"inputSchema":{"type":"object","properties":[]}`), "inputSchema"},
		{"name repeated in schema", bad(`"inputSchema":{"a":1,"a":2}`), "inputSchema"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse(c.raw)
			var e *protocol.Error
			switch {
			case c.refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.refused != "" && (!errors.As(err, &e) || e.Code != protocol.CodeInvalidRequest || !strings.Contains(e.Message, c.refused)):
				t.Errorf("error %v", err)
			}
		})
	}
}

func FuzzCheckDynamic(f *testing.F) {
	f.Add(`[` + dynamicSpec("a", `,"namespace":"n"`) + `]`)
	f.Add(`[{"name":"x","description":"\ud800","inputSchema":{"type":"object","a":"\ud800"}}]`)
	f.Fuzz(func(t *testing.T, raw string) {
		list, err := parse(raw)
		if err == nil {
			newDynamicTools(list) // must not panic on what was let pass
		}
	})
}

func TestDynamicSpecs(t *testing.T) {
	p := newBench(t)
	list := parsed(t, `[`+dynamicSpec("one", `,"namespace":"n"`)+`,`+dynamicSpec("plain", "")+`,`+dynamicSpec("two", `,"namespace":"n"`)+
		`,`+dynamicSpec("later", `,"namespace":"n","deferLoading":true`)+`,`+dynamicSpec("update_plan", "")+`,{"name":"bare","description":"d","inputSchema":{"$defs":{}}},
		{"name":"lists","description":"d","inputSchema":{"type":"object","properties":{"z":{"type":"array"},"a":{"anyOf":[{"type":"array","items":{"type":"array"}}]},"type":{"type":"string"}}}}]`)
	var got []string
	for _, s := range p.begin(t, p.env(protocol.PolicyReadOnly, protocol.ApprovalNever), &fakeHost{}, ThreadOptions{Dynamic: list}).Specs() {
		got = append(got, string(s))
	}
	fn := func(name string) string {
		return `{"type":"function","name":"` + name + `","description":"d","strict":false,"parameters":` + schema + `}`
	}
	want := []string{
		`{"type":"namespace","name":"n","description":"The tools of n.","tools":[` + fn("one") + `,` + fn("two") + `]}`,
		fn("plain"), fn("update_plan"),
		`{"type":"function","name":"bare","description":"d","strict":false,"parameters":{"type":"object","properties":{},"$defs":{}}}`,
		`{"type":"function","name":"lists","description":"d","strict":false,"parameters":{"properties":{"a":{"anyOf":[{"items":{"items":{"type":"string"},"type":"array"},"type":"array"}]},"type":{"type":"string"},"z":{"items":{"type":"string"},"type":"array"}},"type":"object"}}`,
	}
	if diff := cmp.Diff(want, got[len(got)-len(want):]); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(strings.Join(got, "\n"), `"name":"update_plan"`); n != 1 {
		t.Errorf("update_plan is offered %d times", n)
	}
}

func TestDynamicAnswers(t *testing.T) {
	image := `{"type":"inputImage","imageUrl":"` + png + `"}`
	failed := []string{"started inProgress", "ask ", "completed failed"}
	done := []string{"started inProgress", "ask ", "completed completed"}
	for _, c := range []struct {
		name, answer string
		err          error
		lines        []string
		text         string
		content      string
	}{
		{"text", `{"contentItems":[{"type":"inputText","text":"hello"}],"success":true}`, nil, done, "hello", ""},
		{"no success", `{"contentItems":[{"type":"inputText","text":"no way"}],"success":false}`, nil, failed, "no way", ""},
		{"nothing", `{"contentItems":[],"success":true}`, nil, done, "", ""},
		{"two", `{"contentItems":[{"type":"inputText","text":"a"},{"type":"inputText","text":""}],"success":true}`, nil, done, "", `[{"type":"input_text","text":"a"},{"type":"input_text","text":""}]`},
		{"image", `{"contentItems":[` + image + `],"success":true}`, nil, done, "", `[{"type":"input_image","image_url":"` + png + `","detail":"high"}]`},
		{"web image", `{"contentItems":[{"type":"inputImage","imageUrl":"https://x/y"}],"success":true}`, nil, done, "", `[{"type":"input_image","image_url":"https://x/y","detail":"high"}]`},
		{"no image", `{"contentItems":[{"type":"inputImage","imageUrl":"data:image/png;base64,AAAA"}],"success":true}`, nil, done, "An image was left out: it is not an image in PNG, JPEG, GIF or WebP form.", ""},
		{"text and no image", `{"contentItems":[{"type":"inputText","text":"a"},{"type":"inputImage","imageUrl":"zzz"}],"success":true}`, nil, done, "",
			`[{"type":"input_text","text":"a"},{"type":"input_text","text":"An image was left out: it is neither a data URL of an image nor an http URL."}]`},
		{"error", ``, errors.New("the parent says boom"), failed, "The tool failed: the parent says boom.", ""},
		{"shapeless", `{"foo":1}`, nil, failed, "The tool gave an answer that cannot be used.", ""},
		{"null", `null`, nil, failed, "The tool gave an answer that cannot be used.", ""},
		{"no verdict", `{"contentItems":[]}`, nil, failed, "The tool gave an answer that cannot be used.", ""},
		{"unknown content", `{"contentItems":[{"type":"zzz"}],"success":true}`, nil, failed, "The tool gave an answer that cannot be used.", ""},
		{"text without text", `{"contentItems":[{"type":"inputText"}],"success":true}`, nil, failed, "The tool gave an answer that cannot be used.", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newBench(t)
			h := &fakeHost{answer: func(string, any) (string, error) { return c.answer, c.err }}
			turn := p.begin(t, p.env(protocol.PolicyReadOnly, protocol.ApprovalNever), h, ThreadOptions{Dynamic: parsed(t, `[`+dynamicSpec("look_up", "")+`]`)})
			out := turn.Run(t.Context(), call("look_up", `{"q":"x"}`))
			if diff := cmp.Diff(c.lines, h.take()); diff != "" {
				t.Error(diff)
			}
			if out.Text != c.text || string(out.Content) != c.content {
				t.Errorf("the model hears %q %s", out.Text, out.Content)
			}
			if i := values[*protocol.DynamicToolCallItem](h, ended)[0]; i.DurationMS == nil || i.Success == nil || i.ContentItems.Value == nil {
				t.Errorf("item %s", asJSON(t, i))
			}
		})
	}
}

func TestDynamicCall(t *testing.T) {
	p := newBench(t)
	h := &fakeHost{answer: answering(`{"contentItems":[{"type":"inputText","text":"ok"}],"success":true}`)}
	turn := p.begin(t, p.env(protocol.PolicyReadOnly, protocol.ApprovalNever), h, ThreadOptions{
		Dynamic: parsed(t, `[`+dynamicSpec("a", `,"namespace":"n"`)+`,`+dynamicSpec("later", `,"namespace":"n","deferLoading":true`)+`,`+dynamicSpec("update_plan", "")+`]`)})
	for _, c := range []struct {
		call Call
		says string
	}{
		{Call{ID: "c1", Namespace: "n", Name: "a", Arguments: `{}`}, "ok"},
		{Call{ID: "c1", Namespace: "n", Name: "later", Arguments: `[1]`}, "ok"},
		{Call{ID: "c1", Name: "update_plan", Arguments: `{}`}, "ok"},
		{Call{ID: "c1", Name: "a", Arguments: `{}`}, "no tool named a"},
		{Call{ID: "c1", Namespace: "x", Name: "a", Arguments: `{}`}, "no tool named a"},
		{Call{ID: "c1", Namespace: "n", Name: "view_image", Arguments: `{}`}, "no tool named view_image"},
		{Call{ID: "c1", Namespace: "n", Name: "a", Arguments: `{oops`}, "not valid JSON"},
		{Call{ID: "c1", Namespace: "n", Name: "a", Arguments: ``}, "not valid JSON"},
		{Call{ID: "c1", Namespace: "n", Name: "a", Arguments: `{"x":1,"x":2}`}, "not valid JSON"},
		{Call{ID: "c1", Namespace: "n", Name: "a", Kind: CallCustom, Arguments: `hi`}, "JSON arguments"},
	} {
		if out := turn.Run(t.Context(), c.call); !strings.Contains(out.Text, c.says) {
			t.Errorf("%+v: the model hears %q", c.call, out.Text)
		}
	}
	if got, want := asJSON(t, values[any](h, asks)[0]), `{"threadId":"thread","turnId":"turn","callId":"c1","namespace":"n","tool":"a","arguments":{}}`; got != want {
		t.Errorf("asked %s", got)
	}
}

// A parent that never answers holds the call until the turn is interrupted.
func TestDynamicParentNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHost{}
		r := NewRegistry(Options{Processes: process.NewManager()})
		defer r.Close()
		turn := r.Open(ThreadOptions{ID: "thread", Dynamic: parsed(t, `[`+dynamicSpec("a", "")+`]`)}).Begin("turn", Env{OutputTokens: testOutput}, h)
		ctx, cancel := context.WithCancel(t.Context())
		var out Output
		go func() { out = turn.Run(ctx, call("a", `{}`)) }()
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if out.Text != "" {
			t.Errorf("it ended by itself: %q", out.Text)
		}
		cancel()
		synctest.Wait()
		if diff := cmp.Diff([]string{"started inProgress", "ask ", "completed failed"}, h.take()); diff != "" || out.Text != interrupted {
			t.Error(diff, out.Text)
		}
	})
}

// A long text loses its middle, and one that comes after it too.
func TestDynamicLongTexts(t *testing.T) {
	p := newBench(t)
	e := p.env(protocol.PolicyReadOnly, protocol.ApprovalNever)
	e.Model.Images = false
	turn := p.begin(t, e, &fakeHost{}, ThreadOptions{})
	long := strings.Repeat("y", 300_000)
	url := png
	out := turn.contentOutput([]protocol.DynamicToolContent{{Type: protocol.DynamicText, Text: &long}, {Type: protocol.DynamicText, Text: &long}, {Type: protocol.DynamicImage, ImageURL: &url}})
	if n := len(out.Content); n > testOutput*bytesPerToken+1000 || n < testOutput*bytesPerToken {
		t.Errorf("%d bytes", n)
	}
	if !strings.Contains(string(out.Content), "takes none") {
		t.Error("an image for a model without images")
	}
}
