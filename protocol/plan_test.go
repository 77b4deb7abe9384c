package protocol

import (
	"testing"
)

func TestWirePlan(t *testing.T) {
	for _, p := range []string{"free", "go", "plus", "pro", "prolite", "team", "self_serve_business_usage_based",
		"business", "enterprise_cbp_usage_based", "enterprise", "edu"} {
		if got := WirePlan(p); got != PlanType(p) {
			t.Errorf("WirePlan(%q) = %q", p, got)
		}
	}
	for name, want := range map[string]PlanType{"hc": "enterprise", "education": "edu"} {
		if got := WirePlan(name); got != want {
			t.Errorf("WirePlan(%q) = %q, want %q", name, got, want)
		}
	}
	for _, p := range []string{"", "PRO", "Pro", "zebra", "pro ", "unknown"} {
		if got := WirePlan(p); got != PlanUnknown {
			t.Errorf("WirePlan(%q) = %q, want unknown", p, got)
		}
	}
}
