package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// maxSyntaxProblems is how many syntax errors are told and skipped; what comes
// after them is left unread. A file with more is not a settings file.
const maxSyntaxProblems = 20

// maxProblems is how many problems one file causes: each becomes a notification
// at start, and nobody reads more.
const maxProblems = 100

// maxKeyParts is how many parts a dotted key may have. Real ones have a handful;
// trees are walked by functions that call themselves, and JSON nests no deeper
// than 10,000 levels.
const maxKeyParts = 1000

// parser builds the tree of one file.
type parser struct {
	src  *source
	root *node
	// table is where keys go now; nil inside a table that cannot be placed.
	table *node
	path  []string
	// end is the offset behind the last expression.
	end      int
	problems []Problem
}

// parseFile reads src.data into a tree. It goes on after errors where it can
// tell again where it is, and sets src.broken at the first one.
func parseFile(src *source) (*node, []Problem) {
	p := &parser{src: src, root: newTable(src)}
	p.table = p.root
	syntax := 0
	for from := 0; from >= 0 && from < len(src.data); {
		bad, at, what := p.run(from)
		if what == "" {
			break
		}
		from = p.failed(bad, at, what)
		if syntax++; syntax == maxSyntaxProblems {
			break
		}
	}
	return p.root, p.problems
}

// run parses from an offset on until the end or the first expression that is
// broken. It returns where that one starts, the place of the error, and what is
// wrong with it ("" at the end of the file).
func (p *parser) run(from int) (start int, at span, what string) {
	data := p.src.data[from:]
	invalid := invalidUTF8(data)
	up := unstable.Parser{KeepComments: true}
	up.Reset(data)
	p.end = from
	for up.NextExpression() {
		e := up.Expression()
		end := from + expressionEnd(e)
		if invalid >= 0 && from+invalid < end {
			break
		}
		p.expression(e, from, end)
		p.end = end
	}
	start = p.afterLine(from)
	err := up.Error()
	if invalid >= 0 {
		// Past the last good expression nothing counts but the bad byte.
		at = span{from + invalid, from + invalid + 1}
		if err == nil || errorSpan(err, data, from).from >= at.from {
			return min(start, at.from), at, "the file is not valid UTF-8 here"
		}
	}
	if err == nil {
		return 0, span{}, ""
	}
	return start, errorSpan(err, data, from), "syntax error: " + err.Error()
}

// afterLine is where the expression after the last good one starts.
func (p *parser) afterLine(from int) int {
	data := p.src.data
	pos := p.end
	if pos > from {
		pos += lineLength(data[pos:])
	}
	for pos < len(data) && strings.IndexByte(" \t\r\n", data[pos]) >= 0 {
		pos++
	}
	return pos
}

// errorSpan is the place that a parse error points at.
func errorSpan(err error, data []byte, base int) span {
	var pe *unstable.ParserError
	if !errors.As(err, &pe) {
		return span{base, base}
	}
	offset := cap(data) - cap(pe.Highlight)
	offset = min(max(offset, 0), len(data))
	// One line of it is enough to find the place.
	length := len(pe.Highlight)
	if i := bytes.IndexByte(pe.Highlight, '\n'); i > 0 {
		length = i
	}
	return span{base + offset, base + min(offset+length, len(data))}
}

// failed notes a syntax error and returns where to go on, -1 for nowhere.
func (p *parser) failed(start int, at span, what string) int {
	data := p.src.data
	line := data[start : start+lineLength(data[start:])]
	key := ""
	header := len(line) > 0 && line[0] == '['
	if parts, rest, ok := leadingKey(bytes.TrimLeft(line, "[")); ok && (header || len(rest) > 0 && rest[0] == '=') {
		if !header {
			parts = append(slices.Clone(p.path), parts...)
		}
		key = joinKey(parts...)
	}
	pr := p.src.problem(at, key, "A part of "+p.src.file()+" is not valid TOML and was not used.", what)
	p.problems = append(p.problems, pr)
	if p.src.broken < 0 {
		p.src.broken = start
		p.src.reason = &pr
	}
	want := keysToo
	if header || p.table == nil {
		p.table, p.path = nil, nil
		want = headersOnly
	}
	next := resume(data, start, want)
	if next >= 0 && isHeader(data[next:next+lineLength(data[next:])]) {
		p.table, p.path = nil, nil
	}
	return next
}

// expressionEnd is the offset behind an expression, relative to the parsed data.
func expressionEnd(e *unstable.Node) int {
	r := e.Raw
	if e.Kind == unstable.Table || e.Kind == unstable.ArrayTable {
		for it := e.Key(); it.Next(); {
			r = it.Node().Raw
		}
	}
	return int(r.Offset + r.Length)
}

// expression puts one expression into the tree.
func (p *parser) expression(e *unstable.Node, base, end int) {
	switch e.Kind {
	case unstable.Table, unstable.ArrayTable:
		p.header(e, base, end)
	case unstable.KeyValue:
		path, at := keyOf(e, base)
		if p.table == nil || p.tooDeep(len(p.path)+len(path), path, at) {
			return
		}
		v := p.value(e, base, end)
		p.insert(p.table, p.path, path, at, v)
	}
}

// header opens a table.
func (p *parser) header(e *unstable.Node, base, end int) {
	path, at := keyOf(e, base)
	if p.table != nil && p.src.broken < 0 {
		p.table.closed = true
		p.root.closed = true
	}
	p.table, p.path = nil, path
	if p.tooDeep(len(path), path, at) {
		return
	}
	if e.Kind == unstable.Table {
		t, c := p.root.descend(path, at)
		if c != nil {
			p.clash(c, path, at)
			return
		}
		if t.opened {
			p.note(at, path, "A table stands twice in "+p.src.file()+".", "the table was opened before; both are read as one")
		}
		if !t.opened {
			t.at = at
		}
		t.opened = true
		p.table = t
		return
	}
	last := len(path) - 1
	parent, c := p.root.descend(path[:last], at)
	if c != nil {
		p.clash(c, path, at)
		return
	}
	list := parent.get(path[last])
	if list == nil {
		list = &node{kind: kindList, src: p.src, at: at}
		parent.put(path[last], list)
	}
	if list.kind != kindList {
		p.clash(&conflict{part: last, with: list}, path, at)
		return
	}
	t := newTable(p.src)
	t.at, t.opened = at, true
	list.items = append(list.items, t)
	p.table = t
}

// insert puts a value at a path below a table.
func (p *parser) insert(t *node, prefix, path []string, at span, v *node) {
	full := append(slices.Clone(prefix), path...)
	last := len(path) - 1
	t, c := t.descend(path[:last], at)
	if c != nil {
		p.clash(c, full, at)
		return
	}
	if old := t.members[path[last]]; old != nil {
		p.clash(&conflict{with: old}, full, at)
		return
	}
	t.put(path[last], v)
}

// tooDeep reports whether a key has more parts than are read, and notes that.
func (p *parser) tooDeep(parts int, path []string, at span) bool {
	if parts <= maxKeyParts {
		return false
	}
	p.note(at, path[:1], "A key in "+p.src.file()+" has too many parts and was left out.", fmt.Sprintf("the key has more than %d parts", maxKeyParts))
	return true
}

// clash notes a key that is there already. The first value stays, but it is no
// longer certain, because nobody knows which of the two was meant.
func (p *parser) clash(c *conflict, path []string, at span) {
	c.with.unsure = true
	p.note(at, path, "A key stands twice in "+p.src.file()+".", "the key has a value already; the first one is kept")
}

// note adds a problem about a key unless there are too many.
func (p *parser) note(at span, path []string, summary, what string) {
	if len(p.problems) < maxProblems {
		p.problems = append(p.problems, p.src.problem(at, joinKey(path...), summary, what))
	}
}

// keyOf returns the key of an expression and its place.
func keyOf(e *unstable.Node, base int) ([]string, span) {
	var path []string
	at := span{from: -1}
	for it := e.Key(); it.Next(); {
		n := it.Node()
		path = append(path, string(n.Data))
		if at.from < 0 {
			at.from = base + int(n.Raw.Offset)
		}
		at.to = base + int(n.Raw.Offset+n.Raw.Length)
	}
	return path, at
}

// value converts the value of a key. Lists and tables have no place of their
// own in the parser's tree: they reach from behind the equals sign to the end
// of the expression.
func (p *parser) value(kv *unstable.Node, base, end int) *node {
	_, at := keyOf(kv, base)
	from := at.to
	for from < end && strings.IndexByte(" \t=", p.src.data[from]) >= 0 {
		from++
	}
	return p.convert(kv.Value(), base, span{from, end})
}

func (p *parser) convert(n *unstable.Node, base int, at span) *node {
	if n.Raw.Length > 0 && n.Kind != unstable.InlineTable {
		at = span{base + int(n.Raw.Offset), base + int(n.Raw.Offset+n.Raw.Length)}
	}
	out := scalar(n)
	out.src, out.at = p.src, at
	switch n.Kind {
	case unstable.Array:
		out.kind = kindList
		for it := n.Children(); it.Next(); {
			if it.Node().Kind != unstable.Comment {
				out.items = append(out.items, p.convert(it.Node(), base, at))
			}
		}
	case unstable.InlineTable:
		out.kind, out.members = kindTable, map[string]*node{}
		out.opened, out.closed = true, true
		for it := n.Children(); it.Next(); {
			kv := it.Node()
			if kv.Kind != unstable.KeyValue {
				continue
			}
			path, keyAt := keyOf(kv, base)
			if p.tooDeep(len(path), path, keyAt) {
				continue
			}
			end := base + int(kv.Raw.Offset+kv.Raw.Length)
			p.insert(out, nil, path, keyAt, p.value(kv, base, end))
		}
	}
	return out
}

// scalar converts a single value.
func scalar(n *unstable.Node) *node {
	switch n.Kind {
	case unstable.String:
		return &node{kind: kindText, text: string(n.Data)}
	case unstable.Bool:
		return &node{kind: kindBool, flag: string(n.Data) == "true"}
	case unstable.Float:
		return &node{kind: kindFloat, text: string(n.Data)}
	case unstable.Integer:
		digits := strings.ReplaceAll(string(n.Data), "_", "")
		plain := strings.TrimLeft(digits, "+-")
		if len(plain) > 1 && plain[0] == '0' && plain[1] >= '0' && plain[1] <= '9' {
			return &node{kind: kindBad}
		}
		v, err := strconv.ParseInt(digits, 0, 64)
		if err != nil {
			return &node{kind: kindBad}
		}
		return &node{kind: kindInt, num: v}
	}
	return &node{kind: kindDate, text: string(n.Data)}
}

// invalidUTF8 is the offset of the first byte that is not UTF-8, -1 for none.
func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}
