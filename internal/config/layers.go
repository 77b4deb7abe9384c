package config

// layers is what a Config was made from, kept for [Config.With] and [Config.In].
type layers struct {
	options Options
	// system, user and over are always there, and may be empty. over holds all
	// overrides, the stronger ones laid on the weaker.
	system, user, over *node
	// cwd is the folder that projects were looked for from; empty for none.
	cwd string
	// projects are weakest first, that of the project's root.
	projects []projectLayer
	required Requirements
	// found are the problems of reading the layers themselves.
	found []Problem
}

// files are the trees of the files that count, weakest first. There is always
// that of the user.
func (l *layers) files() []*node {
	var out []*node
	if l.system.src.present() {
		out = append(out, l.system)
	}
	out = append(out, l.user)
	for _, p := range l.projects {
		if p.disabled == "" && p.tree.src.present() {
			out = append(out, p.tree)
		}
	}
	return out
}

// own reads what is for the user to say, or the system, and not for a project.
func (l *layers) own() *reader {
	trees := []*node{l.system, l.user}
	return &reader{base: overlay(stack(trees), l.over), files: sources(trees)}
}

// present reports whether there is such a file.
func (s *source) present() bool { return s.data != nil || s.broken >= 0 }

// stack lays each tree on the one before.
func stack(trees []*node) *node {
	base := trees[0]
	for _, t := range trees[1:] {
		base = overlay(base, t)
	}
	return base
}

// merged is what all layers say together, but for the choice of the profile.
func (c *Config) merged() *node { return overlay(stack(c.layers.files()), c.layers.over) }

// sources are those of trees.
func sources(trees []*node) []*source {
	out := make([]*source, len(trees))
	for i, t := range trees {
		out[i] = t.src
	}
	return out
}

// broken is the first of the files of which not all is known, nil where there is
// none.
func broken(files []*source) *source {
	for _, s := range files {
		if s.broken >= 0 {
			return s
		}
	}
	return nil
}

// gone reports whether what table lacks is absent beyond doubt. A nil table is
// one that was not found.
func (r *reader) gone(table *node) bool {
	if broken(r.files) == nil {
		return true
	}
	// With more than one file, the table may come from one and go on in another.
	return len(r.files) == 1 && table != nil && table.closed
}
