package rpc

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// collect reads lines through a lineReader and cuts them as the stream does.
func collect(in io.Reader, limit int) (lines []string) {
	done := make(chan struct{})
	defer close(done)
	r := newLineReader(in, limit, done)
	go r.run()
	for c := range r.chunks {
		switch {
		case c.err != nil:
			return lines
		case c.long > 0:
			lines = append(lines, "long "+strconv.Itoa(c.long))
			continue
		}
		for rest := c.data; len(rest) > 0; {
			var line []byte
			line, rest = cutLine(rest)
			if line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")); len(line) > limit {
				lines = append(lines, "long "+strconv.Itoa(len(line)))
			} else {
				lines = append(lines, string(line))
			}
		}
		r.giveBack(c.data)
	}
	return lines
}

// Framing loses and invents nothing, however the input arrives.
func FuzzFraming(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n\nlong line here\nc"), 6)
	f.Add([]byte("\r\n\r\r\n"), 1)
	f.Add(append(bytes.Repeat([]byte("x"), readSize+10), "\ny\n"...), 100)
	f.Add(append(bytes.Repeat([]byte("x"), readSize-1), "\ny\n"...), 100_000)
	f.Fuzz(func(t *testing.T, input []byte, limit int) {
		limit = 1 + max(limit, -limit, 0)%200_000
		var want []string
		for _, line := range strings.SplitAfter(string(input), "\n") {
			if line == "" {
				continue
			}
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			want = append(want, line)
		}
		for _, in := range []io.Reader{bytes.NewReader(input), iotest.HalfReader(bytes.NewReader(input)), iotest.DataErrReader(bytes.NewReader(input))} {
			got := collect(in, limit)
			if len(got) != len(want) {
				t.Fatalf("%d lines, want %d", len(got), len(want))
			}
			for i, line := range got {
				if n, long := strings.CutPrefix(line, "long "); long && len(want[i]) > limit {
					// The carriage return of a long line may be counted.
					if size, _ := strconv.Atoi(n); size != len(want[i]) && size != len(want[i])+1 {
						t.Fatalf("line %d: length %s, want %d", i, n, len(want[i]))
					}
				} else if line != want[i] {
					t.Fatalf("line %d: %q, want %q", i, line, want[i])
				}
			}
		}
	})
}

// Classification never panics, and what it says can be trusted.
func FuzzClassify(f *testing.F) {
	for _, tt := range lineTests {
		f.Add([]byte(tt.line))
	}
	f.Add([]byte(`{"id":0,"error":{"code":1.5e3,"message":"\ud800","data":[]}}`))
	c := newClassifier()
	f.Fuzz(func(t *testing.T, line []byte) {
		c.classifyLong(bytes.Clone(line))
		own := bytes.Clone(line)
		m := c.classify(trimLine(own))
		c.forget()
		if m.id != nil {
			if kind, _ := readID(m.id); kind != idString && kind != idInteger || !utf8.Valid(m.id) || !json.Valid(m.id) {
				t.Fatalf("id %q", m.id)
			}
		}
		valid := json.Valid(bytes.TrimPrefix(line, byteOrderMark))
		switch m.kind {
		case kindRequest, kindNotification:
			if (m.kind == kindRequest) != (m.id != nil) {
				t.Fatalf("kind %d with id %q", m.kind, m.id)
			}
			if !valid || !utf8.Valid(m.method) || m.params != nil && !jsontext.Value(m.params).IsValid(jsontext.AllowDuplicateNames(true)) {
				t.Fatalf("method %q params %q", m.method, m.params)
			}
		case kindAnswer:
			if (m.result == nil) == (m.failed == nil) {
				t.Fatalf("answer with result %q and error %v", m.result, m.failed)
			}
			if m.result != nil && !jsontext.Value(m.result).IsValid(jsontext.AllowDuplicateNames(true)) {
				t.Fatalf("result %q", m.result)
			}
		case kindBad:
			if m.fault == nil || m.fault == errNotJSON && m.id != nil {
				t.Fatalf("fault %v id %q", m.fault, m.id)
			}
			if answer := appendFailure(nil, append([]byte(nil), m.id...), m.fault); m.id != nil && !json.Valid(answer) {
				t.Fatalf("answer %s", answer)
			}
		}
	})
}

// Mended text is as long as before, and JSON that was valid becomes JSON that
// a strict reader takes.
func FuzzMendSurrogates(f *testing.F) {
	for _, s := range []string{`"\ud83d"`, `"\ud83d\ude00"`, `"\ud83d\ud83d\ude00"`, `"\\ud83d"`, `"\ude00\ud83d"`, `\u12`, `\`, `"\uD83Dx"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		mended := bytes.Clone(line)
		mendSurrogates(mended)
		if len(mended) != len(line) {
			t.Fatal("another length")
		}
		again := bytes.Clone(mended)
		mendSurrogates(again)
		if !bytes.Equal(again, mended) {
			t.Fatalf("%q is mended twice: %q", mended, again)
		}
		if !json.Valid(line) || !utf8.Valid(line) {
			return
		}
		if !jsontext.Value(mended).IsValid(jsontext.AllowDuplicateNames(true)) {
			t.Fatalf("%q became %q", line, mended)
		}
		// encoding/json replaces unpaired surrogates by itself.
		var a, b any
		if json.Unmarshal(line, &a) != nil {
			return // a number out of range
		}
		if err := json.Unmarshal(mended, &b); err != nil {
			t.Fatal(err)
		}
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if !bytes.Equal(x, y) {
			t.Fatalf("%q became %q", line, mended)
		}
	})
}

// Whatever bytes come, in whatever pieces: the next line works, and all that
// goes out is lines of JSON objects.
func FuzzLines(f *testing.F) {
	var odd []string
	for _, tt := range lineTests {
		if len(tt.line) < 1000 {
			odd = append(odd, tt.line)
		}
	}
	f.Add([]byte(strings.Join(odd, "\n")), false)
	f.Add([]byte(strings.Join(odd, "\r\n")), true)
	f.Add(bytes.Repeat([]byte("x"), 3000), false)
	f.Fuzz(func(t *testing.T, input []byte, byByte bool) {
		in := append(bytes.Clone(input), "\n"+alive+"\n"...)
		reader := iotest.DataErrReader(bytes.NewReader(in))
		if byByte {
			reader = iotest.OneByteReader(reader)
		}
		out := &sink{}
		limits := patient
		limits.Line = 2000 // small, so that long lines are met as well
		if err := New(Options{In: reader, Out: out, Mux: echoMux(), Limits: limits}).Run(t.Context()); err != nil {
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
