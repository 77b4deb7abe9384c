package patch

import (
	"context"
	"strings"
	"unicode"
)

// leniencies are the ways to compare a line of a patch with one of a file, the
// strictest first. A whole search is made with one before the next is tried,
// so that an exact match further down wins over a lenient one further up.
var leniencies = [...]func(string) string{
	func(s string) string { return s },
	func(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) },
	strings.TrimSpace,
	func(s string) string { return strings.Map(plain, strings.TrimSpace(s)) },
}

// plain turns typographic dashes, quotes and spaces into those of a keyboard.
func plain(r rune) rune {
	switch {
	case r < 0x80:
		return r
	case r >= '\u2010' && r <= '\u2015', r == '\u2212':
		return '-'
	case r >= '\u2018' && r <= '\u201b':
		return '\''
	case r >= '\u201c' && r <= '\u201f':
		return '"'
	case r == '\u00a0', r >= '\u2002' && r <= '\u200a', r == '\u202f', r == '\u205f', r == '\u3000':
		return ' '
	}
	return r
}

// searcher looks for lines of a patch in the lines of one file.
type searcher struct {
	ctx   context.Context
	lines [len(leniencies)][]string // the file under each leniency, made when first needed
}

func newSearcher(ctx context.Context, lines []string) *searcher {
	s := &searcher{ctx: ctx}
	s.lines[0] = lines
	return s
}

// level returns the file under a leniency.
func (s *searcher) level(n int) []string {
	if s.lines[n] == nil {
		out := make([]string, len(s.lines[0]))
		for i, l := range s.lines[0] {
			out[i] = leniencies[n](l)
		}
		s.lines[n] = out
	}
	return s.lines[n]
}

// where is the part of a file that a search covers.
type where struct {
	from int  // first line that may match
	last bool // only the very end of the file matches
}

// find returns the index of the first place where want stands in the file, or
// -1. An error is the context's: a hostile patch can make a search long.
func (s *searcher) find(want []string, w where) (int, error) {
	count := len(s.lines[0])
	from, to := w.from, count-len(want)
	if w.last {
		from = max(from, to)
	}
	if from > to {
		return -1, nil
	}
	pattern := make([]string, len(want))
	for n, f := range leniencies {
		for i, l := range want {
			pattern[i] = f(l)
		}
		lines := s.level(n)
		steps := 0
		for at := from; at <= to; at++ {
			i := 0
			for i < len(pattern) && lines[at+i] == pattern[i] {
				i++
			}
			if i == len(pattern) {
				return at, nil
			}
			if steps += i + 1; steps > 1<<16 {
				if err := s.ctx.Err(); err != nil {
					return -1, err
				}
				steps = 0
			}
		}
	}
	return -1, nil
}
