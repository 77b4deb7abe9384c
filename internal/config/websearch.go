package config

import (
	"slices"
	"strings"
)

// WebSearch is web_search and tools.web_search: the web search that runs at the
// backend. What is empty was not said.
type WebSearch struct {
	// Mode is live, cached or disabled.
	Mode string
	// ContextSize is low, medium or high.
	ContextSize    string
	AllowedDomains []string
	// Country and the others are about where the user is.
	Country, Region, City, Timezone string
}

// webSearch reads it. A search carries words out, so what cannot be read
// switches it off.
func (r *reader) webSearch() WebSearch {
	const off = searchDisabled
	mode, key := r.lookup("web_search")
	w := WebSearch{Mode: r.choice(mode, key, off, searchLive, searchCached, off)}
	tools, key := r.lookup("tools")
	n := tools.get("web_search")
	key += ".web_search"
	switch {
	case n == nil || n.kind == kindBool: // true and false are older words, and say nothing
		return w
	case n.kind != kindTable:
		r.wrong(n, key, "a table")
		w.Mode = off
		return w
	}
	ok := true
	if w.AllowedDomains, ok = r.texts(n.get("allowed_domains"), key+".allowed_domains"); !ok {
		w.Mode = off
	}
	w.ContextSize = r.choice(n.get("context_size"), key+".context_size", "", "low", "medium", "high")
	place := n.get("location")
	text := func(name string) string { return r.textOf(place.get(name), key+".location."+name, "") }
	w.Country, w.Region, w.City, w.Timezone = text("country"), text("region"), text("city"), text("timezone")
	return w
}

// choice returns a text that is one of a few: "" where there is none, instead
// where it is something else.
func (r *reader) choice(n *node, key, instead string, values ...string) string {
	if n == nil {
		return ""
	}
	if n.kind != kindText || !slices.Contains(values, n.text) {
		r.wrong(n, key, "this is none of "+strings.Join(values, ", "))
		return instead
	}
	return n.text
}
