package config

import "errors"

// WorkspaceWrite is what the sandbox mode workspace-write allows. WritableRoots
// are absolute paths.
type WorkspaceWrite struct {
	WritableRoots       []string
	NetworkAccess       bool
	ExcludeTmpdirEnvVar bool
	ExcludeSlashTmp     bool
}

// ShellEnvironment is which variables commands inherit. Inherit is all, core,
// none, or empty for the default. The patterns may hold * and ?.
type ShellEnvironment struct {
	Inherit string
	// DefaultExcludes leaves out names that look like secrets; it is the
	// contrary of ignore_default_excludes, which is on by default.
	DefaultExcludes bool
	Exclude         []string
	IncludeOnly     []string
	Set             map[string]string
}

// tableReader reads a table whose every part restricts.
type tableReader struct {
	r     *reader
	name  string
	table *node
	errs  []error
}

// restrictedTable finds such a table; nil where it is absent beyond doubt. An
// error says that it may be there and cannot be read.
func (r *reader) restrictedTable(name string) (*tableReader, error) {
	t := r.base.get(name)
	if t == nil {
		if src := broken(r.files); src != nil {
			// The table may stand anywhere.
			return nil, hidden(name, src)
		}
		return nil, nil
	}
	for _, n := range []*node{t, t.hides} {
		if n != nil && n.kind != kindTable {
			p := r.describe(n, name, "a table")
			r.problems = append(r.problems, p)
			return nil, unreadable(name, p)
		}
	}
	out := &tableReader{r: r, name: name, table: t}
	if t.unsure {
		_, _, err := r.certain(t, name, name)
		out.errs = append(out.errs, err)
	}
	return out, nil
}

// part finds one part; it is nil where the part is absent or not usable.
func (t *tableReader) part(name string) (*node, string) {
	full := t.name + "." + name
	n := t.table.get(name)
	switch {
	case n == nil && !t.r.gone(t.table):
		t.errs = append(t.errs, hidden(full, broken(t.r.files)))
	case n != nil && !t.r.sure(n):
		_, _, err := t.r.certain(n, full, full)
		t.errs = append(t.errs, err)
	default:
		return n, full
	}
	return nil, full
}

// bad notes that a part has a wrong value.
func (t *tableReader) bad(n *node, key, want string) {
	p := t.r.describe(n, key, want)
	t.r.problems = append(t.r.problems, p)
	t.errs = append(t.errs, unreadable(p.Key, p))
}

// told notes that a part has a wrong value which was told already.
func (t *tableReader) told(key string) {
	t.errs = append(t.errs, unreadable(key, t.r.problems[len(t.r.problems)-1]))
}

func (t *tableReader) flag(name string, fallback bool) bool {
	n, key := t.part(name)
	if n == nil {
		return fallback
	}
	if n.kind != kindBool {
		t.bad(n, key, "true or false")
	}
	return n.flag
}

func (t *tableReader) texts(name string) (*node, []string) {
	n, key := t.part(name)
	out, ok := t.r.texts(n, key)
	if !ok {
		t.told(key)
	}
	return n, out
}

// workspaceWrite reads sandbox_workspace_write. One part that cannot be read
// makes the whole an error, since its default may allow more.
func (r *reader) workspaceWrite() (out Restricted[WorkspaceWrite]) {
	t, err := r.restrictedTable(keyWorkspaceWrite)
	if t == nil {
		out.Err = err
		return out
	}
	out.Set = true
	out.Value.NetworkAccess = t.flag("network_access", false)
	out.Value.ExcludeTmpdirEnvVar = t.flag("exclude_tmpdir_env_var", false)
	out.Value.ExcludeSlashTmp = t.flag("exclude_slash_tmp", false)
	n, roots := t.texts("writable_roots")
	for _, root := range roots {
		out.Value.WritableRoots = append(out.Value.WritableRoots, r.path(n, root))
	}
	out.Err = errors.Join(t.errs...)
	return out
}

// shellEnvironment reads shell_environment_policy. It restricts: a variable
// that the user meant to keep from commands must not reach them because of a
// slip in the file.
func (r *reader) shellEnvironment() (out Restricted[ShellEnvironment]) {
	t, err := r.restrictedTable(keyEnvironment)
	if t == nil {
		out.Err = err
		return out
	}
	out.Set = true
	if n, key := t.part("inherit"); n != nil {
		switch {
		case n.kind != kindText:
			t.bad(n, key, "one of all, core, none")
		case n.text != "all" && n.text != "core" && n.text != "none":
			t.bad(n, key, "this is none of all, core, none")
		}
		out.Value.Inherit = n.text
	}
	out.Value.DefaultExcludes = !t.flag("ignore_default_excludes", true)
	_, out.Value.Exclude = t.texts("exclude")
	_, out.Value.IncludeOnly = t.texts("include_only")
	if n, key := t.part("set"); n != nil {
		set, ok := r.textMap(n, key)
		if !ok {
			t.told(key)
		}
		out.Value.Set = set
	}
	out.Err = errors.Join(t.errs...)
	return out
}
