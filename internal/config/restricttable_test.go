package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShellEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want ShellEnvironment
		bad  bool
	}{
		"absent": {"model = \"m\"\n", ShellEnvironment{}, false},
		"whole": {"[shell_environment_policy]\ninherit = \"core\"\nignore_default_excludes = false\nexclude = [\"AWS_*\"]\ninclude_only = [\"PATH\"]\nset = { A = \"1\" }\n",
			ShellEnvironment{Inherit: "core", DefaultExcludes: true, Exclude: []string{"AWS_*"}, IncludeOnly: []string{"PATH"}, Set: map[string]string{"A": "1"}}, false},
		"empty table":     {"[shell_environment_policy]\n", ShellEnvironment{}, false},
		"no table":        {"shell_environment_policy = 3\n", ShellEnvironment{}, true},
		"unknown inherit": {"[shell_environment_policy]\ninherit = \"some\"\n", ShellEnvironment{}, true},
		"text for a list": {"[shell_environment_policy]\nexclude = \"AWS_*\"\n", ShellEnvironment{}, true},
		"number in set":   {"[shell_environment_policy]\nset = { A = 1 }\n", ShellEnvironment{}, true},
		"broken file":     {"model = \"m\"\n[shell_environment_policy\n", ShellEnvironment{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got := load(t, c.file).ShellEnvironment
			if (got.Err != nil) != c.bad {
				t.Fatalf("error %v, want one: %v", got.Err, c.bad)
			}
			if c.bad {
				return
			}
			if d := cmp.Diff(c.want, got.Value); d != "" {
				t.Error(d)
			}
		})
	}
}
