package protocol

// InitializeParams open the connection.
type InitializeParams struct {
	ClientInfo   ClientInfo              `json:"clientInfo" required:"true"`
	Capabilities *InitializeCapabilities `json:"capabilities,omitzero"`
}

// ClientInfo names the parent. Name becomes the originator header and the first
// word of the user agent.
type ClientInfo struct {
	Name    string  `json:"name" required:"true"`
	Title   *string `json:"title"`
	Version string  `json:"version" required:"true"`
}

// InitializeCapabilities are what the parent asks for.
type InitializeCapabilities struct {
	// ExperimentalAPI opens methods and fields that are marked experimental.
	ExperimentalAPI bool `json:"experimentalApi"`
	// OptOutNotificationMethods are exact names of notifications not to send.
	OptOutNotificationMethods []string `json:"optOutNotificationMethods"`
}

// InitializeResponse answers initialize. UserAgent has the form NAME/x.y.z ...,
// which parents parse.
type InitializeResponse struct {
	UserAgent      string `json:"userAgent"`
	CodexHome      string `json:"codexHome"`
	PlatformFamily string `json:"platformFamily"`
	PlatformOS     string `json:"platformOs"`
}

// Experimental is implemented by params whose use of an experimental method or
// field needs the capability experimentalApi. It returns what was used, such as
// "thread/start.dynamicTools", or "" where nothing was.
type Experimental interface{ ExperimentalUse() string }
