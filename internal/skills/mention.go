package skills

import (
	"regexp"
	"slices"
	"strings"
)

// Mention is how somebody names a skill: by its file, or by its name alone where
// Path is empty.
type Mention struct{ Name, Path string }

// mention is $name, or the link [$name](file).
var mention = regexp.MustCompile(`\[\$([\w:-]+)\]\(([^)\s]+)\)|\$([\w:-]+)`)

// Mentions lists the skills that a text names.
func Mentions(text string) []Mention {
	var out []Mention
	for _, m := range mention.FindAllStringSubmatch(text, -1) {
		out = append(out, Mention{Name: m[1] + m[3], Path: strings.TrimPrefix(m[2], "skill://")})
	}
	return out
}

// Pick chooses those of the skills that a mention names, each once and in their
// own order. A name that several skills have names none of them.
func Pick(all []Skill, mentions []Mention) []Skill {
	same := map[string]int{}
	for _, s := range all {
		same[s.Name]++
	}
	var out []Skill
	for _, s := range all {
		if slices.ContainsFunc(mentions, func(m Mention) bool { return m.names(s) || m.Path == "" && m.Name == s.Name && same[s.Name] == 1 }) {
			out = append(out, s)
		}
	}
	return out
}

// names reports whether the mention's path is the skill's file.
func (m Mention) names(s Skill) bool { return m.Path != "" && truePath(m.Path) == s.Path }
