package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"app-server/protocol"
)

// Restricted is a setting that restricts. Err says why it could not be read;
// then logins or turns that it governs are refused, and Value means nothing.
// Set is whether the setting is there.
type Restricted[T any] struct {
	Value T
	Set   bool
	Err   error
}

// Names of the settings that restrict.
const (
	keyWorkspaces     = "forced_chatgpt_workspace_id"
	keyLoginMethod    = "forced_login_method"
	keySandboxMode    = "sandbox_mode"
	keyApprovalPolicy = "approval_policy"
	keyWorkspaceWrite = "sandbox_workspace_write"
	keyEnvironment    = "shell_environment_policy"
	keyProfile        = "profile"
)

// restrictions are the settings that a malformed override may be about. A
// profile counts because it may hold others.
var restrictions = [...]string{keyWorkspaces, keyLoginMethod, keySandboxMode, keyApprovalPolicy, keyWorkspaceWrite, keyEnvironment, keyProfile}

// unreadable is the error of a Restricted for a problem.
func unreadable(name string, p Problem) error {
	return fmt.Errorf("the setting %s could not be read: %s", name, p.Details)
}

// hidden is the error of a restriction that may stand in a part of the file
// that could not be read.
func hidden(name string, s *source) error {
	return fmt.Errorf("the setting %s may stand in a part of the configuration that could not be read: %s", name, s.reason.Details)
}

// sure reports whether a value is what the layers say beyond doubt.
func (r *reader) sure(n *node) bool { return !n.unsure && r.doubt(n) == nil }

// doubt is the file that leaves a value open: its own, which could not be read as
// far as that, or a stronger one that may say something else; nil for none.
func (r *reader) doubt(n *node) *source {
	if n.src.broken >= 0 && n.at.from >= n.src.broken {
		return n.src
	}
	if i := slices.Index(r.files, n.src); i >= 0 {
		return broken(r.files[i+1:])
	}
	return nil
}

// restricted finds a restriction. Exactly one of node and error is set, or
// neither where the setting is absent beyond doubt.
func (r *reader) restricted(name string, in scope) (*node, string, error) {
	if n := r.over.get(name); n != nil {
		return r.base.get(name), name, nil
	}
	if in == profileToo {
		if err := r.profileDoubt(name); err != nil {
			return nil, name, err
		}
		if n := r.prof.get(name); n != nil {
			return r.certain(n, name, joinKey("profiles", r.profile, name))
		}
		if r.prof != nil && !r.gone(r.prof) {
			return nil, name, hidden(name, broken(r.files))
		}
	}
	if n := r.base.get(name); n != nil {
		return r.certain(n, name, name)
	}
	if !r.gone(r.base) {
		return nil, name, hidden(name, broken(r.files))
	}
	return nil, name, nil
}

func (r *reader) certain(n *node, name, key string) (*node, string, error) {
	if n.unsure {
		return nil, key, fmt.Errorf("the setting %s stands twice in %s", name, n.src.name)
	}
	if s := r.doubt(n); s != nil {
		return nil, key, hidden(name, s)
	}
	return n, key, nil
}

// scope says where a restriction may stand.
type scope int

const (
	topLevel scope = iota
	profileToo
)

// profileDoubt returns an error where it is not known which profile, if any,
// is selected: that profile may restrict.
func (r *reader) profileDoubt(name string) error {
	n := r.base.get(keyProfile)
	if n == nil {
		if src := broken(r.files); !r.gone(r.base) && (src.data == nil || mentionsProfile(src.data[src.broken:])) {
			return hidden(name, broken(r.files))
		}
		return nil
	}
	if !r.sure(n) {
		_, _, err := r.certain(n, name, keyProfile)
		return err
	}
	if n.kind != kindText {
		return unreadable(name, r.describe(n, keyProfile, "a text"))
	}
	if r.prof == nil {
		if broken(r.files) != nil {
			return hidden(name, broken(r.files))
		}
		return unreadable(name, r.describe(n, keyProfile, noSuchProfile))
	}
	if r.prof.unsure {
		return fmt.Errorf("the setting %s may stand in the selected profile, which stands twice in %s", name, r.prof.src.name)
	}
	return nil
}

// mentionsProfile reports whether a text may hold the key profile: the word
// itself, or an escape that could spell it.
func mentionsProfile(b []byte) bool { return spellsProfile.Match(b) }

var spellsProfile = regexp.MustCompile(`\bprofile\b|\\[uUx]`)

// noSuchProfile is what is wrong with a profile that is not there.
const noSuchProfile = "this names no profile"

// workspaces reads forced_chatgpt_workspace_id: a text or a list of texts.
// Something that names no workspace is an error, since it may be a slip.
func (r *reader) workspaces() (out Restricted[[]string]) {
	n, key, err := r.restricted(keyWorkspaces, topLevel)
	if n == nil {
		out.Err = err
		return out
	}
	refuse := func(n *node, want string) Restricted[[]string] {
		p := r.describe(n, key, want)
		r.problems = append(r.problems, p)
		return Restricted[[]string]{Err: unreadable(key, p)}
	}
	items := n.items
	switch n.kind {
	case kindText:
		items = []*node{n}
	case kindList:
	default:
		return refuse(n, "a text or a list of texts")
	}
	if len(items) == 0 {
		return refuse(n, "this list names no workspace; leave the setting out to allow every workspace")
	}
	for _, item := range items {
		if item.kind != kindText {
			return refuse(item, "a text or a list of texts")
		}
		id := strings.TrimSpace(item.text)
		if id == "" {
			return refuse(item, "this text names no workspace; leave the setting out to allow every workspace")
		}
		out.Value = append(out.Value, id)
	}
	out.Set = true
	return out
}

// loginMethod reads forced_login_method.
func (r *reader) loginMethod() Restricted[string] {
	return restrictedText(r, keyLoginMethod, topLevel, "chatgpt, api", func(s string) (string, bool) {
		return s, s == "chatgpt" || s == "api"
	})
}

// sandboxMode reads sandbox_mode.
func (r *reader) sandboxMode() Restricted[protocol.SandboxMode] {
	return restrictedText(r, keySandboxMode, profileToo, "read-only, workspace-write, danger-full-access", func(s string) (m protocol.SandboxMode, ok bool) {
		return m, m.UnmarshalText([]byte(s)) == nil
	})
}

// restrictedText reads a restriction that is one of a few texts.
func restrictedText[T any](r *reader, name string, in scope, want string, parse func(string) (T, bool)) (out Restricted[T]) {
	n, key, err := r.restricted(name, in)
	if n == nil {
		out.Err = err
		return out
	}
	complaint := "one of " + want
	if n.kind == kindText {
		if v, ok := parse(n.text); ok {
			return Restricted[T]{Value: v, Set: true}
		}
		complaint = "this is none of " + want
	}
	p := r.describe(n, key, complaint)
	r.problems = append(r.problems, p)
	out.Err = unreadable(name, p)
	return out
}

// approvalPolicy reads approval_policy: a text, or a table with the one member
// granular.
func (r *reader) approvalPolicy() (out Restricted[protocol.ApprovalPolicy]) {
	const want = "untrusted, on-failure, on-request, never or a table granular"
	n, key, err := r.restricted(keyApprovalPolicy, profileToo)
	if n == nil {
		out.Err = err
		return out
	}
	refuse := func(n *node, key, want string) Restricted[protocol.ApprovalPolicy] {
		p := r.describe(n, key, want)
		r.problems = append(r.problems, p)
		return Restricted[protocol.ApprovalPolicy]{Err: unreadable(keyApprovalPolicy, p)}
	}
	if n.kind == kindText {
		if out.Value.Mode.UnmarshalText([]byte(n.text)) != nil {
			return refuse(n, key, "this is none of "+want)
		}
		out.Set = true
		return out
	}
	g := n.get("granular")
	if g == nil || len(n.names) != 1 {
		return refuse(n, key, "one of "+want)
	}
	key += ".granular"
	if g.kind != kindTable || g.unsure {
		return refuse(g, key, "a table that stands once")
	}
	var gran protocol.GranularApproval
	for _, part := range []struct {
		name     string
		into     *bool
		required presence
	}{
		{"sandbox_approval", &gran.SandboxApproval, mustBeThere},
		{"rules", &gran.Rules, mustBeThere},
		{"mcp_elicitations", &gran.MCPElicitations, mustBeThere},
		{"skill_approval", &gran.SkillApproval, mayLack},
		{"request_permissions", &gran.RequestPermissions, mayLack},
	} {
		m := g.get(part.name)
		switch {
		case m == nil && (part.required == mustBeThere || g.src.isFile() && !r.gone(g)):
			return refuse(g, key, "this lacks the member "+part.name)
		case m == nil:
			continue
		case !r.sure(m):
			return refuse(m, key+"."+part.name, "this value is not certain")
		case m.kind != kindBool:
			return refuse(m, key+"."+part.name, "true or false")
		}
		*part.into = m.flag
	}
	out.Value = protocol.ApprovalPolicy{Mode: protocol.ApprovalGranular, Granular: &gran}
	out.Set = true
	return out
}

// presence says whether a member may be missing.
type presence int

const (
	mayLack presence = iota
	mustBeThere
)
