package config

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

func TestSkills(t *testing.T) {
	c := load(t, `
[skills]
include_instructions = false
bundled = { enabled = false }
[[skills.config]]
path = "~/skills/a/SKILL.md"
enabled = false
[[skills.config]]
path = "/b/SKILL.md"
enabled = true
[[skills.config]]
enabled = false
[[skills.config]]
name = "c"
enabled = false
[[skills.config]]
path = "c/SKILL.md"
enabled = false
[[skills.config]]
path = "d/SKILL.md"
enabled = "no"
`)
	want := Skills{Untold: true, WithoutSystem: true, Rules: []SkillRule{
		{Path: "/home/me/skills/a/SKILL.md"}, {Path: "/b/SKILL.md", Enabled: true}, {Name: "c"}, {Path: c.Home + "/c/SKILL.md"},
	}}
	if diff := cmp.Diff(want, c.Skills); diff != "" {
		t.Error(diff)
	}
}

func TestWriteSkillWithoutAFile(t *testing.T) {
	s := NewStore(Options{Home: t.TempDir()})
	name := "a"
	for _, on := range []bool{true, false} {
		if r, err := s.WriteSkill(t.Context(), &protocol.SkillsConfigWriteParams{Name: &name, Enabled: on}); err != nil || r.EffectiveEnabled != on {
			t.Error(r, err)
		}
		if _, err := os.Stat(s.file()); (err == nil) == on {
			t.Errorf("switched on %v: %v", on, err)
		}
	}
}
