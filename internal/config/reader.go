package config

import (
	"encoding"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// reader takes typed values out of the layers and gathers what is wrong.
type reader struct {
	// base is the files with all overrides laid on them; over holds the overrides
	// alone, which win over the profile; prof is the selected profile.
	base, over, prof *node
	profile          string
	files            []*source
	userHome         string
	problems         []Problem
}

// lookup finds a setting that a profile may have too, and its full key.
func (r *reader) lookup(name string) (*node, string) {
	if n := r.over.get(name); n != nil {
		return r.base.get(name), name
	}
	if n := r.prof.get(name); n != nil {
		return n, joinKey("profiles", r.profile, name)
	}
	return r.base.get(name), name
}

// wrong notes that a value cannot be used. What is wrong in an override is
// always noted, because [Config.With] refuses it.
func (r *reader) wrong(n *node, key, want string) {
	if n.src.isFile() && len(r.problems) >= maxProblems {
		return
	}
	r.problems = append(r.problems, r.describe(n, key, want))
}

// missing notes that a value needs something that is not defined.
func (r *reader) missing(n *node, key, want string) {
	before := len(r.problems)
	r.wrong(n, key, want)
	for i := before; i < len(r.problems); i++ {
		r.problems[i].pending = true
	}
}

func (r *reader) describe(n *node, key, want string) Problem {
	src := n.src
	if !strings.HasPrefix(want, "this ") {
		want = "expected " + want + ", found " + n.kind.String()
	}
	summary := fmt.Sprintf("The setting %s cannot be used and was left out.", key)
	return src.problem(n.at, key, summary, want)
}

// text returns a text, fallback where there is none or something else.
func (r *reader) text(name, fallback string) string {
	n, key := r.lookup(name)
	return r.textOf(n, key, fallback)
}

func (r *reader) textOf(n *node, key, fallback string) string {
	if n == nil {
		return fallback
	}
	if n.kind != kindText {
		r.wrong(n, key, "a text")
		return fallback
	}
	return n.text
}

// boolean returns a boolean of the top level.
func (r *reader) boolean(name string) bool {
	n, key := r.lookup(name)
	if n == nil {
		return false
	}
	if n.kind != kindBool {
		r.wrong(n, key, "true or false")
	}
	return n.flag
}

// switchedOff reports whether a boolean of the top level, true by default, is false.
func (r *reader) switchedOff(name string) bool {
	n, _ := r.lookup(name)
	return !r.boolean(name) && n != nil && n.kind == kindBool
}

// positive returns an integer above 0, nil where there is none.
func (r *reader) positive(name string) *int64 {
	n, key := r.lookup(name)
	if n == nil {
		return nil
	}
	if n.kind != kindInt || n.num <= 0 {
		r.wrong(n, key, "an integer above 0")
		return nil
	}
	return &n.num
}

// count returns an integer from 0 to most (values above count as most).
func (r *reader) count(n *node, key string, fallback, most int64) int64 {
	if n == nil {
		return fallback
	}
	if n.kind != kindInt || n.num < 0 {
		r.wrong(n, key, "an integer from 0")
		return fallback
	}
	return min(n.num, most)
}

// texts returns a list of texts.
func (r *reader) texts(n *node, key string) ([]string, bool) {
	if n == nil {
		return nil, true
	}
	if n.kind != kindList {
		r.wrong(n, key, "a list of texts")
		return nil, false
	}
	out := make([]string, 0, len(n.items))
	for _, item := range n.items {
		if item.kind != kindText {
			r.wrong(item, key, "a list of texts")
			return nil, false
		}
		out = append(out, item.text)
	}
	return out, true
}

// textMap returns a table of texts.
func (r *reader) textMap(n *node, key string) (map[string]string, bool) {
	if n == nil {
		return nil, true
	}
	if n.kind != kindTable {
		r.wrong(n, key, "a table of texts")
		return nil, false
	}
	ok := true
	out := make(map[string]string, len(n.names))
	for _, name := range n.names {
		item := n.members[name]
		if item.kind != kindText {
			r.wrong(item, key+"."+joinKey(name), "a text")
			ok = false
			continue
		}
		out[name] = item.text
	}
	return out, ok
}

// closed reads a text of one of the protocol's closed sets into v and reports
// whether it could be read; want lists the values.
func (r *reader) closed(n *node, key, want string, v encoding.TextUnmarshaler) bool {
	if n == nil {
		return false
	}
	if n.kind != kindText {
		r.wrong(n, key, "one of "+want)
		return false
	}
	if v.UnmarshalText([]byte(n.text)) != nil {
		r.wrong(n, key, "this is none of "+want)
		return false
	}
	return true
}

// enum reads a setting of a closed set.
func enum[T ~string, P interface {
	*T
	encoding.TextUnmarshaler
}](r *reader, name, want string, fallback T) T {
	n, key := r.lookup(name)
	v := fallback
	if !r.closed(n, key, want, P(&v)) {
		return fallback
	}
	return v
}

// webURL returns an http or https URL without a trailing slash.
func (r *reader) webURL(n *node, key, fallback string) (string, bool) {
	if n == nil {
		return fallback, true
	}
	if n.kind != kindText {
		r.wrong(n, key, "an http or https URL")
		return fallback, false
	}
	u, err := url.Parse(n.text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		r.wrong(n, key, "this is no http or https URL")
		return fallback, false
	}
	return strings.TrimRight(n.text, "/"), true
}

// file is the absolute path that a key has; empty where it is not set.
func (r *reader) file(key string) string {
	n, key := r.lookup(key)
	if n == nil {
		return ""
	}
	return r.path(n, r.textOf(n, key, ""))
}

// path makes a path absolute: ~ is the user's home, and other relative paths
// start at the folder of the file, or the working directory for overrides.
func (r *reader) path(n *node, text string) string {
	if text == "" {
		return ""
	}
	if rest, ok := strings.CutPrefix(text, "~"); ok && r.userHome != "" && (rest == "" || rest[0] == '/' || rest[0] == filepath.Separator) {
		return filepath.Join(r.userHome, rest)
	}
	if filepath.IsAbs(text) {
		return filepath.Clean(text)
	}
	return filepath.Join(n.src.dir, text)
}
