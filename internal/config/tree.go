package config

// kind is the type of a value.
type kind int

const (
	kindText kind = iota
	kindInt
	kindFloat
	kindBool
	kindDate
	kindList
	kindTable
	// kindBad is a number that TOML does not allow, such as 007.
	kindBad
)

// String names the kind for a message.
func (k kind) String() string {
	switch k {
	case kindText:
		return "a text"
	case kindInt:
		return "an integer"
	case kindFloat:
		return "a number with a fraction"
	case kindBool:
		return "a boolean"
	case kindDate:
		return "a date or time"
	case kindList:
		return "a list"
	case kindTable:
		return "a table"
	}
	return "a malformed number"
}

// node is a value of a settings tree, with the place that it came from.
type node struct {
	kind kind
	// text is a text, or a date or a number with a fraction as it is written.
	text  string
	num   int64
	flag  bool
	items []*node

	// members and names (in order of appearance) belong to tables.
	members map[string]*node
	names   []string

	src *source
	at  span

	// unsure is set where the file says the value twice: neither can be trusted.
	unsure bool
	// opened is set on tables that a header has named.
	opened bool
	// closed is set on tables whose end was seen before any syntax error, so
	// that what they lack is known to be absent.
	closed bool
	// hides is a value of another type that a table of a stronger layer covers.
	hides *node
}

// source is where values come from.
type source struct {
	// name is the path of a file, or what kind of override it is.
	name string
	// data is the content of a file, nil for overrides.
	data []byte
	// marked is whether the file begins with a [mark].
	marked bool
	// dir is the folder that relative paths are relative to.
	dir string
	// broken is the byte offset from which on nothing is known for certain,
	// -1 where all was read.
	broken int
	// reason is the first problem that made the source broken.
	reason *Problem
}

func newTable(src *source) *node {
	return &node{kind: kindTable, members: map[string]*node{}, src: src}
}

// get returns a member, nil where there is none or n is no table.
func (n *node) get(name string) *node {
	if n == nil || n.kind != kindTable {
		return nil
	}
	return n.members[name]
}

func (n *node) put(name string, v *node) {
	if _, ok := n.members[name]; !ok {
		n.names = append(n.names, name)
	}
	n.members[name] = v
}

// conflict tells at which part of a path a value stands in the way.
type conflict struct {
	part int
	with *node
}

// descend walks path, making tables where there are none; they get the place
// at. An array of tables stands for its last element, as TOML has it.
func (n *node) descend(path []string, at span) (*node, *conflict) {
	for i, name := range path {
		next := n.members[name]
		if next == nil {
			next = newTable(n.src)
			next.at = at
			n.put(name, next)
		}
		if next.kind == kindList && len(next.items) > 0 {
			next = next.items[len(next.items)-1]
		}
		if next.kind != kindTable {
			return nil, &conflict{part: i, with: next}
		}
		n = next
	}
	return n, nil
}

// overlay returns the tree that results when over is laid on base: tables are
// joined, everything else is replaced. Neither argument is changed.
func overlay(base, over *node) *node {
	if base == nil {
		return over
	}
	if over.kind != kindTable {
		return over
	}
	out := *over
	out.members = map[string]*node{}
	out.names = nil
	if base.kind != kindTable {
		// The covered value may have been a restriction that could not be read.
		out.hides = base
		for _, name := range over.names {
			out.put(name, over.members[name])
		}
		return &out
	}
	out.closed = base.closed
	out.unsure = base.unsure || over.unsure
	out.hides = base.hides
	out.src, out.at = base.src, base.at
	for _, name := range base.names {
		out.put(name, base.members[name])
	}
	for _, name := range over.names {
		out.put(name, overlay(base.members[name], over.members[name]))
	}
	return &out
}
