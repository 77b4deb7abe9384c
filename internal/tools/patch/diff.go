package patch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff/lcs"
)

// Bounds of the diffs, in bytes. Beyond them a diff says how much is left out:
// nobody reads it, and a parent must not choke on it.
const (
	maxShown    = 1 << 20 // the diff of one change on the wire
	maxCompared = 8 << 20 // both sides of a comparison together
)

// Lines of context in the diff of one change and of a whole turn, as the
// reference has them.
const (
	changeContext = 1
	turnContext   = 3
)

// Diff returns the diff of a change as the wire has it: the new content of an
// add, the old content of a delete, and the hunks of an update, without file
// headers. Content that is no text is named by its size.
func (c *Change) Diff() string {
	switch c.Kind {
	case Add:
		return cut(c.New)
	case Delete:
		if c.opaque >= 0 {
			return fmt.Sprintf("(%d bytes that are not shown as text)\n", c.opaque)
		}
		return cut(c.Old)
	}
	if len(c.Old)+len(c.New) > maxCompared {
		return fmt.Sprintf("(%d bytes become %d bytes)\n", len(c.Old), len(c.New))
	}
	return cut(unified(c.Old, c.New, changeContext))
}

// cut bounds a text, at the end of a line where it can.
func cut(s string) string {
	if len(s) <= maxShown {
		return s
	}
	head := s[:maxShown]
	if i := strings.LastIndexByte(head, '\n'); i >= 0 {
		head = head[:i+1]
	} else {
		head = strings.ToValidUTF8(head, "") + "\n"
	}
	return fmt.Sprintf("%s(%d bytes left out)\n", head, len(s)-len(head))
}

// unified returns the hunks that turn one text into another, or "" when they
// are the same.
func unified(before, after string, context int) string {
	t := texts{splitLines(before), splitLines(after)}
	edits := t.slide(lcs.DiffLines(t.old, t.new))
	var b strings.Builder
	for len(edits) > 0 {
		n := 1
		for n < len(edits) && edits[n].Start-edits[n-1].End <= 2*context {
			n++
		}
		t.writeHunk(&b, edits[:n], context)
		edits = edits[n:]
	}
	return b.String()
}

// splitLines cuts a text into lines that keep their ends.
func splitLines(s string) []string {
	lines := strings.SplitAfter(s, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// texts are the lines of two texts that are compared.
type texts struct{ old, new []string }

// slide moves each block of lines that come or go as far down as it fits, as git
// and the reference do: what is put behind a function then begins with its first
// line, and not with the brace that ends the function before. Edits that come to
// touch each other become one.
func (t texts) slide(edits []lcs.Diff) []lcs.Diff {
	var out []lcs.Diff
	for i := len(edits) - 1; i >= 0; i-- {
		e, limit := edits[i], len(t.old)
		if len(out) > 0 {
			limit = out[len(out)-1].Start
		}
		for e.End < limit && (e.Start == e.End && t.old[e.End] == t.new[e.ReplStart] ||
			e.ReplStart == e.ReplEnd && t.old[e.End] == t.old[e.Start]) {
			e.Start, e.End, e.ReplStart, e.ReplEnd = e.Start+1, e.End+1, e.ReplStart+1, e.ReplEnd+1
		}
		if e.End == limit && len(out) > 0 {
			next := &out[len(out)-1]
			next.Start, next.ReplStart = e.Start, e.ReplStart
			continue
		}
		out = append(out, e)
	}
	slices.Reverse(out)
	return out
}

// writeHunk writes one hunk: neighbouring edits and the lines around them.
func (t texts) writeHunk(b *strings.Builder, edits []lcs.Diff, context int) {
	first, last := edits[0], edits[len(edits)-1]
	from := max(0, first.Start-context)
	to := min(len(t.old), last.End+context)
	newFrom := first.ReplStart - (first.Start - from)
	newTo := last.ReplEnd + (to - last.End)
	b.WriteString("@@ -")
	span(b, from, to-from)
	b.WriteString(" +")
	span(b, newFrom, newTo-newFrom)
	b.WriteString(" @@\n")
	line := from
	for _, e := range edits {
		for ; line < e.Start; line++ {
			put(b, ' ', t.old[line])
		}
		for ; line < e.End; line++ {
			put(b, '-', t.old[line])
		}
		for _, l := range t.new[e.ReplStart:e.ReplEnd] {
			put(b, '+', l)
		}
	}
	for ; line < to; line++ {
		put(b, ' ', t.old[line])
	}
}

// span writes the place of a hunk: lines before it, and lines in it. An empty
// one is named by the line before it.
func span(b *strings.Builder, before, count int) {
	switch count {
	case 0:
		fmt.Fprintf(b, "%d,0", before)
	case 1:
		fmt.Fprintf(b, "%d", before+1)
	default:
		fmt.Fprintf(b, "%d,%d", before+1, count)
	}
}

// put writes one line of a hunk.
func put(b *strings.Builder, op byte, line string) {
	b.WriteByte(op)
	b.WriteString(line)
	if !strings.HasSuffix(line, "\n") {
		b.WriteString("\n\\ No newline at end of file\n")
	}
}
