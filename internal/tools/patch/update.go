package patch

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// fileLine is a line of a file, and the line end it has there: "\n", "\r\n", or
// nothing for a last line without one.
type fileLine struct{ text, end string }

// splitFile cuts the content of a file into lines.
func splitFile(content string) []fileLine {
	var out []fileLine
	for len(content) > 0 {
		i := strings.IndexByte(content, '\n')
		switch {
		case i < 0:
			return append(out, fileLine{text: content})
		case i > 0 && content[i-1] == '\r':
			out = append(out, fileLine{content[:i-1], "\r\n"})
		default:
			out = append(out, fileLine{content[:i], "\n"})
		}
		content = content[i+1:]
	}
	return out
}

// edit replaces old lines, those from at on, by what the lines of a hunk say.
type edit struct {
	at    int
	lines []Line
}

// updated returns the content of a file after the hunks of an Update. As in
// the reference: hunks come in the order of the file; context lines stay as
// they are in the file, even where they matched leniently; new lines take the
// line end of the file's first line; a hunk with new lines only goes to the
// end of the file, one with a blank line behind them to where the search stands;
// and the result ends with a line end.
//
// An error without a place in the file is the context's, any other is a
// *hunkError.
func updated(ctx context.Context, content string, hunks []Hunk) (string, error) {
	lines := splitFile(content)
	texts := make([]string, len(lines))
	eol := "\n"
	for i, l := range lines {
		texts[i] = l.text
		if i == 0 && l.end != "" {
			eol = l.end
		}
	}
	search := newSearcher(ctx, texts)
	edits := make([]edit, 0, len(hunks))
	cursor := 0
	for i := range hunks {
		e, next, err := locate(search, &hunks[i], cursor)
		if err != nil {
			return "", err
		}
		edits = append(edits, e)
		cursor = next
	}
	// Only hunks of new lines are out of order: they went to the end.
	slices.SortStableFunc(edits, func(a, b edit) int { return a.at - b.at })
	return join(lines, edits, eol), nil
}

// join writes the file with its edits made.
func join(lines []fileLine, edits []edit, eol string) string {
	var b strings.Builder
	put := func(l fileLine) {
		b.WriteString(l.text)
		if l.end == "" {
			l.end = eol
		}
		b.WriteString(l.end)
	}
	at := 0
	for _, e := range edits {
		for ; at < e.at; at++ {
			put(lines[at])
		}
		for _, l := range e.lines {
			switch l.Op {
			case Insert:
				put(fileLine{text: l.Text})
			case Context:
				put(lines[at])
				at++
			case Remove:
				at++
			}
		}
	}
	for ; at < len(lines); at++ {
		put(lines[at])
	}
	return b.String()
}

// locate finds where a hunk belongs, from the line cursor on, and returns the
// line from which the next hunk is searched.
func locate(s *searcher, h *Hunk, cursor int) (edit, int, error) {
	if strings.TrimSpace(h.Header) != "" {
		at, err := s.find([]string{h.Header}, where{from: cursor})
		if err != nil {
			return edit{}, 0, err
		}
		if at < 0 {
			return edit{}, 0, s.missing(h, []string{h.Header}, cursor)
		}
		cursor = at + 1
	}
	lines := h.Lines
	if len(oldLines(lines)) == 0 {
		return edit{len(s.lines[0]), lines}, cursor, nil
	}
	for range 2 {
		old := oldLines(lines)
		at, err := s.find(old, where{cursor, h.EndOfFile})
		if err != nil {
			return edit{}, 0, err
		}
		if at >= 0 {
			return edit{at, lines}, at + len(old), nil
		}
		if old[len(old)-1] != "" {
			break
		}
		// A blank line at the end of a hunk often only parts it from the next
		// one: look once more without it.
		lines = withoutLastBlank(lines)
	}
	return edit{}, 0, s.missing(h, oldLines(h.Lines), cursor)
}

// oldLines returns the lines that a hunk expects in the file.
func oldLines(lines []Line) []string {
	var out []string
	for _, l := range lines {
		if l.Op != Insert {
			out = append(out, l.Text)
		}
	}
	return out
}

// withoutLastBlank returns the lines of a hunk without the last one that it
// expects in the file, which is blank. Where new lines follow it, it becomes a
// new line itself, so that the result has it all the same.
func withoutLastBlank(lines []Line) []Line {
	i := len(lines) - 1
	for lines[i].Op == Insert {
		i--
	}
	out := slices.Clone(lines)
	switch {
	case i < len(lines)-1 && lines[i].Op == Context:
		out[i].Op = Insert
	case i < len(lines)-1 && lines[len(lines)-1].Text == "":
		out = slices.Delete(out[:len(out)-1], i, i+1)
	default:
		out = slices.Delete(out, i, i+1)
	}
	return out
}

// hunkError says that a hunk does not fit the file.
type hunkError struct {
	line   int    // of the hunk in the patch
	reason string // what was looked for and where
}

func (e *hunkError) Error() string { return e.reason }

// missing describes lines that were not found, for the model to mend its patch.
func (s *searcher) missing(h *Hunk, want []string, cursor int) error {
	const most = 30 // lines shown; the model has the rest
	var b strings.Builder
	what := "these lines are"
	if len(want) == 1 {
		what = "this line is"
	}
	place := "in the file"
	switch {
	case h.EndOfFile && cursor == 0:
		place = "at the end of the file"
	case h.EndOfFile:
		place = fmt.Sprintf("at the end of the file, after its line %d", cursor)
	case cursor > 0:
		place = fmt.Sprintf("after line %d of the file, where the hunk before it or its header ends", cursor)
	}
	fmt.Fprintf(&b, "%s not %s:", what, place)
	for i, l := range want {
		if i == most {
			fmt.Fprintf(&b, "\n  (and %d more)", len(want)-most)
			break
		}
		b.WriteString("\n  " + shorten(l))
	}
	if at, err := s.find(want, where{}); err != nil {
		return err
	} else if at >= 0 {
		fmt.Fprintf(&b, "\nFound at line %d instead.", at+1)
		if !h.EndOfFile {
			b.WriteString(" Hunks must follow the order of the file.")
		}
	}
	return &hunkError{h.Line, b.String()}
}
