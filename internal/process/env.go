package process

import (
	"runtime"
	"slices"
	"strings"
)

// Inherit is how much of an environment a command starts from. The values are
// those of shell_environment_policy.inherit.
type Inherit string

// How much is inherited. The empty value means all.
const (
	InheritAll  Inherit = "all"
	InheritCore Inherit = "core" // what a shell cannot do without
	InheritNone Inherit = "none"
)

// Policy is shell_environment_policy. The zero value is the reference's
// default, measured: everything is inherited, and names that look like secrets
// are left in, because ignore_default_excludes is true there.
type Policy struct {
	Inherit Inherit
	// DefaultExcludes leaves out *KEY*, *SECRET* and *TOKEN*; it is the
	// contrary of ignore_default_excludes.
	DefaultExcludes bool
	// Exclude and IncludeOnly are patterns of names in which * stands for
	// anything and ? for one character; case does not count.
	Exclude     []string
	IncludeOnly []string
	Set         map[string]string
}

// defaultExcludes are the names that look like secrets.
var defaultExcludes = []string{"*KEY*", "*SECRET*", "*TOKEN*"}

// Environ makes the environment of a command out of base, a list of NAME=VALUE
// in which the last one of a name counts. The steps are the reference's, in its
// order: inherit, default excludes, exclude, set, include_only.
//
// The names in withhold, which hold this server's own credentials, are never
// inherited, whatever the policy; only Set can bring one back. The result is
// sorted.
func (p Policy) Environ(base, withhold []string) []string {
	vars := map[string]string{}
	if p.Inherit != InheritNone {
		for _, kv := range base {
			name, value, ok := cutVar(kv)
			if ok && (p.Inherit != InheritCore || core(name)) && !matchAny(withhold, name) {
				vars[name] = value
			}
		}
	}
	for name := range vars {
		if p.DefaultExcludes && matchAny(defaultExcludes, name) || matchAny(p.Exclude, name) {
			delete(vars, name)
		}
	}
	for name, value := range p.Set {
		vars[name] = value
	}
	for name := range vars {
		if len(p.IncludeOnly) > 0 && !matchAny(p.IncludeOnly, name) {
			delete(vars, name)
		}
	}
	return list(vars)
}

// Override returns env with some variables set and others, whose value is nil,
// taken out. The result is sorted.
func Override(env []string, changes map[string]*string) []string {
	vars := map[string]string{}
	for _, kv := range env {
		if name, value, ok := cutVar(kv); ok {
			vars[name] = value
		}
	}
	for name, value := range changes {
		if value == nil {
			delete(vars, name)
		} else {
			vars[name] = *value
		}
	}
	return list(vars)
}

// Headless is what the reference sets for commands of the model, over
// everything else: plain output without colours, pagers and other languages.
func Headless() map[string]*string {
	changes := map[string]*string{}
	for name, value := range map[string]string{
		"CODEX_CI": "1", "NO_COLOR": "1", "TERM": "dumb", "COLORTERM": "", "LANG": "C.UTF-8", "LC_CTYPE": "C.UTF-8",
		"LC_ALL": "C.UTF-8", "PAGER": "cat", "GIT_PAGER": "cat", "GH_PAGER": "cat",
	} {
		changes[name] = &value
	}
	return changes
}

// cutVar splits NAME=VALUE. Names begin after the first byte, because Windows
// has variables such as =C:.
func cutVar(kv string) (name, value string, ok bool) {
	if kv == "" {
		return "", "", false
	}
	i := strings.IndexByte(kv[1:], '=')
	if i < 0 {
		return "", "", false
	}
	return kv[:i+1], kv[i+2:], true
}

func core(name string) bool {
	switch name := strings.ToUpper(name); name {
	case "HOME", "LOGNAME", "PATH", "SHELL", "USER", "USERNAME", "TMPDIR", "TEMP", "TMP":
		return true
	case "PATHEXT", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "WINDIR", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES":
		return runtime.GOOS == "windows"
	}
	return false
}

func matchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return match(strings.ToUpper(p), strings.ToUpper(name))
	})
}

// match compares with * and ?; brackets are plain characters, as measured. It
// goes back to the last star only, so that no pattern takes long.
func match(pattern, name string) bool {
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func list(vars map[string]string) []string {
	env := make([]string, 0, len(vars))
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}
