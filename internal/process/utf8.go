package process

import "unicode/utf8"

// cutter turns a stream of bytes into pieces of valid UTF-8. A rune that is
// split between two writes comes whole with the second one; bytes that are no
// UTF-8 become U+FFFD, one for each broken sequence, as decoders on the other
// side of a wire do it.
type cutter struct {
	rest [utf8.UTFMax]byte // the beginning of a rune
	n    int
}

// write returns p as text, less an unfinished rune at its end. The result may
// share memory with p.
func (c *cutter) write(p []byte) []byte {
	if c.n > 0 {
		p = append(append(make([]byte, 0, c.n+len(p)), c.rest[:c.n]...), p...)
		c.n = 0
	}
	if tail := unfinished(p); tail > 0 {
		c.n = copy(c.rest[:], p[len(p)-tail:])
		p = p[:len(p)-tail]
	}
	if utf8.Valid(p) {
		return p
	}
	return clean(p)
}

// flush returns what is left at the end of the stream.
func (c *cutter) flush() []byte {
	if c.n == 0 {
		return nil
	}
	c.n = 0
	return []byte(string(utf8.RuneError)) // a beginning without an end is one broken sequence
}

// unfinished returns the length of a possible beginning of a rune at the end
// of p, else 0.
func unfinished(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		b := p[len(p)-n:]
		if utf8.RuneStart(b[0]) {
			if prefix(b) == n && !utf8.FullRune(b) {
				return n
			}
			return 0
		}
	}
	return 0
}

// clean replaces the broken sequences of p.
func clean(p []byte) []byte {
	out := make([]byte, 0, len(p)+16)
	for len(p) > 0 {
		r, size := utf8.DecodeRune(p)
		if r == utf8.RuneError && size == 1 {
			size = prefix(p)
		}
		out = utf8.AppendRune(out, r)
		p = p[size:]
	}
	return out
}

// prefix returns how many bytes at the start of a broken sequence could have
// begun a rune, at least 1. They stand for one replacement character.
func prefix(p []byte) int {
	var need int
	low, high := byte(0x80), byte(0xbf) // bounds of the second byte
	switch b := p[0]; {
	case b >= 0xc2 && b <= 0xdf:
		need = 2
	case b >= 0xe0 && b <= 0xef:
		need = 3
		if b == 0xe0 {
			low = 0xa0
		} else if b == 0xed {
			high = 0x9f
		}
	case b >= 0xf0 && b <= 0xf4:
		need = 4
		if b == 0xf0 {
			low = 0x90
		} else if b == 0xf4 {
			high = 0x8f
		}
	default:
		return 1
	}
	n := 1
	for n < need && n < len(p) && p[n] >= low && p[n] <= high {
		n++
		low, high = 0x80, 0xbf
	}
	return n
}
