package process

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCutter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   []string
		want string
	}{
		{"plain", []string{"abc", "def"}, "abcdef"},
		{"split rune", []string{"a\xe4", "\xb8", "\x96b"}, "a世b"},
		{"split emoji", []string{"\xf0\x9f", "\x98\x80"}, "😀"},
		{"never finished", []string{"a\xe4\xb8"}, "a\ufffd"},
		{"not continued", []string{"\xe4\xb8", "x"}, "\ufffdx"},
		{"lone bytes", []string{"\x80\xff\xfe"}, "\ufffd\ufffd\ufffd"},
		{"surrogate", []string{"\xed\xa0\x80"}, "\ufffd\ufffd\ufffd"},
		{"overlong", []string{"\xc0\xaf\xe0\x80\xaf"}, "\ufffd\ufffd\ufffd\ufffd\ufffd"},
		{"replacement itself", []string{"\ufffd"}, "\ufffd"},
		{"too large", []string{"\xf4\x90\x80\x80"}, "\ufffd\ufffd\ufffd\ufffd"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var c cutter
			var got []byte
			for _, s := range test.in {
				got = append(got, c.write([]byte(s))...)
			}
			got = append(got, c.flush()...)
			if string(got) != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// However the bytes are split, every piece is valid and the whole the same.
func FuzzCutter(f *testing.F) {
	f.Add([]byte("a世\xff😀\xf0\x9f"), uint8(3))
	f.Add([]byte("\xe4\xb8\xe4\xb8\x96"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		var whole, parts cutter
		want := append(bytes.Clone(whole.write(bytes.Clone(data))), whole.flush()...)
		var got []byte
		for rest := data; len(rest) > 0; {
			n := min(int(step)+1, len(rest))
			piece := parts.write(bytes.Clone(rest[:n]))
			if !utf8.Valid(piece) {
				t.Fatalf("piece %q", piece)
			}
			got = append(got, piece...)
			rest = rest[n:]
		}
		got = append(got, parts.flush()...)
		if !bytes.Equal(got, want) || !utf8.Valid(got) {
			t.Fatalf("got %q, want %q", got, want)
		}
		if utf8.Valid(data) && !bytes.Equal(got, data) {
			t.Fatalf("changed %q to %q", data, got)
		}
	})
}

func TestShorten(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		text  Text
		limit int
		want  Text
	}{
		{"fits", Text{Head: "abcd"}, 4, Text{Head: "abcd"}},
		{"cut", Text{Head: "abcdef"}, 4, Text{Head: "ab", Tail: "ef", Omitted: 2, Lines: 1}},
		{"cut again", Text{Head: "abc", Tail: "xyz", Omitted: 10, Lines: 7}, 4, Text{Head: "ab", Tail: "yz", Omitted: 12, Lines: 7}},
		{"runes", Text{Head: "世界世界"}, 8, Text{Head: "世", Tail: "界", Omitted: 6, Lines: 1}},
		{"nothing", Text{Head: "abc"}, 0, Text{Omitted: 3, Lines: 1}},
		{"lines", Text{Head: "a\nb\nc\n"}, 2, Text{Head: "a", Tail: "\n", Omitted: 4, Lines: 3}},
		{"a last line that is not whole", Text{Head: "a\nb\nc"}, 2, Text{Head: "a", Tail: "c", Omitted: 3, Lines: 3}},
	}
	for _, test := range tests {
		if got := test.text.Shorten(test.limit); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
	if got, want := (Text{Head: "a", Tail: "b", Omitted: 9}).String(), "a\n[... 9 bytes (about 3 tokens) left out ...]\nb"; got != want {
		t.Errorf("got %q", got)
	}
}

func FuzzEnds(f *testing.F) {
	f.Add("abc世界def", uint8(5), uint8(2))
	f.Fuzz(func(t *testing.T, text string, limit, step uint8) {
		text = strings.ToValidUTF8(text, "?")
		e := newEnds(int(limit))
		for rest := text; rest != ""; {
			n := min(int(step)+1, len(rest))
			e.write([]byte(rest[:n]))
			rest = rest[n:]
		}
		got := e.text()
		if got.Bytes() != int64(len(text)) || len(got.Head)+len(got.Tail) > int(limit) {
			t.Fatalf("got %+v of %d, limit %d", got, len(text), limit)
		}
		if want := strings.Count(text, "\n"); got.Omitted > 0 && (got.Lines < int64(want) || got.Lines > int64(want)+1) {
			t.Fatalf("got %d lines of %q", got.Lines, text)
		}
		if !utf8.ValidString(got.Head) || !utf8.ValidString(got.Tail) || !strings.HasPrefix(text, got.Head) || !strings.HasSuffix(text, got.Tail) {
			t.Fatalf("got %+v of %q", got, text)
		}
		if len(text) <= int(limit) && got.String() != text {
			t.Fatalf("got %q, want %q", got, text)
		}
		if cap(e.head)+cap(e.tail) > 8*int(limit)+256 {
			t.Fatalf("holds %d for %d", cap(e.head)+cap(e.tail), limit)
		}
	})
}
