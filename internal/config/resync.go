package config

import (
	"bytes"
	"strings"
)

// resume finds where to go on after the expression that starts at start could
// not be parsed: the next line that opens a table or, unless headers is
// headersOnly, starts a key. It returns -1 where nothing after can be trusted,
// which is so inside a multi-line text that never ends.
func resume(data []byte, start int, want resumeAt) int {
	first := true
	for pos := start; pos < len(data); first = false {
		end := pos + lineLength(data[pos:])
		line := data[pos:end]
		if !first {
			if isHeader(line) || want == keysToo && startsKey(line) {
				return pos
			}
		}
		if i, quote := tripleQuote(line); i >= 0 {
			rest := data[pos+i+3:]
			j := bytes.Index(rest, quote)
			if j < 0 {
				return -1
			}
			pos += i + 3 + j + 3
			end = pos + lineLength(data[pos:])
		} else if first && bytes.Count(line, []byte("{")) > bytes.Count(line, []byte("}")) {
			// The following lines may be members of an inline table: they
			// would be taken for keys of the table around it.
			want = headersOnly
		}
		pos = end
	}
	return -1
}

// resumeAt says which lines resume may stop at.
type resumeAt int

const (
	keysToo resumeAt = iota
	headersOnly
)

// lineLength is the length of the first line of b with its newline.
func lineLength(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	return len(b)
}

// tripleQuote finds the first delimiter of a multi-line text.
func tripleQuote(line []byte) (int, []byte) {
	basic, literal := []byte(`"""`), []byte(`'''`)
	i, j := bytes.Index(line, basic), bytes.Index(line, literal)
	if i < 0 || j >= 0 && j < i {
		return j, literal
	}
	return i, basic
}

// isHeader reports whether a line is a table header and nothing else.
func isHeader(line []byte) bool {
	rest := bytes.TrimSpace(line)
	closing := []byte("]")
	if bytes.HasPrefix(rest, []byte("[[")) {
		rest, closing = rest[2:], []byte("]]")
	} else if bytes.HasPrefix(rest, []byte("[")) {
		rest = rest[1:]
	} else {
		return false
	}
	_, rest, ok := leadingKey(rest)
	if !ok || !bytes.HasPrefix(rest, closing) {
		return false
	}
	rest = bytes.TrimLeft(rest[len(closing):], " \t\r\n")
	return len(rest) == 0 || rest[0] == '#'
}

// startsKey reports whether a line starts with a key and an equals sign.
func startsKey(line []byte) bool {
	_, rest, ok := leadingKey(line)
	return ok && len(rest) > 0 && rest[0] == '='
}

// leadingKey scans a dotted key at the start of b and returns its parts and
// what follows it. Escapes in quoted parts stay as they are.
func leadingKey(b []byte) (parts []string, rest []byte, ok bool) {
	for {
		b = bytes.TrimLeft(b, " \t")
		if len(b) == 0 {
			return nil, nil, false
		}
		n := 0
		if q := b[0]; q == '"' || q == '\'' {
			for n = 1; n < len(b) && b[n] != q && b[n] != '\n'; n++ {
				if q == '"' && b[n] == '\\' {
					n++
				}
			}
			if n >= len(b) || b[n] != q {
				return nil, nil, false
			}
			n++
			parts = append(parts, strings.Trim(string(b[:n]), string(rune(q))))
		} else {
			for n < len(b) && isBare(b[n]) {
				n++
			}
			if n == 0 {
				return nil, nil, false
			}
			parts = append(parts, string(b[:n]))
		}
		b = bytes.TrimLeft(b[n:], " \t")
		if len(b) == 0 || b[0] != '.' {
			return parts, b, true
		}
		b = b[1:]
	}
}
