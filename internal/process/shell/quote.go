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

func quoteWord(b *strings.Builder, word string) {
	switch {
	case word == "":
		b.WriteString("''")
	case strings.IndexFunc(word, special) < 0:
		b.WriteString(word)
	case !strings.Contains(word, "'"):
		b.WriteString("'" + word + "'")
	case !strings.ContainsAny(word, "$`!^"):
		b.WriteByte('"')
		b.WriteString(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word))
		b.WriteByte('"')
	default: // single quotes around all but the single quotes
		for i, part := range strings.Split(word, "'") {
			if i > 0 {
				b.WriteString(`"'"`)
			}
			if part != "" {
				b.WriteString("'" + part + "'")
			}
		}
	}
}

// special tells whether a rune makes quotes necessary. The set without quotes
// is the reference's, so that both write a command alike.
func special(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("+-./:@]_", r)
}
