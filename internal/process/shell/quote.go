package shell

import "strings"

// Quote writes an argv as one line that a POSIX shell reads back as the same
// words. It is what parents see as the command of an item, so plain words stay
// plain: bash -lc 'ls -la'.
func Quote(argv []string) string {
	var b strings.Builder
	for i, word := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		quoteWord(&b, word)
	}
	return b.String()
}

// style is a way to write characters, or a set of such ways.
type style int

const (
	unquoted style = 1 << iota
	singleQuoted
	doubleQuoted
)

// quoteWord writes a word in pieces, each as long as one style can hold it, so
// that both this server and the reference write a command alike.
func quoteWord(b *strings.Builder, word string) {
	if word == "" {
		b.WriteString("''")
	}
	for word != "" {
		n, fit := 0, unquoted|singleQuoted|doubleQuoted
		for ; n < len(word); n++ {
			next := fit & styles(word[n], n == 0)
			if next == 0 {
				break
			}
			fit = next
		}
		piece := word[:n]
		word = word[n:]
		switch {
		case fit&unquoted != 0:
			b.WriteString(piece)
		case fit&singleQuoted != 0:
			b.WriteString("'" + piece + "'")
		default:
			b.WriteByte('"')
			b.WriteString(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(piece))
			b.WriteByte('"')
		}
	}
}

// styles are those that can hold a character as it is. A shell that keeps a
// history takes a ^ for a command unless it comes first in single quotes.
func styles(c byte, first bool) style {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("+-./:@]_", c) >= 0:
		return unquoted | singleQuoted | doubleQuoted
	case c == '^' && first:
		return singleQuoted
	case c == '^':
		return 0
	case c == '\'', c == '\\':
		return doubleQuoted
	case c == '$', c == '`', c == '!':
		return singleQuoted
	}
	return singleQuoted | doubleQuoted
}
