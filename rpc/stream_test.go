package rpc

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"go.uber.org/zap/zapcore"
)

const (
	ok1      = `{"id":1,"result":{"text":"a"}}`
	parseErr = `{"error":{"code":-32700,"message":"Parse error: the line is not JSON","data":{"reason":"parseError"}},"id":null}`
	utf8Err  = `{"error":{"code":-32700,"message":"Parse error: the line is not UTF-8","data":{"reason":"parseError"}},"id":null}`
	alive    = `{"id":"alive","method":"echo","params":{"text":"yes"}}`
	aliveOK  = `{"id":"alive","result":{"text":"yes"}}`
)

func invalid(id, message string) string {
	return `{"error":{"code":-32600,"message":"Invalid request: ` + message + `","data":{"reason":"invalidRequest"}},"id":` + id + `}`
}

// Every line alone, followed by a good one that must be answered.
var lineTests = []struct {
	name, line string
	want       []string
}{
	{"request", `{"id":1,"method":"echo","params":{"text":"a"}}`, []string{ok1}},
	{"jsonrpc member", `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"text":"a"}}`, []string{ok1}},
	{"spaces", "\t {\"id\" : 1 , \"method\":\"echo\",\"params\":{\"text\":\"a\"} } ", []string{ok1}},
	{"CRLF", "{\"id\":1,\"method\":\"echo\",\"params\":{\"text\":\"a\"}}\r", []string{ok1}},
	{"byte order mark", "\xef\xbb\xbf{\"id\":1,\"method\":\"echo\",\"params\":{\"text\":\"a\"}}", []string{ok1}},
	{"other members", `{"trace":{"a":[]},"id":1,"params":{"text":"a"},"method":"echo"}`, []string{ok1}},
	{"escaped names", `{"\u0069d":1,"m\u0065thod":"ech\u006f","params":{"text":"a"}}`, []string{ok1}},
	{"no params", `{"id":1,"method":"echo"}`, []string{`{"id":1,"result":{"text":""}}`}},
	{"request with a result", `{"id":1,"method":"echo","params":{"text":"a"},"result":3}`, []string{ok1}},

	{"id 0", `{"id":0,"method":"echo"}`, []string{`{"id":0,"result":{"text":""}}`}},
	{"id negative", `{"id":-5,"method":"echo"}`, []string{`{"id":-5,"result":{"text":""}}`}},
	{"id least", `{"id":-9223372036854775808,"method":"echo"}`, []string{`{"id":-9223372036854775808,"result":{"text":""}}`}},
	{"id greatest", `{"id":9223372036854775807,"method":"echo"}`, []string{`{"id":9223372036854775807,"result":{"text":""}}`}},
	{"id empty text", `{"id":"","method":"echo"}`, []string{`{"id":"","result":{"text":""}}`}},
	{"id text of digits", `{"id":"7","method":"echo"}`, []string{`{"id":"7","result":{"text":""}}`}},
	{"id with escapes", `{"id":"\u00e9\"<&","method":"echo"}`, []string{`{"id":"\u00e9\"<&","result":{"text":""}}`}},
	{"id with a lone surrogate", `{"id":"\ud800","method":"echo"}`, []string{`{"id":"\ufffd","result":{"text":""}}`}},

	{"id too great", `{"id":9223372036854775808,"method":"echo"}`, []string{invalid("null", "id must be a string or a 64-bit integer")}},
	{"id fraction", `{"id":1.5,"method":"echo"}`, []string{invalid("null", "id must be a string or a 64-bit integer")}},
	{"id float", `{"id":1.0,"method":"echo"}`, []string{invalid("null", "id must be a string or a 64-bit integer")}},
	{"id minus zero", `{"id":-0,"method":"echo"}`, []string{invalid("null", "id must be a string or a 64-bit integer")}},
	{"id object", `{"id":{},"method":"echo"}`, []string{invalid("null", "id must be a string or a 64-bit integer")}},
	{"id true", `{"id":true,"method":"echo"}`, []string{invalid("null", "id must be a string or a 64-bit integer")}},
	{"id null is a notification", `{"id":null,"method":"echo"}`, nil},

	{"not JSON", `hello`, []string{parseErr}},
	{"half a request", `{"id":1,"method":`, []string{parseErr}},
	{"broken inside params", `{"id":1,"method":"echo","params":{"text":}}`, []string{parseErr}},
	{"two objects", `{"id":1,"method":"echo"}{"id":2,"method":"echo"}`, []string{parseErr}},
	{"one brace too many", `{"id":1,"method":"echo"}}`, []string{parseErr}},
	{"open brace", `{`, []string{parseErr}},
	{"NUL", "\x00", []string{parseErr}},
	{"too deep", strings.Repeat("[", 20000), []string{parseErr}},
	{"empty", "", nil},
	{"blank", " \t ", nil},
	{"blank CRLF", "\r", nil},
	{"only a mark", "\xef\xbb\xbf", nil},
	{"array", `[]`, []string{invalid("null", "the line is not a JSON object")}},
	{"batch", `[{"id":1,"method":"echo"}]`, []string{invalid("null", "the line is not a JSON object")}},
	{"number", `7`, []string{invalid("null", "the line is not a JSON object")}},
	{"text", `"METHOD"`, []string{invalid("null", "the line is not a JSON object")}},
	{"null", `null`, []string{invalid("null", "the line is not a JSON object")}},
	{"empty object", `{}`, []string{invalid("null", "no method of type string")}},
	{"no method", `{"id":6}`, []string{invalid("6", "no method of type string")}},
	{"method a number", `{"id":5,"method":7}`, []string{invalid("5", "no method of type string")}},
	{"method null", `{"id":"x","method":null}`, []string{invalid(`"x"`, "no method of type string")}},
	{"no method, bad id", `{"id":[]}`, []string{invalid("null", "no method of type string")}},
	{"id twice", `{"id":1,"id":2,"method":"echo"}`, []string{invalid("2", "a member occurs twice")}},
	{"method twice", `{"id":1,"method":"echo","method":"free"}`, []string{invalid("1", "a member occurs twice")}},

	{"not UTF-8 nor JSON", "\xff\xfe caf\xe9", []string{utf8Err}},
	{"not UTF-8, id readable", "{\"id\":8,\"method\":\"echo\",\"params\":{\"text\":\"caf\xe9\"}}", []string{invalid("8", "the line is not UTF-8")}},
	{"not UTF-8, id text", "{\"params\":\"\xe9\",\"id\":\"q\",\"method\":\"echo\"}", []string{invalid(`"q"`, "the line is not UTF-8")}},
	{"not UTF-8 in the id", "{\"id\":\"\xe9\",\"method\":\"echo\"}", []string{utf8Err}},
	{"not UTF-8, no id", "{\"method\":\"note\",\"params\":\"\xe9\"}", []string{utf8Err}},

	{"lone high surrogate", `{"id":1,"method":"echo","params":{"text":"cut \ud83d"}}`, []string{`{"id":1,"result":{"text":"cut ` + "\ufffd" + `"}}`}},
	{"lone low surrogate", `{"id":1,"method":"echo","params":{"text":"\uDE00 cut"}}`, []string{`{"id":1,"result":{"text":"` + "\ufffd" + ` cut"}}`}},
	{"pair", `{"id":1,"method":"echo","params":{"text":"\ud83d\ude00"}}`, []string{`{"id":1,"result":{"text":"😀"}}`}},
	{"escaped backslash", `{"id":1,"method":"echo","params":{"text":"\\ud83d"}}`, []string{`{"id":1,"result":{"text":"\\ud83d"}}`}},

	{"answer to nothing", `{"id":4444,"result":{}}`, nil},
	{"error to nothing", `{"id":4445,"error":{"code":1,"message":"x"}}`, nil},
	{"negative answer", `{"id":-1,"result":{}}`, nil},
	{"answer with a text id", `{"id":"0","result":{}}`, nil},
	{"answer with id 1.5", `{"id":1.5,"result":{}}`, nil},
	{"answer with id null", `{"id":null,"error":{"code":-32700,"message":"x"}}`, nil},
	{"answer without id", `{"result":1}`, nil},
	{"unknown notification", `{"method":"no/such","params":{"a":1}}`, nil},
	{"notification of a request's name", `{"method":"echo"}`, nil},
	{"unknown method", `{"id":3,"method":"no/such"}`, []string{`{"error":{"code":-32600,"message":"Invalid request: unknown method","data":{"reason":"unknownMethod"}},"id":3}`}},
	{"params do not fit", `{"id":3,"method":"echo","params":[]}`, []string{`{"error":{"code":-32600,"message":"Invalid request: params do not fit the method","data":{"reason":"invalidRequest"}},"id":3}`}},
}

func TestLines(t *testing.T) {
	for _, tt := range lineTests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t, echoMux(), nil)
				p.send(tt.line, alive)
				p.want(append(tt.want, aliveOK)...)
				p.finish()
			})
		})
	}
}

// The same lines in one go, byte by byte and as two halves of each.
func TestLinesHoweverCut(t *testing.T) {
	var all, want strings.Builder
	for _, tt := range lineTests {
		all.WriteString(tt.line + "\n")
		for _, w := range tt.want {
			want.WriteString(w + "\n")
		}
	}
	all.WriteString(alive) // no newline: the last line counts
	want.WriteString(aliveOK + "\n")
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader,
		"halves": iotest.HalfReader, "end with data": iotest.DataErrReader,
	} {
		out := &sink{}
		// Bad lines are answered by the dispatcher, ahead of the lane.
		mux := NewMux(Hooks{})
		HandleInline(mux, "echo", func(ctx context.Context, p *echoParams) (echoResult, Then, error) {
			r, err := echo(ctx, p)
			return r, nil, err
		})
		if err := New(Options{In: cut(strings.NewReader(all.String())), Out: out, Mux: mux, Limits: patient}).Run(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Join(out.take(), "\n") + "\n"; got != want.String() {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want.String())
		}
	}
}

// What cannot be answered is logged once, without any of its content.
func TestStrayLinesAreLoggedOnce(t *testing.T) {
	for _, line := range []string{
		`{"id":4444,"result":{"SECRET":1}}`, `{"id":"SECRET","result":{}}`, `{"id":-4,"error":{"message":"SECRET"}}`,
		`{"method":"SECRET/x","params":{"SECRET":1}}`, `{"id":5,"method":7,"SECRET":1}`, `SECRET`,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := start(t, echoMux(), nil)
			p.send(line)
			p.finish()
			entries := p.logs.All()
			if len(entries) != 1 || entries[0].Level != zapcore.DebugLevel {
				t.Errorf("%s: logged %v", line, entries)
			}
			for _, e := range entries {
				for _, v := range e.ContextMap() {
					if s, _ := v.(string); strings.Contains(s, "SECRET") {
						t.Errorf("%s: content in the log: %v", line, e.ContextMap())
					}
				}
			}
		})
	}
}

func TestLineLimit(t *testing.T) {
	const limit = 1000
	tooLong := func(id string) string { return invalid(id, "the line is too long") }
	pad := func(begin string, n int, end string) string {
		return begin + strings.Repeat("x", n-len(begin)-len(end)) + end
	}
	for _, tt := range []struct {
		name, line string
		want       []string
	}{
		{"at the limit", pad(`{"id":1,"method":"free","x":"`, limit, `"}`), []string{`{"id":1,"result":{"text":""}}`}},
		{"at the limit with CR", pad(`{"id":1,"method":"free","x":"`, limit, `"}`) + "\r", []string{`{"id":1,"result":{"text":""}}`}},
		{"one over", pad(`{"id":1,"method":"free","x":"`, limit+1, `"}`), []string{tooLong("1")}},
		{"id behind the method", pad(`{"method":"free","id":"a","x":"`, 5*limit, `"}`), []string{tooLong(`"a"`)}},
		{"beyond a read", pad(`{"id":-2,"method":"free","x":"`, 300_000, `"}`), []string{tooLong("-2")}},
		{"id out of sight", pad(`{"method":"free","x":"`, 9000, `","id":1}`), []string{tooLong("null")}},
		{"notification", pad(`{"method":"free","x":"`, 2*limit, `"}`), []string{tooLong("null")}},
		{"stray answer", pad(`{"id":12,"result":"`, 2*limit, `"}`), nil},
		{"answer with a text id", pad(`{"id":"12","result":"`, 2*limit, `"}`), nil},
		{"number cut", `{"id":` + strings.Repeat("1", 8000) + `,"method":"free"}`, []string{tooLong("null")}},
		{"not JSON", strings.Repeat("x", 100_000), []string{tooLong("null")}},
	} {
		for name, cut := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader,
		} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				for _, end := range []string{"", "\n", "\n" + alive, "\n\n" + alive + "\n"} {
					want := tt.want
					if strings.Contains(end, "alive") {
						want = append(want[:len(want):len(want)], aliveOK)
					}
					if name == "bytes" && len(tt.line) > 10000 {
						t.Skip("slow")
					}
					out := &sink{}
					mux := NewMux(Hooks{})
					Handle(mux, "free", Fixed[echoParams]("x"), echo)
					Handle(mux, "echo", Fixed[echoParams]("x"), echo)
					limits := patient
					limits.Line = limit
					err := New(Options{In: cut(strings.NewReader(tt.line + end)), Out: out, Mux: mux, Limits: limits}).Run(t.Context())
					if err != nil {
						t.Error(err)
					}
					if got := out.take(); strings.Join(got, "\n") != strings.Join(want, "\n") {
						t.Errorf("end %q: got\n%s\nwant\n%s", end, strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
				}
			})
		}
	}
}

// A line of many megabytes passes whole, and lines around it too.
func TestLargeLine(t *testing.T) {
	text := strings.Repeat("y", 5<<20)
	in := alive + "\n" + `{"id":1,"method":"echo","params":{"text":"` + text + `"}}` + "\n" + alive + "\n"
	out := &sink{}
	if err := New(Options{In: strings.NewReader(in), Out: out, Mux: echoMux(), Limits: patient}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := out.take()
	if len(got) != 3 || got[0] != aliveOK || got[2] != aliveOK || got[1] != `{"id":1,"result":{"text":"`+text+`"}}` {
		t.Errorf("%d lines", len(got))
	}
}

func TestInputFails(t *testing.T) {
	out := &sink{}
	in := io.MultiReader(strings.NewReader(alive+"\n"), iotest.ErrReader(errTest))
	err := New(Options{In: in, Out: out, Mux: echoMux(), Limits: patient}).Run(t.Context())
	if !errors.Is(err, errTest) {
		t.Errorf("Run: %v", err)
	}
	if got := out.take(); len(got) != 1 || got[0] != aliveOK {
		t.Errorf("got %q", got)
	}
}

type emptyReader struct{}

func (emptyReader) Read([]byte) (int, error) { return 0, nil }

// A reader that gives nothing for ever must not spin for ever.
func TestInputGivesNothing(t *testing.T) {
	for _, begin := range []string{"", strings.Repeat("x", 200)} {
		in := io.MultiReader(strings.NewReader(begin), emptyReader{})
		err := New(Options{In: in, Out: &sink{}, Mux: echoMux(), Limits: Limits{Line: 100}}).Run(t.Context())
		if !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("Run: %v", err)
		}
	}
}
