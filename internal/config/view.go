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
		of("hide_agent_reasoning", kindBool), text("model_instructions_file"), text("openai_base_url"), text("personality"),
		of("project_doc_fallback_filenames", kindList), of("project_doc_max_bytes", kindInt),
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
	merged := overlay(c.layers.file, c.layers.over)
	user, flags := c.describeLayers()
	r := protocol.ConfigReadResponse{
		Config: c.effective(merged), Origins: map[string]protocol.ConfigLayerMetadata{},
	}
	if flags != nil {
		r.Layers = append(r.Layers, *flags)
	}
	r.Layers = append(r.Layers, user)
	eachLeaf(merged, "", func(key string, n *node) {
		if n.src.isFile() {
			r.Origins[key] = user.ConfigLayerMetadata
		} else if flags != nil {
			r.Origins[key] = flags.ConfigLayerMetadata
		}
	})
	return r
}

// describeLayers tells the layers. There is none of flags where no flag was
// given.
func (c *Config) describeLayers() (user protocol.ConfigLayer, flags *protocol.ConfigLayer) {
	layer := func(t protocol.ConfigLayerType, file string, n *node) protocol.ConfigLayer {
		return protocol.ConfigLayer{ConfigLayerMetadata: protocol.ConfigLayerMetadata{
			Name: protocol.ConfigLayerSource{Type: t, File: file}, Version: versionOf(n),
		}, Config: jsonOf(n)}
	}
	user = layer(protocol.LayerUser, c.layers.source.name, c.layers.file)
	if len(c.layers.over.names) > 0 {
		l := layer(protocol.LayerSessionFlags, "", c.layers.over)
		flags = &l
	}
	return user, flags
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
		return &node{kind: kindTable, members: members, names: slices.Sorted(maps.Keys(members)), src: c.layers.source}
	}
	off := &node{kind: kindBool, src: c.layers.source}
	switch name {
	case "features", "mcp_servers", "model_providers", "profiles":
		if n == nil {
			return table(nil)
		}
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
				"web_search": ofKind(n.get("web_search"), kindTable), "view_image": ofKind(n.get("view_image"), kindBool),
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
