package skills

import (
	"regexp"
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
	names, files := map[string]bool{}, map[string]bool{}
	for _, m := range mentions {
		if m.Path == "" {
			names[m.Name] = true
		} else if !files[m.Path] {
			files[m.Path], files[truePath(m.Path)] = true, true
		}
	}
	same := map[string]int{}
	for _, s := range all {
		same[s.Name]++
	}
	var out []Skill
	for _, s := range all {
		if files[s.Path] || names[s.Name] && same[s.Name] == 1 {
			out = append(out, s)
		}
	}
	return out
}
