package config

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"app-server/protocol"
)

// Skills are the settings about skills.
type Skills struct {
	// Rules switch skills on and off, in the order in which they count.
	Rules []SkillRule
	// Untold keeps the list of skills from the model, WithoutSystem leaves out the
	// skills that the reference brings along.
	Untold, WithoutSystem bool
}

// SkillRule is about the skill in a file, or about those of a name. One of the two
// is set; Path is absolute.
type SkillRule struct {
	Path, Name string
	Enabled    bool
}

// skills reads the table skills. What cannot be used is passed over: a rule of
// another server must not keep this one from its work.
func (r *reader) skills() (s Skills) {
	t := r.base.get("skills")
	off := func(n *node) bool { return n != nil && n.kind == kindBool && !n.flag }
	s.Untold = off(t.get("include_instructions"))
	s.WithoutSystem = off(t.get("bundled").get("enabled"))
	if list := t.get("config"); list != nil {
		for _, item := range list.items {
			if rule, ok := r.skillRule(item); ok {
				s.Rules = append(s.Rules, rule)
			}
		}
	}
	return s
}

// skillRule reads one element of skills.config.
func (r *reader) skillRule(item *node) (SkillRule, bool) {
	enabled, path, name := item.get("enabled"), item.get("path"), item.get("name")
	if enabled == nil || enabled.kind != kindBool {
		return SkillRule{}, false
	}
	rule := SkillRule{Enabled: enabled.flag}
	switch {
	case path != nil && path.kind == kindText:
		rule.Path = r.path(path, path.text)
	case name != nil && name.kind == kindText:
		rule.Name = name.text
	}
	return rule, rule.Path != "" || rule.Name != ""
}

// WriteSkill handles skills/config/write. A skill that is switched off gets a rule,
// and loses it when it is switched on again.
func (s *Store) WriteSkill(ctx context.Context, p *protocol.SkillsConfigWriteParams) (protocol.SkillsConfigWriteResponse, error) {
	var rule SkillRule
	switch {
	case p.Path != nil && !filepath.IsAbs(*p.Path):
		return protocol.SkillsConfigWriteResponse{}, protocol.Invalid(protocol.ReasonInvalidParams, "path must be absolute")
	case p.Path != nil && p.Name == nil:
		rule.Path = filepath.Clean(*p.Path)
	case p.Path == nil && p.Name != nil:
		rule.Name = strings.TrimSpace(*p.Name)
	}
	if rule == (SkillRule{}) {
		return protocol.SkillsConfigWriteResponse{}, protocol.Errorf(protocol.CodeInvalidParams, protocol.ReasonInvalidParams, "skills/config/write wants either a path or a name")
	}
	_, err := s.change(ctx, nil, func(now *Config) []edit {
		have, want := now.layers.user.get("skills").get("config"), now.skillRules(rule, p.Enabled)
		if same(have, want) {
			return nil
		}
		return []edit{{path: []string{"skills", "config"}, value: want, merge: protocol.MergeReplace}}
	})
	return protocol.SkillsConfigWriteResponse{EffectiveEnabled: p.Enabled}, err
}

// skillRules is the file's list of rules with the skills of another one switched
// on or off; nil for an empty list.
func (c *Config) skillRules(rule SkillRule, on bool) *node {
	r := reader{userHome: UserHome(c.layers.options.Getenv)}
	src := &source{name: nameEdit, broken: -1}
	list := &node{kind: kindList, src: src}
	if old := c.layers.user.get("skills").get("config"); old != nil {
		list.items = slices.Clone(old.items)
	}
	list.items = slices.DeleteFunc(list.items, func(item *node) bool {
		have, ok := r.skillRule(item)
		return ok && have.Path == rule.Path && have.Name == rule.Name
	})
	if !on {
		t := newTable(src)
		for _, m := range [...]struct{ key, text string }{{"path", rule.Path}, {"name", rule.Name}} {
			if m.text != "" {
				t.put(m.key, &node{kind: kindText, text: m.text, src: src})
			}
		}
		t.put("enabled", &node{kind: kindBool, src: src})
		list.items = append(list.items, t)
	}
	if len(list.items) == 0 {
		return nil
	}
	return list
}
