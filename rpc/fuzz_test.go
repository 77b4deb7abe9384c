package rpc

import (
	"bytes"
	"slices"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// odd are lines of every kind that the tests know.
var odd = []string{
	`{"id":1,"method":"echo","params":{"text":"a"}}`, `{"id":"","method":"free"}`, `{"method":"note"}`,
	`{"id":-9223372036854775808,"method":"echo"}`, `{"id":1.5,"method":"echo"}`, `{"id":null,"method":"echo"}`,
	`{"id":0,"result":{}}`, `{"id":0,"error":{}}`, `{"id":"0","result":1}`, `{"id":7}`, `[]`, `[{"id":1}]`, `7`, `"x"`, `{`, ``, "\r",
	"\xef\xbb\xbf" + `{"id":2,"method":"echo"}`, "\xff\xfe", "{\"id\":3,\"method\":\"echo\",\"params\":{\"text\":\"\xff\"}}",
	`{"id":4,"method":"echo","params":{"text":"\ud83d"}}`, `{"id":5,"id":6,"method":"echo"}`, `{"method":"\u0065cho","id":8}`,
}

// A line is one of a few kinds, and what is passed on is sound JSON.
func FuzzClassify(f *testing.F) {
	for _, line := range odd {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m := newClassifier().classify(slices.Clone(line))
		valid := func(what string, text []byte) {
			if text != nil && !jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true)) {
				t.Errorf("%s is not sound JSON: %q", what, text)
			}
		}
		valid("id", m.id)
		valid("params", m.params)
		valid("result", m.result)
		switch m.kind {
		case kindRequest:
			if m.id == nil || !utf8.Valid(m.method) {
				t.Errorf("request with id %q, method %q", m.id, m.method)
			}
		case kindBad:
			if m.fault == nil {
				t.Error("a bad line without a fault")
			}
		}
		newClassifier().classifyLong(line)
	})
}

// Whatever bytes come, in whatever pieces: the next line works, and all that
// goes out is lines of JSON objects.
func FuzzLines(f *testing.F) {
	f.Add(bytes.Join(byteLines(odd), []byte("\n")), false)
	f.Add(bytes.Join(byteLines(odd), []byte("\r\n")), true)
	f.Add(bytes.Repeat([]byte("x"), 3000), false)
	f.Fuzz(func(t *testing.T, input []byte, byByte bool) {
		in := append(slices.Clone(input), "\n"+alive+"\n"...)
		reader := iotest.DataErrReader(bytes.NewReader(in))
		if byByte {
			reader = iotest.OneByteReader(reader)
		}
		out := &sink{}
		// A small limit, so that long lines are met as well.
		if err := New(Options{In: reader, Out: out, Mux: echoMux(), Limits: Limits{Line: 2000}}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		lines := out.take()
		if !slices.Contains(lines, aliveOK) {
			t.Errorf("the line after was not answered: %q", lines)
		}
		for _, line := range lines {
			if v := jsontext.Value(line); !v.IsValid() || v.Kind() != '{' {
				t.Errorf("not a line of JSON: %q", line)
			}
		}
	})
}

func byteLines(lines []string) [][]byte {
	var out [][]byte
	for _, l := range lines {
		out = append(out, []byte(l))
	}
	return out
}
