package tools

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// The modes of the hosted web search: with pages as they are now, or only with
// what the backend has seen before.
const (
	searchLive     = "live"
	searchDisabled = "disabled"
)

// SearchOptions are the wishes for the hosted web search, as tools.web_search of
// the configuration has them. What is empty is left to the backend.
type SearchOptions struct {
	// ContextSize is low, medium or high.
	ContextSize string
	// AllowedDomains, where not nil, are the only ones.
	AllowedDomains []string
	Location       SearchLocation
}

// SearchLocation is about where the user is.
type SearchLocation struct {
	Country  string `json:"country,omitzero"`
	Region   string `json:"region,omitzero"`
	City     string `json:"city,omitzero"`
	Timezone string `json:"timezone,omitzero"`
}

// searchTool is the hosted web search. It runs at the backend, so there is
// nothing to call here.
func searchTool() Tool {
	return Tool{Name: "web_search", Spec: searchSpec, Run: func(_ context.Context, _ *Turn, c Call) Output { return noTool(c) }}
}

// searchesLive reports whether searches may fetch pages. The page that is
// fetched can carry words out, so by default that needs full access, which
// allows it even where the configuration says cached, as in the reference.
func (t *Turn) searchesLive() bool {
	o := t.th.o
	return t.Env.Sandbox.Mode() == protocol.SandboxDangerFullAccess || o.WebSearch == searchLive ||
		o.WebSearch == "" && o.Features["web_search_request"]
}

func searchSpec(t *Turn) (jsontext.Value, bool) {
	type filters struct {
		AllowedDomains []string `json:"allowed_domains"`
	}
	type location struct {
		Type string `json:"type"`
		SearchLocation
	}
	spec := struct {
		Type         string    `json:"type"`
		External     bool      `json:"external_web_access"`
		Filters      *filters  `json:"filters,omitzero"`
		Location     *location `json:"user_location,omitzero"`
		ContextSize  string    `json:"search_context_size,omitzero"`
		ContentTypes []string  `json:"search_content_types,omitzero"`
	}{Type: "web_search", External: t.searchesLive(), ContextSize: t.th.o.Search.ContextSize}
	if d := t.th.o.Search.AllowedDomains; d != nil {
		spec.Filters = &filters{d}
	}
	if l := t.th.o.Search.Location; l != (SearchLocation{}) {
		spec.Location = &location{"approximate", l}
	}
	if t.Env.Model.SearchImages {
		spec.ContentTypes = []string{"text", "image"}
	}
	return encode(spec), t.th.o.WebSearch != searchDisabled
}
