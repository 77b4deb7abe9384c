package rpc

import "bytes"

// mendSurrogates replaces the escapes of unpaired UTF-16 surrogates in a line
// of JSON by \ufffd, in place: both forms are six bytes long. Parents written
// in JavaScript cut texts in the middle of a pair, and the request must not be
// lost for it. Everything behind sees strings that are valid Unicode.
//
// A backslash outside a string is no JSON, so strings need not be told apart.
func mendSurrogates(line []byte) {
	for {
		i := bytes.IndexByte(line, '\\')
		if i < 0 || i+1 >= len(line) {
			return
		}
		if line[i+1] != 'u' {
			line = line[i+2:] // the escaped character may be a backslash
			continue
		}
		switch unit := hexUnit(line[i:]); {
		case unit < 0xd800 || unit > 0xdfff: // also -1: no escape at all
			line = line[min(i+6, len(line)):]
			if unit < 0 {
				return // not JSON; the decoder will say so
			}
		case unit < 0xdc00 && isLow(hexUnit(line[i+6:])):
			line = line[i+12:]
		default:
			copy(line[i:], `\ufffd`)
			line = line[i+6:]
		}
	}
}

func isLow(unit int) bool { return unit >= 0xdc00 && unit <= 0xdfff }

// hexUnit reads the escape \uXXXX at the start of b; -1 if there is none.
func hexUnit(b []byte) int {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	unit := 0
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		unit = unit<<4 | int(c)
	}
	return unit
}
