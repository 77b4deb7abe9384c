package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// nameEdit is the source of values that a parent writes.
const nameEdit = "config edit"

// edit is one change of the settings file. A nil value takes the key away.
type edit struct {
	path  []string
	value *node
	merge protocol.MergeStrategy
}

// refusal is the error of a write that is not made.
func refusal(code protocol.ConfigWriteErrorCode, format string, args ...any) error {
	e := protocol.Invalid(protocol.ReasonConfig, format, args...)
	e.Data = map[string]any{protocol.ConfigWriteErrorKey: code}
	return e
}

// readEdit checks an edit as it came.
func readEdit(in protocol.ConfigEdit) (edit, error) {
	path, err := splitKey(in.KeyPath)
	if err != nil {
		return edit{}, refusal(protocol.WriteValidationError, "keyPath cannot be used: %v", err)
	}
	if slices.Contains(path, "") {
		return edit{}, refusal(protocol.WriteValidationError, "keyPath cannot be used: the key has an empty part")
	}
	e := edit{path: path, merge: in.MergeStrategy}
	if in.Value.Kind() == 'n' {
		return e, nil
	}
	if holdsNull(in.Value) {
		return edit{}, refusal(protocol.WriteValidationError, "The value for %s holds null, which TOML cannot say", joinKey(path...))
	}
	if len(path)+depth(in.Value) > maxEditDepth {
		return edit{}, refusal(protocol.WriteValidationError, "The value for %.100s would be nested deeper than %d levels", joinKey(path...), maxEditDepth)
	}
	if e.value, err = fromRaw(&source{name: nameEdit, broken: -1}, in.Value); err != nil {
		return edit{}, refusal(protocol.WriteValidationError, "The value for %s cannot be used: %v", joinKey(path...), err)
	}
	return e, nil
}

// maxEditDepth is how deep lists and tables may be nested by an edit. No setting
// needs more than a handful, and other programs that read the file give up early.
const maxEditDepth = 64

// depth is how deep the lists and objects of a value are nested.
func depth(v jsontext.Value) (deepest int) {
	d := jsontext.NewDecoder(bytes.NewReader(v))
	for {
		if _, err := d.ReadToken(); err != nil {
			return deepest // the end, or what reading the value tells
		}
		deepest = max(deepest, d.StackDepth())
	}
}

// holdsNull reports whether a list or an object has null in it, at any depth.
func holdsNull(v jsontext.Value) bool {
	d := jsontext.NewDecoder(strings.NewReader(string(v)))
	for {
		tok, err := d.ReadToken()
		if err != nil {
			return false // the end, or what reading the value tells
		}
		if tok.Kind() == 'n' {
			return true
		}
	}
}

// apply returns the tree with an edit made. The tree is not changed.
func (e edit) apply(root *node) (*node, error) { return e.applyAt(root, e.path) }

func (e edit) applyAt(t *node, path []string) (*node, error) {
	out := *t
	out.members = make(map[string]*node, len(t.members)+1)
	out.names = nil
	for _, name := range t.names {
		out.put(name, t.members[name])
	}
	name, old := path[0], t.members[path[0]]
	switch {
	case len(path) > 1 && e.value == nil && (old == nil || old.kind != kindTable):
		return nil, refusal(protocol.WritePathNotFound, "There is no table that could hold %s", joinKey(e.path...))
	case len(path) > 1 && old != nil && old.kind != kindTable:
		// The reference gives up the value for a table in some of these cases.
		return nil, refusal(protocol.WriteValidationError, "%s is no table, so %s cannot be set", joinKey(e.path[:len(e.path)-len(path)+1]...), joinKey(e.path...))
	case len(path) > 1:
		if old == nil {
			old = newTable(t.src)
		}
		changed, err := e.applyAt(old, path[1:])
		if err != nil {
			return nil, err
		}
		out.put(name, changed)
	case e.value == nil:
		delete(out.members, name)
		out.names = slices.DeleteFunc(out.names, func(n string) bool { return n == name })
	case e.merge == protocol.MergeUpsert && old != nil && old.kind == kindTable && e.value.kind == kindTable:
		out.put(name, overlay(old, e.value))
	default:
		out.put(name, e.value)
	}
	return &out, nil
}

// editText makes edits in the text of a settings file and touches nothing else
// in it. before is what the text says; the second result is what the new text
// says. The text is read again at the end: an edit that would not come out as it
// was meant is refused.
func editText(text []byte, before *node, edits []edit) ([]byte, *node, error) {
	want := before
	for _, e := range edits {
		var err error
		if want, err = e.apply(want); err != nil {
			return nil, nil, err
		}
	}
	d := newDocument(text)
	d.sync(nil, before, want)
	if len(d.data) > maxFileBytes {
		return nil, nil, refusal(protocol.WriteValidationError, "The file would become larger than %d bytes", maxFileBytes)
	}
	after, problems := parseFile(&source{name: before.src.name, dir: before.src.dir, broken: -1, data: d.data})
	if len(problems) > 0 || !same(pruned(after), pruned(want)) {
		return nil, nil, refusal(protocol.WriteValidationError, "This edit does not fit the way in which config.toml is written; make it by hand")
	}
	return d.data, after, nil
}

// pruned is a tree without tables that hold nothing: whether a table is there
// and empty depends on how it is written.
func pruned(n *node) *node {
	if n.kind != kindTable {
		return n
	}
	out := newTable(n.src)
	for _, name := range n.names {
		if m := pruned(n.members[name]); m.kind != kindTable || len(m.names) > 0 {
			out.put(name, m)
		}
	}
	return out
}

// check refuses edits that make a setting unusable. What was wrong before and
// lies elsewhere does not matter.
func (c *Config) check(edits []edit) error {
	for _, e := range edits {
		key := joinKey(e.path...)
		if n := c.layers.user.get(e.path[0]); n != nil {
			for _, k := range shownKeys() {
				if k.name == e.path[0] && !k.fits(n) {
					return refusal(protocol.WriteValidationError, "The setting %s cannot be used: this is %s", k.name, n.kind)
				}
			}
		}
		for _, p := range c.Problems {
			if p.Path != "" && !p.pending && (related(p.Key, key) || related(key, p.Key)) {
				return refusal(protocol.WriteValidationError, "The setting %s cannot be used: %s", p.Key, p.what)
			}
		}
		for _, s := range c.MCPServers() {
			if own := joinKey("mcp_servers", s.Name); s.Err != nil && (related(own, key) || related(key, own)) {
				return refusal(protocol.WriteValidationError, "The setting %s cannot be used: %v", own, s.Err)
			}
		}
	}
	return nil
}

// related reports whether key is outer or lies below it.
func related(outer, key string) bool {
	rest, ok := strings.CutPrefix(key, outer)
	return ok && (rest == "" || rest[0] == '.')
}

// find gives the value at a path, or the value on the way that stands for it.
func (n *node) find(path []string) *node {
	for _, name := range path {
		if n == nil || n.kind != kindTable {
			return n
		}
		n = n.members[name]
	}
	return n
}

// overridden tells what keeps an edit from taking effect: nil for nothing.
func (c *Config) overridden(edits []edit) *protocol.OverriddenMetadata {
	flags, ok := c.flagsLayer()
	if !ok {
		return nil
	}
	merged := c.merged()
	for _, e := range edits {
		if c.layers.over.find(e.path) == nil {
			continue
		}
		if is := merged.find(e.path); !same(is, c.layers.user.find(e.path)) {
			return &protocol.OverriddenMetadata{
				Message:         fmt.Sprintf("The server was started with another value for %s (-c)", joinKey(e.path...)),
				OverridingLayer: flags.ConfigLayerMetadata, EffectiveValue: jsonOf(is),
			}
		}
	}
	return nil
}
