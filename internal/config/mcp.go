package config

import (
	"errors"
	"slices"
	"strings"
)

// MCPServer is a configured MCP server, as far as it can be told without
// running it.
type MCPServer struct {
	Name string
	// Enabled is false where the settings switch the server off.
	Enabled bool
	// BearerToken is whether requests to the server carry a token of the settings.
	BearerToken bool
	// Err says why the entry names no server that could be run.
	Err error
}

// MCPServers lists the configured MCP servers by name, those that cannot be run
// included.
func (c *Config) MCPServers() []MCPServer {
	t := c.merged().get("mcp_servers")
	if t == nil || t.kind != kindTable {
		return nil
	}
	var out []MCPServer
	for _, name := range slices.Sorted(slices.Values(t.names)) {
		out = append(out, mcpServer(name, t.members[name]))
	}
	return out
}

func mcpServer(name string, n *node) MCPServer {
	s := MCPServer{Name: name, Enabled: true}
	text := func(key string) bool { m := n.get(key); return m != nil && m.kind == kindText && m.text != "" }
	switch {
	case n.kind != kindTable:
		s.Err = errors.New("an MCP server is a table")
		return s
	case text("command") == text("url"):
		s.Err = errors.New("an MCP server has either a command or a url, which are texts")
	}
	if e := n.get("enabled"); e != nil {
		s.Enabled = e.kind == kindBool && e.flag
	}
	if text("url") {
		s.BearerToken = text("bearer_token_env_var") || text("bearer_token")
		for _, table := range []string{"http_headers", "env_http_headers"} {
			if h := n.get(table); h != nil && h.kind == kindTable {
				s.BearerToken = s.BearerToken || slices.ContainsFunc(h.names, func(name string) bool { return strings.EqualFold(name, "authorization") })
			}
		}
	}
	return s
}
