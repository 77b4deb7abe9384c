package skills

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

func TestMentions(t *testing.T) {
	for text, want := range map[string][]Mention{
		"":                          nil,
		"costs $ 5, $":              nil,
		"use $a, `$b` ($c) x$d.":    {{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}},
		"$ns:x-1_y.txt":             {{Name: "ns:x-1_y"}},
		"[$a](/x/SKILL.md) $b":      {{Name: "a", Path: "/x/SKILL.md"}, {Name: "b"}},
		"[$a](skill:///x/SKILL.md)": {{Name: "a", Path: "/x/SKILL.md"}},
		"[$a]() [a](/x)":            {{Name: "a"}},
		"[$a](app://a)":             {{Name: "a", Path: "app://a"}},
	} {
		if diff := cmp.Diff(want, Mentions(text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestPick(t *testing.T) {
	skill := func(name, path string) Skill {
		return Skill{SkillMetadata: protocol.SkillMetadata{Name: name, Path: path}}
	}
	all := []Skill{skill("a", "/1"), skill("twin", "/2"), skill("twin", "/3"), skill("b", "/4")}
	for _, tt := range []struct {
		name     string
		mentions []Mention
		want     []string
	}{
		{"order and once", []Mention{{Name: "b"}, {Name: "a"}, {Name: "a"}}, []string{"/1", "/4"}},
		{"another case", []Mention{{Name: "A"}}, nil},
		{"a name that two have", []Mention{{Name: "twin"}}, nil},
		{"the file tells which", []Mention{{Name: "twin"}, {Name: "other", Path: "/3"}}, []string{"/3"}},
		{"another file", []Mention{{Name: "a", Path: "/9"}}, nil},
	} {
		var got []string
		for _, s := range Pick(all, tt.mentions) {
			got = append(got, s.Path)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// A text can name as many files as it has room for, and each costs the file system
// a look.
func BenchmarkPick(b *testing.B) {
	all := make([]Skill, 200)
	for i := range all {
		all[i].Path = fmt.Sprintf("/skills/%d/SKILL.md", i)
	}
	mentions := Mentions(strings.Repeat("[$a](/tmp/b)", 10_000))
	for b.Loop() {
		Pick(all, mentions)
	}
}
