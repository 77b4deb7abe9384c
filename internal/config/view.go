package config

import (
	"bytes"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// shownKey is a key that config/read always shows, null where it is not set,
// with the kinds of value that its wire type has.
type shownKey struct {
	name  string
	kinds []kind
}

// shownKeys are the keys of the wire's type, in the order of the reference, then
// those further ones that this server reads.
func shownKeys() []shownKey {
	of := func(name string, kinds ...kind) shownKey { return shownKey{name, kinds} }
	text := func(name string) shownKey { return of(name, kindText) }
	return []shownKey{
		text("model"), text("review_model"),
		of("model_context_window", kindInt), of("model_auto_compact_token_limit", kindInt),
		text("model_provider"),
		of(keyApprovalPolicy, kindText, kindTable), text("approvals_reviewer"),
		text(keySandboxMode), of(keyWorkspaceWrite, kindTable),
		of(keyWorkspaces, kindText, kindList), text(keyLoginMethod),
		text("web_search"), of("tools", kindTable),
		text(keyProfile), of("profiles", kindTable),
		text("instructions"), text("developer_instructions"), text("compact_prompt"),
		text("model_reasoning_effort"), text("model_reasoning_summary"), text("model_verbosity"), text("service_tier"),
		of("analytics", kindTable), of("apps", kindTable),

		of("features", kindTable), of("mcp_servers", kindTable), of("model_providers", kindTable),
		text("chatgpt_base_url"), text("cli_auth_credentials_store"),
		text("experimental_compact_prompt_file"), of("hide_agent_reasoning", kindBool), text("model_instructions_file"), text("openai_base_url"), text("personality"),
		of("project_doc_fallback_filenames", kindList), of("project_doc_max_bytes", kindInt), of("project_root_markers", kindList),
		of(keyEnvironment, kindTable), of("show_raw_agent_reasoning", kindBool),
	}
}

// fits reports whether a value is of a kind that the key can have.
func (k shownKey) fits(n *node) bool { return slices.Contains(k.kinds, n.kind) }

// Describe tells the settings the way config/read does: the layers joined, not
// yet the choice of the profile, which is told beside it. Values that cannot be
// used are null in Config and stand in their layer as they are.
//
// Nothing is masked, credentials of providers and MCP servers included. The
// parent runs as the user who can read the file, and what it reads it writes
// back: a mask would end up in the file in the place of the credential.
func (c *Config) Describe() protocol.ConfigReadResponse {
	merged := c.merged()
	r := protocol.ConfigReadResponse{
		Config: c.effective(merged), Origins: map[string]protocol.ConfigLayerMetadata{},
	}
	from := map[*source]protocol.ConfigLayerMetadata{}
	add := func(n *node, l protocol.ConfigLayer) {
		r.Layers = append(r.Layers, l)
		from[n.src] = l.ConfigLayerMetadata
	}
	if flags, ok := c.flagsLayer(); ok {
		add(c.layers.over, flags)
	}
	for _, p := range slices.Backward(c.layers.projects) {
		l := describeLayer(protocol.ConfigLayerSource{Type: protocol.LayerProject, DotCodexFolder: p.tree.src.dir}, p.tree)
		l.DisabledReason = p.disabled
		add(p.tree, l)
	}
	add(c.layers.user, describeLayer(protocol.ConfigLayerSource{Type: protocol.LayerUser, File: c.layers.user.src.name}, c.layers.user))
	if system := c.layers.system; system.src.name != "" {
		add(system, describeLayer(protocol.ConfigLayerSource{Type: protocol.LayerSystem, File: system.src.name}, system))
	}
	eachLeaf(merged, "", func(key string, n *node) { r.Origins[key] = from[n.src] })
	return r
}

// describeLayer tells one layer.
func describeLayer(name protocol.ConfigLayerSource, n *node) protocol.ConfigLayer {
	return protocol.ConfigLayer{ConfigLayerMetadata: protocol.ConfigLayerMetadata{Name: name, Version: versionOf(n)}, Config: jsonOf(n)}
}

// flagsLayer tells the overrides of the command line, if there are any.
func (c *Config) flagsLayer() (protocol.ConfigLayer, bool) {
	over := c.layers.over
	return describeLayer(protocol.ConfigLayerSource{Type: protocol.LayerSessionFlags}, over), len(over.names) > 0
}

// eachLeaf calls f for every value that is no table and no list, by the key that
// origins uses: parts joined by dots and never quoted.
func eachLeaf(n *node, key string, f func(string, *node)) {
	below := func(part string) string {
		if key == "" {
			return part
		}
		return key + "." + part
	}
	switch n.kind {
	case kindTable:
		for _, name := range n.names {
			eachLeaf(n.members[name], below(name), f)
		}
	case kindList:
		for i, item := range n.items {
			eachLeaf(item, below(strconv.Itoa(i)), f)
		}
	default:
		f(key, n)
	}
}

// effective is the config member: the keys that are always shown, then what
// else the layers say, by name.
func (c *Config) effective(merged *node) jsontext.Value {
	unusable := map[string]bool{}
	for _, p := range c.Problems {
		if !p.pending {
			unusable[p.Key] = true
		}
	}
	var buf bytes.Buffer
	e := jsontext.NewEncoder(&buf)
	// The encoder writes into memory, and what it is given is valid: it cannot fail.
	member := func(name string, v jsontext.Value) {
		_ = e.WriteToken(jsontext.String(name))
		_ = e.WriteValue(v)
	}
	_ = e.WriteToken(jsontext.BeginObject)
	shown := map[string]bool{}
	for _, k := range shownKeys() {
		shown[k.name] = true
		n := merged.get(k.name)
		if n != nil && k.fits(n) {
			n = usable(n, k.name, unusable)
		} else {
			n = nil
		}
		member(k.name, jsonOf(c.complete(k.name, n)))
	}
	for _, name := range slices.Sorted(slices.Values(merged.names)) {
		if !shown[name] {
			member(name, jsonOf(merged.members[name]))
		}
	}
	_ = e.WriteToken(jsontext.EndObject)
	return bytes.TrimSpace(buf.Bytes())
}

// usable is a value without the parts that cannot be used, nil for nothing.
// Tables that are made of named entries keep theirs: what is wrong with one of
// them is for its user to tell.
func usable(n *node, key string, unusable map[string]bool) *node {
	switch key {
	case "model_providers", "mcp_servers", "profiles":
		return n
	}
	if unusable[key] {
		return nil
	}
	if n.kind != kindTable {
		return n
	}
	out := newTable(n.src)
	for _, name := range n.names {
		if m := usable(n.members[name], key+"."+joinKey(name), unusable); m != nil {
			out.put(name, m)
		}
	}
	return out
}

// complete fills in the members that parents expect to find in some tables.
func (c *Config) complete(name string, n *node) *node {
	table := func(members map[string]*node) *node {
		return &node{kind: kindTable, members: members, names: slices.Sorted(maps.Keys(members)), src: c.layers.user.src}
	}
	off := &node{kind: kindBool, src: c.layers.user.src}
	unset := func(n *node, names ...string) *node {
		if n == nil || n.kind != kindTable {
			return n
		}
		members := map[string]*node{}
		for _, name := range names {
			members[name] = nil
		}
		return overlay(table(members), n)
	}
	switch name {
	case "features", "mcp_servers", "model_providers":
		if n == nil {
			return table(nil)
		}
	case "profiles":
		out := newTable(c.layers.user.src)
		if n == nil {
			return out
		}
		for _, name := range n.names {
			p := unset(n.members[name], "model", "model_provider", keyApprovalPolicy, "approvals_reviewer", "service_tier", "model_reasoning_effort",
				"model_reasoning_summary", "model_verbosity", "web_search", "tools", "chatgpt_base_url")
			if tools := p.get("tools"); tools != nil {
				p.put("tools", c.complete("tools", tools))
			}
			out.put(name, p)
		}
		return out
	case "analytics":
		return unset(n, "enabled")
	case keyWorkspaceWrite:
		if n != nil {
			return overlay(table(map[string]*node{
				"writable_roots": {kind: kindList}, "network_access": off, "exclude_tmpdir_env_var": off, "exclude_slash_tmp": off,
			}), n)
		}
	case keyApprovalPolicy:
		if n != nil && n.kind == kindTable {
			return overlay(table(map[string]*node{"granular": table(map[string]*node{
				"sandbox_approval": off, "rules": off, "skill_approval": off, "request_permissions": off, "mcp_elicitations": off,
			})}), n)
		}
	case "tools":
		if n != nil {
			return table(map[string]*node{
				"web_search": unset(ofKind(n.get("web_search"), kindTable), "context_size", "allowed_domains", "location"), "view_image": ofKind(n.get("view_image"), kindBool),
			})
		}
	}
	return n
}

// ofKind is n where it is of that kind, else nil, which is null in JSON. The
// older form of tools.web_search, true or false, has no place in the wire's type.
func ofKind(n *node, want kind) *node {
	if n == nil || n.kind != want {
		return nil
	}
	return n
}
