package process

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The expectations were measured with codex app-server 0.125.
func TestEnviron(t *testing.T) {
	t.Parallel()
	base := []string{"PATH=/bin", "HOME=/root", "PLAIN=1", "PLAIN=4", "FOO_KEY=1", "MY_TOKEN=2", "keyboard=6", "EMPTY=", "broken", "CODEX_API_KEY=own"}
	withhold := []string{"CODEX_API_KEY"}
	tests := []struct {
		name   string
		policy Policy
		want   string
	}{
		{"default", Policy{}, "EMPTY= FOO_KEY=1 HOME=/root MY_TOKEN=2 PATH=/bin PLAIN=4 keyboard=6"},
		{"default excludes", Policy{DefaultExcludes: true}, "EMPTY= HOME=/root PATH=/bin PLAIN=4"},
		{"core", Policy{Inherit: InheritCore}, "HOME=/root PATH=/bin"},
		{"none", Policy{Inherit: InheritNone}, ""},
		{"exclude", Policy{Exclude: []string{"PLA*", "foo_key", "[PM]*", "EMPT?"}}, "HOME=/root MY_TOKEN=2 PATH=/bin keyboard=6"},
		{"set comes after excludes", Policy{DefaultExcludes: true, Inherit: InheritNone, Exclude: []string{"X"}, Set: map[string]string{"X": "1", "MY_TOKEN": "q"}}, "MY_TOKEN=q X=1"},
		{"include only comes last", Policy{IncludeOnly: []string{"pla*", "HOME"}, Set: map[string]string{"X": "1"}}, "HOME=/root PLAIN=4"},
		{"own secret set by the user", Policy{Inherit: InheritNone, Set: map[string]string{"CODEX_API_KEY": "user"}}, "CODEX_API_KEY=user"},
	}
	for _, test := range tests {
		got := strings.Join(test.policy.Environ(base, withhold), " ")
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestOverride(t *testing.T) {
	t.Parallel()
	x := "2"
	got := Override([]string{"A=1", "B=1", "C=1"}, map[string]*string{"A": &x, "B": nil, "D": &x})
	if diff := cmp.Diff([]string{"A=2", "C=1", "D=2"}, got); diff != "" {
		t.Error(diff)
	}
	if got := Override(nil, Headless()); !slices.Contains(got, "TERM=dumb") || len(got) != 10 {
		t.Errorf("got %q", got)
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for pattern, names := range map[string]string{"*": "yA", "A*C": "yAC yABC nAB", "*B*": "yB yABC nAC", "?": "yA n nAB", "**A": "yA yBA", "": "n"} {
		for _, n := range strings.Fields(names) {
			if got := match(pattern, n[1:]); got != (n[0] == 'y') && n[1:] != "" {
				t.Errorf("match(%q, %q) = %v", pattern, n[1:], got)
			}
		}
	}
	if match(strings.Repeat("*A", 40)+"B", strings.Repeat("A", 4000)) {
		t.Error("matched")
	}
}
