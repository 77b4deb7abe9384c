package protocol

// ListMCPServerStatusParams are those of mcpServerStatus/list. Detail says how
// much is asked for; while no server is connected, both answers are the same.
type ListMCPServerStatusParams struct {
	Cursor *string                `json:"cursor"`
	Limit  *uint32                `json:"limit"`
	Detail *MCPServerStatusDetail `json:"detail"`
}

// MCPServerStatusDetail is how much of a server's state is asked for.
type MCPServerStatusDetail string

// The kinds of detail.
const (
	MCPDetailFull             MCPServerStatusDetail = "full"
	MCPDetailToolsAndAuthOnly MCPServerStatusDetail = "toolsAndAuthOnly"
)

// UnmarshalText refuses unknown kinds.
func (d *MCPServerStatusDetail) UnmarshalText(b []byte) error {
	return closedEnum(d, b, MCPDetailFull, MCPDetailToolsAndAuthOnly)
}

// ListMCPServerStatusResponse answers mcpServerStatus/list.
type ListMCPServerStatusResponse struct {
	Data       []MCPServerStatus `json:"data"`
	NextCursor *string           `json:"nextCursor"`
}

// MCPServerStatus is a configured MCP server. Tools, Resources and
// ResourceTemplates are what it offers: nothing while it is not connected.
//
// RuntimeStatus is of a later generation of the wire (0.169.0) and tells
// parents that know it whether the server runs; older ones pass it over.
type MCPServerStatus struct {
	Name              string           `json:"name"`
	Tools             struct{}         `json:"tools"`
	Resources         []struct{}       `json:"resources"`
	ResourceTemplates []struct{}       `json:"resourceTemplates"`
	AuthStatus        MCPAuthStatus    `json:"authStatus"`
	RuntimeStatus     MCPRuntimeStatus `json:"runtimeStatus"`
}

// MCPAuthStatus is how the server signs in at an MCP server.
type MCPAuthStatus string

// The kinds of sign-in that a configuration tells; "unsupported" is none.
const (
	MCPAuthUnsupported MCPAuthStatus = "unsupported"
	MCPAuthBearerToken MCPAuthStatus = "bearerToken"
)

// MCPRuntimeStatus is whether an MCP server runs.
type MCPRuntimeStatus string

// The states of a server that is not connected.
const (
	MCPNotStarted MCPRuntimeStatus = "notStarted"
	MCPDisabled   MCPRuntimeStatus = "disabled"
)
