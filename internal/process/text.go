package process

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"app-server/internal/excerpt"
)

// outputLimit is how many bytes of an output are kept for a parent: 1 MiB.
const outputLimit = 1 << 20

// Text is output of which the middle may be missing. Head and Tail are valid
// UTF-8.
type Text struct {
	Head, Tail string
	Omitted    int64 // bytes left out between Head and Tail
	Lines      int64 // of the whole output, where something is left out
}

// String is the text with a line in the place of what was left out.
func (t Text) String() string {
	if t.Omitted == 0 {
		return t.Head + t.Tail
	}
	return fmt.Sprintf("%s\n[... %d bytes (about %d tokens) left out ...]\n%s", t.Head, t.Omitted, (t.Omitted+3)/4, t.Tail)
}

// Bytes is the length of the whole output, left-out bytes included.
func (t Text) Bytes() int64 { return int64(len(t.Head)+len(t.Tail)) + t.Omitted }

// Shorten cuts the middle out so that at most limit bytes stay, half of them
// at each end. The line that tells of the cut comes on top.
func (t Text) Shorten(limit int) Text {
	if len(t.Head)+len(t.Tail) <= limit {
		return t
	}
	head, tail := t.Head, t.Tail
	if t.Omitted == 0 { // no gap yet, so the ends may be cut anywhere
		head += tail
		tail = head
	}
	half := max(limit, 0) / 2
	cut := Text{Head: excerpt.Head(head, half), Tail: excerpt.Tail(tail, max(limit, 0)-half), Lines: t.Lines}
	if t.Omitted == 0 {
		cut.Lines = lines(int64(strings.Count(head, "\n")), head)
	}
	cut.Omitted = t.Bytes() - int64(len(cut.Head)+len(cut.Tail))
	return cut
}

// lines is how many lines a text has that ends so, whether or not the last one is whole.
func lines(feeds int64, end string) int64 {
	if strings.HasSuffix(end, "\n") {
		return feeds
	}
	return feeds + 1
}

// ends keeps the beginning and the end of a stream of valid UTF-8 in bounded
// memory: head + 2*tail bytes at most.
type ends struct {
	headMax, tailMax int
	head, tail       []byte
	total, feeds     int64 // bytes, and line feeds among them
}

func newEnds(limit int) *ends {
	return &ends{headMax: limit / 2, tailMax: limit - limit/2}
}

func (e *ends) write(p []byte) {
	e.total += int64(len(p))
	e.feeds += int64(bytes.Count(p, []byte{'\n'}))
	if len(e.head) < e.headMax && len(e.tail) == 0 {
		n := min(e.headMax-len(e.head), len(p))
		e.head = append(e.head, p[:n]...)
		p = p[n:]
	}
	if len(p) > e.tailMax {
		p = p[len(p)-e.tailMax:]
		e.tail = e.tail[:0]
	}
	if len(e.tail)+len(p) > 2*e.tailMax {
		e.tail = append(e.tail[:0], e.tail[len(e.tail)-e.tailMax:]...)
	}
	e.tail = append(e.tail, p...)
}

func (e *ends) text() Text {
	if e.total == int64(len(e.head)+len(e.tail)) && len(e.tail) <= e.tailMax {
		return Text{Head: string(e.head) + string(e.tail)}
	}
	t := Text{Head: string(e.head), Tail: excerpt.Tail(string(e.tail), e.tailMax)}
	if n := len(t.Head); n > 0 { // the head's last rune may have been cut
		if r, size := utf8.DecodeLastRuneInString(t.Head); r == utf8.RuneError && size == 1 {
			for n--; n > 0 && !utf8.RuneStart(t.Head[n]); n-- {
			}
			t.Head = t.Head[:n]
		}
	}
	for t.Tail != "" && !utf8.RuneStart(t.Tail[0]) { // and so may the tail's first one
		t.Tail = t.Tail[1:]
	}
	t.Omitted = e.total - int64(len(t.Head)+len(t.Tail))
	t.Lines = lines(e.feeds, t.Tail)
	return t
}

func (e *ends) reset() {
	e.head, e.tail, e.total, e.feeds = nil, nil, 0, 0
}
