package patch

import (
	"fmt"
	"strings"
)

// maxPatch bounds the text of a patch, in bytes. A model's answer is far
// smaller; the bound keeps a runaway one from being copied about.
const maxPatch = 16 << 20

// The marks of the grammar.
const (
	markBegin  = "*** Begin Patch"
	markEnd    = "*** End Patch"
	markAdd    = "*** Add File: "
	markDelete = "*** Delete File: "
	markUpdate = "*** Update File: "
	markMove   = "*** Move to: "
	markEOF    = "*** End of File"
	markHunk   = "@@"
)

// Kind is what a patch does to a file. The values are those of the wire.
type Kind string

// The kinds of change. A move is an update with a target.
const (
	Add    Kind = "add"
	Delete Kind = "delete"
	Update Kind = "update"
)

// Patch is a patch as it was read. It has been checked for form only.
type Patch struct {
	Sections []Section
}

// Section is one file of a patch. Path and MovePath are as written. Content is
// set for an Add: each line with a newline. Hunks are set for an Update, at
// least one. Line is the line of the header, from 1.
type Section struct {
	Kind     Kind
	Path     string
	MovePath string
	Content  string
	Hunks    []Hunk
	Line     int
}

// Hunk is one change inside an Update. Header is the text after "@@ ", empty
// when there is none: the hunk then lies anywhere behind the one before it. At
// EndOfFile the old lines must be the last of the file. Line is where the hunk
// begins in the patch, from 1.
type Hunk struct {
	Header    string
	Lines     []Line
	EndOfFile bool
	Line      int
}

// Op is the first character of a line of a hunk.
type Op byte

// The kinds of line in a hunk.
const (
	Context Op = ' '
	Insert  Op = '+'
	Remove  Op = '-'
)

// Line is one line of a hunk, without its mark and without a line end.
type Line struct {
	Op   Op
	Text string
}

// ParseError tells the model what is wrong with the form of its patch. Line
// counts from 1, in the text as it was given.
type ParseError struct {
	Line   int
	Reason string
}

// Error returns the line and the reason.
func (e *ParseError) Error() string { return fmt.Sprintf("patch line %d: %s", e.Line, e.Reason) }

// Parse reads the text of a patch. It is lenient in what the reference is
// lenient in: blank space around the text and around the two marks of the
// envelope, a heredoc wrapper that came along with the text, CRLF line ends,
// blank space before the header of a file, a first hunk without "@@", and an
// empty line that stands for an empty context line. Everything else is a
// *ParseError.
func Parse(text string) (*Patch, error) {
	if len(text) > maxPatch {
		return nil, &ParseError{1, fmt.Sprintf("the patch is larger than %d bytes", maxPatch)}
	}
	p := &parser{lines: splitPatch(text)}
	if err := p.envelope(); err != nil {
		return nil, err
	}
	var out Patch
	for p.at < p.end {
		s, err := p.section()
		if err != nil {
			return nil, err
		}
		out.Sections = append(out.Sections, s)
		p.adding = s.Kind == Add
	}
	if len(out.Sections) == 0 {
		return nil, &ParseError{p.end + 1, "the patch names no file"}
	}
	return &out, nil
}

// splitPatch cuts text into lines and drops their line ends.
func splitPatch(text string) []string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\r")
	}
	return lines
}

// parser walks the lines [at, end) of a patch.
type parser struct {
	lines   []string
	at, end int
	adding  bool // the section before adds a file
}

// fail returns an error for the line at index i.
func (p *parser) fail(i int, format string, args ...any) error {
	return &ParseError{i + 1, fmt.Sprintf(format, args...)}
}

// envelope finds the lines between the two marks.
func (p *parser) envelope() error {
	from, to := 0, len(p.lines)
	for from < to && strings.TrimSpace(p.lines[from]) == "" {
		from++
	}
	for to > from && strings.TrimSpace(p.lines[to-1]) == "" {
		to--
	}
	if to-from >= 4 && heredocOpens(p.lines[from]) && strings.HasSuffix(p.lines[to-1], "EOF") {
		from, to = from+1, to-1
	}
	if from == to || strings.TrimSpace(p.lines[from]) != markBegin {
		return p.fail(min(from, len(p.lines)-1), "expected %q as the first line", markBegin)
	}
	if strings.TrimSpace(p.lines[to-1]) != markEnd {
		return p.fail(to-1, "expected %q as the last line, found %s", markEnd, quote(p.lines[to-1]))
	}
	p.at, p.end = from+1, to-1
	return nil
}

// heredocOpens reports whether a line is the opening of a heredoc that a model
// left around the text it passes without a shell.
func heredocOpens(line string) bool {
	return line == "<<EOF" || line == "<<'EOF'" || line == `<<"EOF"`
}

// section reads one file of the patch.
func (p *parser) section() (Section, error) {
	start := p.at
	line := strings.TrimSpace(p.lines[start])
	p.at++
	s := Section{Line: start + 1}
	switch {
	case strings.HasPrefix(line, markAdd):
		s.Kind, s.Path = Add, strings.TrimSpace(line[len(markAdd):])
		s.Content = p.added()
	case strings.HasPrefix(line, markDelete):
		s.Kind, s.Path = Delete, strings.TrimSpace(line[len(markDelete):])
	case strings.HasPrefix(line, markUpdate):
		s.Kind, s.Path = Update, strings.TrimSpace(line[len(markUpdate):])
		if err := p.update(&s); err != nil {
			return s, err
		}
	case line+" " == markAdd || line+" " == markDelete || line+" " == markUpdate:
		return s, p.fail(start, "the header %q names no file", line)
	default:
		before := ""
		if p.adding {
			before = `a line of the new file, which begins with "+", or `
		}
		return s, p.fail(start, "expected %sa file header (%q, %q or %q and a path), found %s",
			before, markAdd, markDelete, markUpdate, quote(line))
	}
	return s, nil
}

// added reads the lines of a new file.
func (p *parser) added() string {
	var b strings.Builder
	for p.at < p.end {
		text, ok := strings.CutPrefix(p.lines[p.at], "+")
		if !ok {
			break
		}
		b.WriteString(text)
		b.WriteByte('\n')
		p.at++
	}
	return b.String()
}

// update reads the target and the hunks of an updated file.
func (p *parser) update(s *Section) error {
	if p.at < p.end {
		if to, ok := strings.CutPrefix(p.lines[p.at]+" ", markMove); ok {
			s.MovePath = strings.TrimSpace(to)
			if s.MovePath == "" {
				return p.fail(p.at, "the header %q names no file", strings.TrimSpace(markMove))
			}
			p.at++
		}
	}
	for p.at < p.end && !p.headerAhead() {
		if strings.TrimSpace(p.lines[p.at]) == "" {
			// An empty line behind a header or "*** End of File" belongs to no hunk.
			p.at++
			continue
		}
		h, err := p.hunk(len(s.Hunks) == 0)
		if err != nil {
			return err
		}
		s.Hunks = append(s.Hunks, h)
	}
	if len(s.Hunks) == 0 {
		return p.fail(s.Line-1, "the update of %s has no hunk; expected %q and changed lines", quote(s.Path), markHunk)
	}
	return nil
}

// headerAhead reports whether the next line begins another file.
func (p *parser) headerAhead() bool {
	l := p.lines[p.at]
	return strings.HasPrefix(l, strings.TrimSpace(markAdd)) ||
		strings.HasPrefix(l, strings.TrimSpace(markDelete)) ||
		strings.HasPrefix(l, strings.TrimSpace(markUpdate))
}

// hunk reads one hunk. Only the first of a file may come without its mark.
func (p *parser) hunk(first bool) (Hunk, error) {
	h := Hunk{Line: p.at + 1}
	l := p.lines[p.at]
	switch {
	case strings.TrimRight(l, " \t") == markHunk:
		p.at++
	case strings.HasPrefix(l, markHunk+" "):
		h.Header = l[len(markHunk)+1:]
		p.at++
	case !first:
		return h, p.fail(p.at, "expected %q before the next hunk, found %s", markHunk, quote(l))
	}
	for p.at < p.end {
		l := p.lines[p.at]
		if strings.TrimRight(l, " \t") == markEOF {
			if len(h.Lines) == 0 {
				break
			}
			h.EndOfFile = true
			p.at++
			break
		}
		if l == "" {
			h.Lines = append(h.Lines, Line{Op: Context})
			p.at++
			continue
		}
		op := Op(l[0])
		if op != Context && op != Insert && op != Remove {
			break
		}
		h.Lines = append(h.Lines, Line{op, l[1:]})
		p.at++
	}
	if len(h.Lines) > 0 {
		return h, nil
	}
	if p.at >= p.end {
		return h, p.fail(p.at, "the patch ends in a hunk without lines")
	}
	return h, p.fail(p.at, `expected a line that begins with " ", "-" or "+", found %s`, quote(p.lines[p.at]))
}

// quote shows a line of the patch in an error.
func quote(s string) string { return fmt.Sprintf("%q", shorten(s)) }

// shorten cuts a line to a length at which it can still be found again.
func shorten(s string) string {
	const most = 160 // bytes
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.ToValidUTF8(s, "\ufffd")
}
