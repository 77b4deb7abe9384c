package config

import (
	"bytes"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// piece is one expression of a settings file: a key with its value, or the
// header of a table. All that is no piece (comments, blank lines) is never
// touched by an edit.
type piece struct {
	// path is the whole path of the key or the table.
	path []string
	// section is how many parts of path the header above the key gives.
	section int
	header  bool
	// lines are the whole lines of the piece with their last line break; value is
	// that of a key.
	lines, value span
}

// document is a settings file that is being edited. Its text is valid TOML
// before the first edit; every edit finds the pieces anew.
type document struct {
	data   []byte
	pieces []piece
	eol    string
}

func newDocument(data []byte) *document {
	d := &document{data: slices.Clone(data), eol: "\n"}
	if bytes.Contains(data, []byte("\r\n")) {
		d.eol = "\r\n"
	}
	d.scan()
	return d
}

// scan finds the pieces.
func (d *document) scan() {
	d.pieces = d.pieces[:0]
	up := unstable.Parser{}
	up.Reset(d.data)
	var section []string
	for up.NextExpression() {
		e := up.Expression()
		end := expressionEnd(e)
		path, at := keyOf(e, 0)
		p := piece{lines: span{lineStart(d.data, at.from), end + lineLength(d.data[end:])}}
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			section = path
			p.path, p.section, p.header = path, len(path), true
		case unstable.KeyValue:
			from := at.to
			for from < end && strings.IndexByte(" \t=", d.data[from]) >= 0 {
				from++
			}
			p.path, p.section = append(slices.Clone(section), path...), len(section)
			p.value = span{from, end}
		default:
			continue
		}
		d.pieces = append(d.pieces, p)
	}
}

// lineStart is where the line of an offset begins.
func lineStart(data []byte, at int) int { return bytes.LastIndexByte(data[:at], '\n') + 1 }

// splice puts text in the place of a span.
func (d *document) splice(at span, text string) {
	d.data = slices.Replace(d.data, at.from, at.to, []byte(text)...)
	d.scan()
}

// holder is the piece that gives path a value of its own: a key, not a header.
func (d *document) holder(path []string) *piece {
	for i := range d.pieces {
		if p := &d.pieces[i]; !p.header && slices.Equal(p.path, path) {
			return p
		}
	}
	return nil
}

// sync turns the text from saying old to saying want at a path. Only what
// differs is touched.
func (d *document) sync(path []string, old, want *node) {
	if same(old, want) {
		return
	}
	p := d.holder(path)
	switch {
	case want == nil:
		d.remove(path)
	case p != nil:
		d.splice(p.value, inline(want))
	case old == nil:
		d.insert(path, want)
	case old.kind == kindTable && want.kind == kindTable:
		for _, name := range old.names {
			if want.members[name] == nil {
				d.sync(joined(path, name), old.members[name], nil)
			}
		}
		for _, name := range want.names {
			d.sync(joined(path, name), old.members[name], want.members[name])
		}
	default:
		d.remove(path)
		d.insert(path, want)
	}
}

func joined(path []string, name string) []string { return append(slices.Clone(path), name) }

// same reports whether two values say the same.
func same(a, b *node) bool {
	return (a == nil) == (b == nil) && (a == nil || bytes.Equal(jsonOf(a), jsonOf(b)))
}

// remove takes out all pieces at and below a path. A blank line goes with a
// piece that stood between two. It goes backwards, because the keys below a
// header that is gone would belong to the table above.
func (d *document) remove(path []string) {
	for i := len(d.pieces) - 1; i >= 0; i-- {
		p := d.pieces[i]
		if len(p.path) < len(path) || !slices.Equal(p.path[:len(path)], path) {
			continue
		}
		at := p.lines
		if (at.from == 0 || d.blankBefore(at.from)) && bytes.HasPrefix(d.data[at.to:], []byte(d.eol)) {
			at.to += len(d.eol)
		}
		d.splice(at, "")
	}
}

// blankBefore reports whether the line above an offset at a line start is blank.
func (d *document) blankBefore(at int) bool {
	return at > 0 && len(bytes.TrimSpace(d.data[lineStart(d.data, at-1):at])) == 0
}

// insert adds a value at a path where there is none.
func (d *document) insert(path []string, want *node) {
	if want.kind == kindTable {
		d.append(d.block(path, want))
		return
	}
	parent := path[:len(path)-1]
	last := -1 // the piece to write behind
	section := -1
	for i, p := range d.pieces {
		switch {
		case p.header && slices.Equal(p.path, parent):
			section, last = len(parent), i
		case !p.header && p.section == len(parent) && (section >= 0 || len(parent) == 0) && slices.Equal(p.path[:p.section], parent):
			section, last = len(parent), i
		}
	}
	if last < 0 {
		// A table that dotted keys have made cannot be opened by a header.
		for i, p := range d.pieces {
			if !p.header && p.section < len(parent) && len(p.path) > len(parent) && slices.Equal(p.path[:len(parent)], parent) {
				section, last = p.section, i
			}
		}
	}
	switch {
	case last >= 0:
		d.insertLine(d.pieces[last].lines.to, joinKey(path[section:]...)+" = "+inline(want))
	case len(parent) == 0:
		d.insertTop(joinKey(path...) + " = " + inline(want))
	default:
		d.append("[" + joinKey(parent...) + "]" + d.eol + joinKey(path[len(parent):]...) + " = " + inline(want) + d.eol)
	}
}

// insertLine adds a line at the start of another.
func (d *document) insertLine(at int, line string) {
	line += d.eol
	if at > 0 && d.data[at-1] != '\n' {
		line = d.eol + line
	}
	d.splice(span{at, at}, line)
}

// insertTop adds the first key of the top level: above the first table and the
// comment that belongs to it, or at the end.
func (d *document) insertTop(line string) {
	if len(d.pieces) == 0 {
		d.insertLine(len(d.data), line)
		return
	}
	at := d.pieces[0].lines.from
	for at > 0 {
		above := lineStart(d.data, at-1)
		if text := bytes.TrimSpace(d.data[above:at]); len(text) == 0 || text[0] != '#' {
			break
		}
		at = above
	}
	d.splice(span{at, at}, line+d.eol+d.eol)
}

// append adds a block at the end, behind a blank line.
func (d *document) append(block string) {
	switch {
	case len(d.data) == 0 || bytes.HasSuffix(d.data, []byte(d.eol+d.eol)):
	case d.data[len(d.data)-1] == '\n':
		block = d.eol + block
	default:
		block = d.eol + d.eol + block
	}
	d.splice(span{len(d.data), len(d.data)}, block)
}

// block writes a table with a header, and its tables with headers of their own.
// A table that has nothing but tables needs no header.
func (d *document) block(path []string, t *node) string {
	var b strings.Builder
	var tables []string
	for _, name := range t.names {
		if m := t.members[name]; m.kind == kindTable {
			tables = append(tables, name)
		} else {
			b.WriteString(joinKey(name) + " = " + inline(m) + d.eol)
		}
	}
	head := ""
	if b.Len() > 0 || len(tables) == 0 {
		head = "[" + joinKey(path...) + "]" + d.eol
	}
	parts := []string{}
	if head != "" {
		parts = append(parts, head+b.String())
	}
	for _, name := range tables {
		parts = append(parts, d.block(joined(path, name), t.members[name]))
	}
	return strings.Join(parts, d.eol)
}
