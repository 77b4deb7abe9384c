package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Names of the sources that are no files.
const (
	nameFlag   = "-c override"
	nameThread = "thread override"
)

// parseFlags makes a tree of the -c overrides. Later ones win. A table given as
// a value is joined with what is there, as everywhere between layers.
func parseFlags(raw []string, dir string) (*node, []Problem) {
	src := &source{name: nameFlag, dir: dir, broken: -1}
	root := newTable(src)
	var problems []Problem
	for _, text := range raw {
		key, value, ok := strings.Cut(text, "=")
		path, err := splitKey(key)
		if !ok {
			err = errors.New("an override has the form key=value")
		}
		if err != nil {
			// The text may hold a secret and is not repeated.
			p := src.problem(span{}, "", "A -c override could not be read.", err.Error())
			problems = append(problems, p)
			suspect(root, src, text)
			continue
		}
		root = overlay(root, nest(path, flagValue(src, value), src))
	}
	return root, problems
}

// suspect marks the restrictions that a malformed override seems to name, so
// that it cannot lift one by being ignored.
func suspect(root *node, src *source, text string) {
	for _, name := range restrictions {
		if strings.Contains(text, name) {
			root.put(name, &node{kind: kindBad, src: src})
		}
	}
}

// splitKey splits a dotted key. Parts may be quoted as in TOML.
func splitKey(key string) ([]string, error) {
	if strings.TrimSpace(key) == "" {
		return nil, errors.New("the key is empty")
	}
	if strings.Count(key, ".") >= maxKeyParts {
		return nil, fmt.Errorf("the key has more than %d parts", maxKeyParts)
	}
	up := unstable.Parser{}
	up.Reset([]byte(strings.TrimSpace(key) + "=0\n"))
	if up.NextExpression() && up.Expression().Kind == unstable.KeyValue {
		path, _ := keyOf(up.Expression(), 0)
		if !up.NextExpression() && up.Error() == nil {
			return path, nil
		}
	}
	// The reference splits at every dot whatever the parts are made of.
	if strings.ContainsAny(key, "\"'\n") {
		return nil, errors.New("the key is not valid")
	}
	parts := strings.Split(strings.TrimSpace(key), ".")
	if slices.Contains(parts, "") {
		return nil, errors.New("the key has an empty part")
	}
	return parts, nil
}

// nest wraps a value into tables for a path.
func nest(path []string, v *node, src *source) *node {
	for _, name := range slices.Backward(path) {
		t := newTable(src)
		t.put(name, v)
		v = t
	}
	return v
}

// flagValue reads a value as TOML, else takes it as a text. Quotes around a
// text that is no TOML are dropped, as the reference does. A date is a text
// too: no setting wants one, and versions of APIs look like them.
func flagValue(src *source, raw string) *node {
	scratch := &source{name: src.name, dir: src.dir, broken: -1, data: []byte("v = " + strings.TrimSpace(raw) + "\n")}
	tree, problems := parseFile(scratch)
	if v := tree.get("v"); v != nil && len(problems) == 0 && len(tree.names) == 1 && v.kind != kindDate {
		adopt(v, src)
		return v
	}
	return &node{kind: kindText, text: strings.Trim(strings.TrimSpace(raw), `"'`), src: src}
}

// adopt gives a tree another source and forgets its places.
func adopt(n *node, src *source) {
	n.src, n.at = src, span{}
	for _, item := range n.items {
		adopt(item, src)
	}
	for _, m := range n.members {
		adopt(m, src)
	}
}

// parseThread makes a tree of the config member of thread/start. Keys may be
// dotted. null says nothing about a key, so that it cannot lift a setting.
func parseThread(overrides map[string]jsontext.Value, dir string) (*node, error) {
	src := &source{name: nameThread, dir: dir, broken: -1}
	root := newTable(src)
	// In order of their names, so that of "a" and "a.b" the longer one wins.
	for _, key := range slices.Sorted(maps.Keys(overrides)) {
		path, err := splitKey(key)
		if err != nil {
			return nil, fmt.Errorf("config override %.100q: %w", key, err)
		}
		v, err := fromRaw(src, overrides[key])
		if err != nil {
			return nil, fmt.Errorf("config override %.100q: %w", key, err)
		}
		if v != nil {
			root = overlay(root, nest(path, v, src))
		}
	}
	return root, nil
}

var errTooLarge = errors.New("a number is too large")

var errValueKind = errors.New("the value is no JSON value")

// fromRaw converts JSON text. It returns nil for null and for nothing.
func fromRaw(src *source, raw jsontext.Value) (*node, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	n, err := fromDecoder(src, d)
	if err != nil {
		if errors.Is(err, errTooLarge) {
			return nil, err
		}
		// The decoder's own words may quote the value.
		return nil, errValueKind
	}
	return n, nil
}

func fromDecoder(src *source, d *jsontext.Decoder) (*node, error) {
	tok, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case '"':
		return &node{kind: kindText, text: tok.String(), src: src}, nil
	case 't', 'f':
		return &node{kind: kindBool, flag: tok.Bool(), src: src}, nil
	case '0':
		text := tok.String()
		if v, err := strconv.ParseInt(text, 10, 64); err == nil {
			return &node{kind: kindInt, num: v, src: src}, nil
		}
		if !strings.ContainsAny(text, ".eE") {
			return nil, errTooLarge
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, errTooLarge
		}
		if text = strconv.FormatFloat(v, 'g', -1, 64); !strings.ContainsAny(text, ".e") {
			text += ".0" // TOML tells 1.0 from 1 as well
		}
		return &node{kind: kindFloat, text: text, src: src}, nil
	case '[':
		list := &node{kind: kindList, src: src}
		for d.PeekKind() != ']' {
			n, err := fromDecoder(src, d)
			if err != nil {
				return nil, err
			}
			if n == nil {
				n = &node{kind: kindBad, src: src}
			}
			list.items = append(list.items, n)
		}
		_, err := d.ReadToken()
		return list, err
	case '{':
		table := newTable(src)
		for d.PeekKind() != '}' {
			name, err := d.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			n, err := fromDecoder(src, d)
			if err != nil {
				return nil, err
			}
			if n != nil {
				table.put(key, n)
			}
		}
		_, err := d.ReadToken()
		return table, err
	}
	return nil, nil
}
