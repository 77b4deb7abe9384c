package prompt

import (
	"fmt"
	"strings"

	"app-server/internal/excerpt"
)

// Skill is a skill that the model may use by itself.
type Skill struct{ Name, Description, Path string }

// Skills returns the developer text that lists skills, empty where there are
// none. maxBytes bounds the list: descriptions are shortened until it fits, and
// skills for which there is no room even so are left out. left says what was, ""
// for nothing.
func Skills(all []Skill, maxBytes int) (text, left string) {
	if len(all) == 0 {
		return "", ""
	}
	lines, longest := 0, 0
	for _, s := range all {
		lines += len(skillLine(s, 0))
		longest = max(longest, len(s.Description))
	}
	size := func(limit int) int {
		n := lines
		for _, s := range all {
			n += min(len(s.Description), limit)
		}
		return n
	}
	limit := longest
	if size(limit) > maxBytes {
		// The largest limit that fits lies between 0 and the longest.
		for low := 0; low < limit; {
			if mid := (low + limit + 1) / 2; size(mid) <= maxBytes {
				low = mid
			} else {
				limit = mid - 1
			}
		}
		left = "The descriptions of the skills were shortened for the model, because the list of skills is too long."
	}
	var b strings.Builder
	for i, s := range all {
		line := skillLine(s, limit)
		if b.Len()+len(line) > maxBytes {
			left = fmt.Sprintf("The model was told of %d of %d skills, without their descriptions, because the list of skills is too long.", i, len(all))
			break
		}
		b.WriteString(line)
	}
	return skillsOpen + `
Skills are instructions for particular kinds of work, each in a file of its own. These can be used here, named with what they are for and where their file is. This list takes the place of any earlier one.

` + b.String() + `
Where the user names a skill, as $name or in plain words, and where a task is just what a skill is for, read its file before you begin and work as it says; where several fit, take as few as cover the task. The text of a skill may already be in this conversation, in a message of its own behind the user's. Relative paths in it start at the skill's folder: open what it refers to as you need it, and run its scripts rather than writing them anew. A skill counts for the message that called for it, not for later ones. Where one cannot be found or followed, say so in a sentence and go on as well as you can.
` + skillsClose, left
}

// skillLine is one skill in the list.
func skillLine(s Skill, limit int) string {
	// What a project's files say must not end the list.
	line := "- " + s.Name + ": " + excerpt.Head(s.Description, limit) + " (file: " + s.Path + ")"
	return oneLine(strings.ReplaceAll(line, skillsClose, "&lt;"+skillsClose[1:])) + "\n"
}

// What is around a list of skills.
const (
	skillsOpen  = "<skills_instructions>"
	skillsClose = "</skills_instructions>"
)

// NoSkills says that the skills of an earlier list are gone.
func NoSkills() string {
	return skillsOpen + "\nThe skills that were listed earlier can no longer be used.\n" + skillsClose
}

// IsSkills reports whether a part of a developer message is a list of skills.
func IsSkills(text string) bool { return strings.HasPrefix(text, skillsOpen) }

// SkillText returns the user message that gives the model a skill which the user
// has named. content is that of the skill's file.
func SkillText(name, path, content string, cut bool) string {
	if content = strings.TrimRight(content, "\r\n") + "\n"; cut {
		content += "[The rest of this file was left out because of its size.]\n"
	}
	return "<skill>\n<name>" + escape(name) + "</name>\n<path>" + escape(path) + "</path>\n" + content + "</skill>"
}
