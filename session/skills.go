package session

import (
	"fmt"

	"app-server/internal/prompt"
	"app-server/internal/skills"
	"app-server/protocol"
)

// skillsShare is the part of the model's window that the list of skills may take
// up, as in the reference.
const skillsShare = 50

// skillsFor lists the skills of the turn's working directory for the model, where
// it is another than the one they were listed for.
func (u *turn) skillsFor(known docs) docs {
	m, cfg, cwd := u.th.m, u.th.cfg, u.set.place()
	if known.cwd == cwd {
		return known
	}
	if m.skills == nil || cfg.Skills.Untold {
		return docs{cwd: cwd}
	}
	found := m.skills(u.ctx, cwd, cfg)
	if u.ctx.Err() != nil {
		return docs{text: known.text} // perhaps not all were found: the next turn looks again
	}
	var all []prompt.Skill
	for _, s := range found {
		if !s.Quiet {
			all = append(all, prompt.Skill{Name: s.Name, Description: s.Description, Path: s.Path})
		}
	}
	text, left := prompt.Skills(all, int(u.contextWindow()/skillsShare*bytesPerToken))
	if left != "" && text != known.text {
		m.warn(u.th.id, left)
	}
	return docs{cwd, text}
}

// giveSkills gives the model the skills that the user has named. They are looked
// for anew, since the user may just have written one; and after an interrupt, too,
// as words are that came before it.
func (u *turn) giveSkills(input []protocol.UserInput) {
	t := u.th
	mentions, asked := mentionedSkills(input)
	if len(mentions) == 0 || t.m.skills == nil {
		return
	}
	all := t.m.skills(t.m.base, u.set.place(), t.cfg)
	for _, m := range asked {
		if len(skills.Pick(all, []skills.Mention{m})) == 0 {
			t.m.warn(t.id, fmt.Sprintf("There is no enabled skill %q in the file %s.", m.Name, m.Path))
		}
	}
	for _, s := range skills.Pick(all, mentions) {
		text, cut, err := s.Text()
		if err != nil {
			t.m.warn(t.id, fmt.Sprintf("The skill %q could not be used: %v", s.Name, err))
			continue
		}
		u.remember(messageItem(roleUser, textPart(prompt.SkillText(s.Name, s.Path, text, cut))))
	}
}

// mentionedSkills lists the skills that input names: all, and those that it asks
// for in so many words. Other things can be mentioned, too.
func mentionedSkills(input []protocol.UserInput) (all, asked []skills.Mention) {
	for _, in := range input {
		switch m := (skills.Mention{Name: in.Name, Path: in.Path}); in.Type {
		case protocol.InputText:
			all = append(all, skills.Mentions(in.Text)...)
		case protocol.InputSkill:
			all, asked = append(all, m), append(asked, m)
		case protocol.InputMention:
			if m.Path != "" {
				all = append(all, m)
			}
		}
	}
	return all, asked
}
