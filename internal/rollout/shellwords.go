package rollout

import "strings"

// splitCommand splits a command line as the wire shows it into its words. Where
// it does not read like one, all of it is one word: the words are for the
// reference to show, not to run.
func splitCommand(s string) []string {
	var words []string
	var w strings.Builder
	in, quote := false, byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
			w.WriteByte(c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\':
			if i+1 == len(s) {
				return []string{s}
			}
			i++
			if quote == '"' && !strings.ContainsRune("$`\"\\\n", rune(s[i])) {
				w.WriteByte('\\')
			}
			w.WriteByte(s[i])
			in = true
		case c == '\'' || c == '"':
			quote, in = c, true
		case c == ' ' || c == '\t' || c == '\n':
			if in {
				words = append(words, w.String())
				w.Reset()
				in = false
			}
		default:
			w.WriteByte(c)
			in = true
		}
	}
	if quote != 0 {
		return []string{s}
	}
	if in {
		words = append(words, w.String())
	}
	if len(words) == 0 {
		return []string{s}
	}
	return words
}

// joinCommand is the command line of words, quoted where a shell needs it.
func joinCommand(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quoteWord(w)
	}
	return strings.Join(quoted, " ")
}

func quoteWord(w string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("+-./:@]_", c)
	}
	switch {
	case w != "" && strings.IndexFunc(w, func(c rune) bool { return !plain(c) }) < 0:
		return w
	case !strings.Contains(w, "'"):
		return "'" + w + "'"
	case !strings.ContainsAny(w, "\"$`\\!"):
		return `"` + w + `"`
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}
