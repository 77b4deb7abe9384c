package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWebSearch(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       WebSearch
		problems   int
	}{
		{"nothing", "", WebSearch{}, 0},
		{"mode", `web_search = "live"`, WebSearch{Mode: "live"}, 0},
		{"profile", "profile = \"p\"\nweb_search = \"live\"\n[profiles.p]\nweb_search = \"cached\"", WebSearch{Mode: "cached"}, 0},
		{"old words", "[tools]\nweb_search = true", WebSearch{}, 0},
		{"all", "[tools.web_search]\ncontext_size = \"high\"\nallowed_domains = [\"a.com\"]\nlocation = {country = \"US\", city = \"X\", region = \"R\", timezone = \"UTC\"}",
			WebSearch{ContextSize: "high", AllowedDomains: []string{"a.com"}, Country: "US", City: "X", Region: "R", Timezone: "UTC"}, 0},
		{"no domain", "[tools.web_search]\nallowed_domains = []", WebSearch{AllowedDomains: []string{}}, 0},
		{"unknown mode", `web_search = "of"`, WebSearch{Mode: "disabled"}, 1},
		{"mode of a wrong type", `web_search = true`, WebSearch{Mode: "disabled"}, 1},
		{"text for a table", "[tools]\nweb_search = \"live\"", WebSearch{Mode: "disabled"}, 1},
		{"domains of a wrong type", "web_search = \"live\"\n[tools.web_search]\nallowed_domains = \"a.com\"", WebSearch{Mode: "disabled"}, 1},
		{"unknown size", "[tools.web_search]\ncontext_size = \"huge\"", WebSearch{}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := load(t, c.file)
			if diff := cmp.Diff(c.want, got.WebSearch); diff != "" || len(got.Problems) != c.problems {
				t.Error(diff, got.Problems)
			}
		})
	}
}
