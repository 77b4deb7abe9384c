// Package excerpt shortens texts to a number of bytes, between characters. It does
// not know what the texts are.
package excerpt

import "unicode/utf8"

// Head is at most n bytes of the beginning of a text.
func Head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Tail is at most n bytes of the end of a text.
func Tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	i := len(s) - n
	for i < len(s) && !utf8.RuneStart(s[i]) {
		i++
	}
	return s[i:]
}

// Ends is a text of at most n bytes: all of it, or its beginning and its end with
// mark between them. n must not be less than the mark has.
func Ends(s string, n int, mark string) string {
	if len(s) <= n {
		return s
	}
	room := n - len(mark)
	return Head(s, room/2) + mark + Tail(s, room-room/2)
}
