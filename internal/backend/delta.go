package backend

import (
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// decodeDelta reads a delta event without building a tree or checking what
// nobody asks for: strings are parts of data unless they have escapes. It
// takes flat objects only and leaves all others, the odd and the broken ones
// included, to decodeAny; the two agree on what both take (FuzzDecodeEvent).
func decodeDelta(data string) (Event, bool) {
	s := scanner{data: data}
	var e Event
	var content, summary int
	if !s.take('{') {
		return e, false
	}
	for {
		key, ok := s.plain()
		if !ok || !s.take(':') {
			return e, false
		}
		switch key {
		case "type":
			var name string
			if name, ok = s.plain(); ok {
				e.Kind = deltaKind(name)
				ok = e.Kind != 0
			}
		case "delta":
			e.Delta, ok = s.text()
		case "item_id":
			e.ItemID, ok = s.plain()
		case "content_index":
			content, ok = s.small()
		case "summary_index":
			summary, ok = s.small()
		default:
			ok = s.skip()
		}
		if !ok {
			return e, false
		}
		if s.take(',') {
			continue
		}
		if !s.take('}') || !s.atEnd() || e.Kind == 0 || !utf8.ValidString(data) {
			return e, false
		}
		e.Index = content
		if e.Kind == EventSummaryDelta {
			e.Index = summary
		}
		return e, true
	}
}

// scanner walks over a flat JSON object.
type scanner struct {
	data string
	at   int
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	s.space()
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) atEnd() bool {
	s.space()
	return s.at == len(s.data)
}

// literal reads a string with its quotes. The bytes after a backslash are not
// looked at.
func (s *scanner) literal() (lit string, escaped, ok bool) {
	if !s.take('"') {
		return "", false, false
	}
	start := s.at - 1
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return s.data[start:s.at], escaped, true
		case c == '\\':
			escaped = true
			s.at++
		case c < ' ':
			return "", false, false
		}
	}
	return "", false, false
}

// plain reads a string that has no escapes.
func (s *scanner) plain() (string, bool) {
	lit, escaped, ok := s.literal()
	if !ok || escaped {
		return "", false
	}
	return lit[1 : len(lit)-1], true
}

func (s *scanner) text() (string, bool) {
	lit, escaped, ok := s.literal()
	if !ok {
		return "", false
	}
	if !escaped {
		return lit[1 : len(lit)-1], true
	}
	out, err := jsontext.AppendUnquote(make([]byte, 0, len(lit)), lit)
	return string(out), err == nil
}

// digits reads a whole number as it must be written in JSON.
func (s *scanner) digits() (string, bool) {
	s.space()
	start := s.at
	if s.at < len(s.data) && s.data[s.at] == '-' {
		s.at++
	}
	first := s.at
	for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
		s.at++
	}
	n := s.at - first
	return s.data[start:s.at], n > 0 && (n == 1 || s.data[first] != '0')
}

// small reads an index.
func (s *scanner) small() (int, bool) {
	d, ok := s.digits()
	if !ok || d[0] == '-' || len(d) > 9 {
		return 0, false
	}
	n := 0
	for i := range len(d) {
		n = n*10 + int(d[i]-'0')
	}
	return n, true
}

// skip passes over a value that is not nested.
func (s *scanner) skip() bool {
	s.space()
	if s.at == len(s.data) {
		return false
	}
	switch c := s.data[s.at]; c {
	case '"':
		_, ok := s.plain()
		return ok
	case '[':
		s.at++
		return s.take(']')
	case '{':
		s.at++
		return s.take('}')
	case 't', 'f', 'n':
		for _, word := range []string{"true", "false", "null"} {
			if strings.HasPrefix(s.data[s.at:], word) {
				s.at += len(word)
				return true
			}
		}
		return false
	}
	_, ok := s.digits()
	return ok
}
