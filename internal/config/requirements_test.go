package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

// required loads a home under requirements.
func required(t *testing.T, requirements, user string, overrides ...string) *Config {
	t.Helper()
	dir := tree(t, map[string]string{"system/" + requirementsName: requirements, "home/config.toml": user})
	return Load(Options{Home: filepath.Join(dir, "home"), System: filepath.Join(dir, "system"), Overrides: overrides, Cwd: dir})
}

func TestRequirements(t *testing.T) {
	for name, tt := range map[string]struct{ file, want string }{
		"nothing":                 {"", `null`},
		"keys that are not known": {"foo = 1\n[hooks]\n", `null`},
		"all": {
			"allowed_approval_policies = ['on-request', {granular = {sandbox_approval = true, rules = true, mcp_elicitations = false}}]\nallowed_sandbox_modes = ['read-only', 'external-sandbox']\nallowed_web_search_modes = ['cached']\nallowed_approvals_reviewers = ['user']\nenforce_residency = 'us'\n[features]\na = false\n",
			`{"allowedApprovalPolicies":["on-request",{"granular":{"sandbox_approval":true,"rules":true,"skill_approval":false,"request_permissions":false,"mcp_elicitations":false}}],"allowedApprovalsReviewers":["user"],"allowedSandboxModes":["read-only","external-sandbox"],"allowedWebSearchModes":["cached","disabled"],"featureRequirements":{"a":false},"hooks":null,"enforceResidency":"us","network":null}`,
		},
		"one":                 {"allowed_sandbox_modes = ['read-only']\n", `{"allowedApprovalPolicies":null,"allowedApprovalsReviewers":null,"allowedSandboxModes":["read-only"],"allowedWebSearchModes":null,"featureRequirements":null,"hooks":null,"enforceResidency":null,"network":null}`},
		"no web":              {"allowed_web_search_modes = []\n", `{"allowedApprovalPolicies":null,"allowedApprovalsReviewers":null,"allowedSandboxModes":null,"allowedWebSearchModes":["disabled"],"featureRequirements":null,"hooks":null,"enforceResidency":null,"network":null}`},
		"syntax":              {"allowed_sandbox_modes = \n", "error"},
		"a typo":              {"allowed_sandbox_modes = ['readonly']\n", "error"},
		"another kind":        {"allowed_sandbox_modes = 'read-only'\n", "error"},
		"not readable":        {"allowed_sandbox_modes = ['workspace-write']\n", "error"},
		"none allowed":        {"allowed_approval_policies = []\n", "error"},
		"somewhere":           {"enforce_residency = 'nowhere'\n", "error"},
		"a flag":              {"features.a = 1\n", "error"},
		"twice":               {"enforce_residency = 'us'\nenforce_residency = 'us'\n", "error"},
		"what cannot be kept": {"[experimental_network]\nenabled = true\n", "error"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, map[string]string{"system/" + requirementsName: tt.file})
			s := NewStore(Options{Home: filepath.Join(dir, "home"), System: filepath.Join(dir, "system")})
			r, err := s.Requirements(t.Context(), nil)
			got := "error"
			if err == nil {
				raw, _ := json.Marshal(r.Requirements, json.Deterministic(true))
				got = string(raw)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff, err)
			}
			c := s.Current()
			for _, p := range c.Problems {
				if strings.Contains(p.Summary, fileName) {
					t.Error("the wrong file is named:", p.Summary)
				}
			}
			if broken := tt.want == "error"; broken != (c.Requirements.Err != nil) || broken != (len(c.Problems) > 0) {
				t.Error(c.Requirements.Err, c.Problems)
			}
		})
	}
}

func TestRequirementsBind(t *testing.T) {
	for _, tt := range []struct {
		file, user string
		overrides  []string
		search     string
		problems   int
	}{
		{"allowed_web_search_modes = ['cached']\n", "", nil, "cached", 0},
		{"allowed_web_search_modes = ['cached']\n", "web_search = 'cached'\n", nil, "cached", 0},
		{"allowed_web_search_modes = ['cached']\n", "web_search = 'live'\n", nil, "cached", 1},
		{"allowed_web_search_modes = ['cached']\n", "", []string{"web_search=live"}, "cached", 1},
		{"allowed_web_search_modes = []\n", "web_search = 'live'\n", nil, "disabled", 1},
		{"allowed_web_search_modes = ['cached', 'live']\n", "", nil, "", 0},
		{"", "web_search = 'live'\n", nil, "live", 0},
	} {
		c := required(t, tt.file+"[features]\nfixed = false\n", tt.user+"[features]\nfixed = true\nfree = true\n", tt.overrides...)
		for range 2 {
			if c.WebSearch.Mode != tt.search || len(c.Problems) != tt.problems || c.Features["fixed"] || !c.Features["free"] {
				t.Errorf("%+v: %+v %v %v", tt, c.WebSearch, c.Problems, c.Features)
			}
			// Nor does a thread get around them.
			var err error
			if c, err = c.With(overrides(t, map[string]any{"features.fixed": true, "review_model": "r"})); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := required(t, "allowed_sandbox_modes = ['read-only', 'danger-full-access']\n", "").Requirements
	for kind, want := range map[protocol.SandboxPolicyType]bool{
		protocol.PolicyReadOnly: true, protocol.PolicyWorkspaceWrite: false, protocol.PolicyDangerFullAccess: true, protocol.PolicyExternalSandbox: false,
	} {
		if got := r.AllowsSandbox(protocol.SandboxPolicy{Type: kind}); got != want {
			t.Error(kind, got)
		}
	}
}
