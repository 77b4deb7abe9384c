package fake

import (
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// vars are the values that a story has captured or built, by name.
type vars map[string]any

// Members and elements of patterns that are instructions and not content.
const (
	keyExact  = "$exact" // in an object: no other members
	keyHas    = "$has"   // in an object that stands for a list: each of these is in it
	markMore  = "$more"  // last element of a list: any further elements
	markGone  = "$absent"
	wordStart = "$"
)

var (
	uuidText  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	nameText  = regexp.MustCompile(`^\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?$`)
	inlineVar = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)
)

// absent stands for a member that is not there.
type absent struct{}

// matching compares one pattern with one value. Captures go to found, so that a
// pattern that does not match leaves no trace.
type matching struct {
	known vars
	found vars
}

// match reports whether got fits the pattern, with the values captured. Where
// it does not, diff tells why.
func match(want, got any, known vars, exact bool) (found vars, diff string) {
	m := &matching{known: known, found: vars{}}
	w, g := m.value(want, got, exact)
	if d := cmp.Diff(w, g); d != "" {
		return nil, d
	}
	return m.found, ""
}

// value returns want and got cut down to what can differ: wildcards that fit
// become the value they stand for, members not asked for are dropped. The
// pattern matches where both are equal.
func (m *matching) value(want, got any, exact bool) (w, g any) {
	switch want := want.(type) {
	case string:
		return m.text(want, got)
	case []any:
		return m.list(want, got, exact)
	case map[string]any:
		return m.object(want, got, exact)
	}
	return want, got
}

func (m *matching) text(want string, got any) (w, g any) {
	text, isText := got.(string)
	fits := func(ok bool) (w, g any) {
		if ok {
			return got, got
		}
		return want, got
	}
	_, gone := got.(absent)
	switch want {
	case "$any":
		return fits(!gone)
	case "$notnull":
		return fits(!gone && got != nil)
	case markGone:
		return fits(gone)
	case "$string":
		return fits(isText)
	case "$number":
		_, ok := got.(number)
		return fits(ok)
	case "$bool":
		_, ok := got.(bool)
		return fits(ok)
	case "$uuid":
		return fits(isText && uuidText.MatchString(text))
	}
	if literal, ok := strings.CutPrefix(want, "$$"); ok {
		return "$" + literal, got
	}
	if pattern, ok := strings.CutPrefix(want, "$/"); ok {
		re, err := regexp.Compile(strings.TrimSuffix(pattern, "/"))
		return fits(err == nil && isText && re.MatchString(text))
	}
	if name := nameText.FindStringSubmatch(want); name != nil {
		if v, ok := m.lookup(name[1]); ok {
			return v, got
		}
		if gone {
			return want, got
		}
		m.found[name[1]] = got
		return got, got
	}
	return expand(want, m.lookup), got
}

func (m *matching) lookup(name string) (any, bool) {
	if v, ok := m.found[name]; ok {
		return v, true
	}
	v, ok := m.known[name]
	return v, ok
}

func (m *matching) list(want []any, got any, exact bool) (w, g any) {
	list, ok := got.([]any)
	if !ok {
		return want, got
	}
	more := len(want) > 0 && want[len(want)-1] == markMore
	if more {
		want = want[:len(want)-1]
		list = list[:min(len(list), len(want))]
	}
	ws, gs := make([]any, len(want)), make([]any, len(list))
	copy(ws, want)
	copy(gs, list)
	for i := range min(len(want), len(list)) {
		ws[i], gs[i] = m.value(want[i], list[i], exact)
	}
	return ws, gs
}

func (m *matching) object(want map[string]any, got any, exact bool) (w, g any) {
	if some, ok := want[keyHas].([]any); ok {
		return m.has(some, want, got)
	}
	object, ok := got.(map[string]any)
	if !ok {
		return want, got
	}
	if want[keyExact] == true {
		exact = true
	}
	ws, gs := map[string]any{}, map[string]any{}
	for _, name := range memberOrder(want) { // in a fixed order, for captures
		if name == keyExact {
			continue
		}
		v, ok := object[name]
		if !ok {
			v = absent{}
		}
		wv, gv := m.value(want[name], v, exact)
		ws[name] = wv
		if _, gone := gv.(absent); !gone {
			gs[name] = gv
		} else if wv == gv {
			delete(ws, name)
		}
	}
	if exact {
		for name, v := range object {
			if _, ok := want[name]; !ok {
				gs[name] = v
			}
		}
	}
	return ws, gs
}

// has wants each element of some anywhere in the list.
func (m *matching) has(some []any, want map[string]any, got any) (w, g any) {
	list, ok := got.([]any)
	if !ok {
		return want, got
	}
next:
	for _, s := range some {
		for _, e := range list {
			known := maps.Clone(m.known)
			if known == nil {
				known = vars{}
			}
			maps.Copy(known, m.found)
			if found, diff := match(s, e, known, false); diff == "" {
				maps.Copy(m.found, found)
				continue next
			}
		}
		return want, got
	}
	return got, got
}

// expand replaces each ${name} by the text of its value; unknown names stay.
func expand(s string, lookup func(string) (any, bool)) string {
	return inlineVar.ReplaceAllStringFunc(s, func(ref string) string {
		v, ok := lookup(inlineVar.FindStringSubmatch(ref)[1])
		if !ok {
			return ref
		}
		return plainText(v)
	})
}

// plainText is a value as it stands inside a longer text.
func plainText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return encodeJSON(v)
}

var quotedVar = regexp.MustCompile(`"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?"`)

// fill puts captured values into the text of a message to send, and keeps
// everything else byte for byte. "$name" and "${name}" alone in quotes become
// the value with its type; ${name} within a text becomes the value's text.
func fill(line string, known vars) (string, error) {
	var missing error
	line = quotedVar.ReplaceAllStringFunc(line, func(ref string) string {
		name := quotedVar.FindStringSubmatch(ref)[1]
		v, ok := known[name]
		if !ok {
			missing = fmt.Errorf("nothing is known as %q", name)
			return ref
		}
		return encodeJSON(v)
	})
	line = inlineVar.ReplaceAllStringFunc(line, func(ref string) string {
		name := inlineVar.FindStringSubmatch(ref)[1]
		v, ok := known[name]
		if !ok {
			missing = fmt.Errorf("nothing is known as %q", name)
			return ref
		}
		quoted := encodeJSON(plainText(v))
		return quoted[1 : len(quoted)-1]
	})
	return line, missing
}
