package fake

import (
	"maps"
	"strings"
)

// canRewrite reports whether line i may be rewritten: lines that are included
// belong to other stories as well.
func (r *runner) canRewrite(i int) bool {
	return r.opts.Update && r.story.lines[i].file == r.story.Path
}

// rewrite replaces the pattern of line i by one that fits got, and returns the
// captures that it keeps.
func (r *runner) rewrite(i int, pattern, got any, exact bool) vars {
	u := &updating{known: r.vars, found: vars{}}
	text := "<- "
	if exact {
		text += "exact "
	}
	r.rewritten[i] = text + encodeJSON(u.message(pattern, got, exact))
	return u.found
}

// newText is the file with the rewritten lines in place.
func (r *runner) newText() []byte {
	var out []string
	next := 0
	for i, l := range r.story.lines {
		text, ok := r.rewritten[i]
		if !ok {
			continue
		}
		out = append(out, r.story.raw[next:l.no-1]...)
		out = append(out, text)
		next = l.no - 1 + l.count
	}
	out = append(out, r.story.raw[next:]...)
	return []byte(strings.Join(out, "\n"))
}

// updating makes new patterns out of old ones and what came.
type updating struct {
	known vars
	found vars
}

// message keeps the old pattern's selection of members as long as it is about
// the same kind of message, else it takes all of got.
func (u *updating) message(pattern, got any, exact bool) any {
	p, _ := pattern.(map[string]any)
	g, _ := got.(map[string]any)
	if len(p) == 0 || p["method"] != g["method"] || (p["id"] == nil) != (g["id"] == nil) || (p["error"] == nil) != (g["error"] == nil) {
		return u.general(got)
	}
	return u.merge(pattern, got, exact)
}

// merge keeps what still fits and replaces the rest.
func (u *updating) merge(pattern, got any, exact bool) any {
	known := maps.Clone(u.known)
	maps.Copy(known, u.found)
	if found, diff := match(pattern, got, known, exact); diff == "" {
		maps.Copy(u.found, found)
		return pattern
	}
	switch p := pattern.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		out := map[string]any{}
		for _, name := range memberOrder(p) {
			if v, ok := g[name]; ok {
				out[name] = u.merge(p[name], v, exact)
			}
		}
		if exact || p[keyExact] == true {
			for name, v := range g {
				if _, ok := p[name]; !ok {
					out[name] = u.general(v)
				}
			}
		}
		if v, ok := p[keyExact]; ok {
			out[keyExact] = v
		}
		return out
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(p) {
			break
		}
		out := make([]any, len(g))
		for i := range g {
			out[i] = u.merge(p[i], g[i], exact)
		}
		return out
	}
	return u.general(got)
}

// shortValue is the length below which a value is too common to be taken for a
// variable.
const shortValue = 6

// general turns a value into a pattern that fits the next run too: variables go
// back to their names, fresh ids and times become wildcards.
func (u *updating) general(v any) any {
	switch v := v.(type) {
	case string:
		for name, known := range u.known {
			if s, ok := known.(string); ok && len(s) >= shortValue {
				v = strings.ReplaceAll(v, s, "${"+name+"}")
			}
		}
		if uuidText.MatchString(v) {
			return "$uuid"
		}
		return v
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = u.general(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, member := range v {
			if _, ok := member.(number); ok && (strings.HasSuffix(name, "At") || strings.HasSuffix(name, "Ms")) {
				out[name] = "$number"
				continue
			}
			out[name] = u.general(member)
		}
		return out
	}
	return v
}
