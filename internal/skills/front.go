package skills

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"app-server/internal/plainfile"
	"app-server/protocol"
)

const (
	// maxFileBytes is how much of a file is read. Front matter stands at the top.
	maxFileBytes = 256 << 10
	// maxName and maxDescription are in characters. The reference 0.125.0 bounds
	// descriptions at 1024; later ones take longer ones, and people write them.
	maxName        = 64
	maxDescription = 8 << 10
)

// fence is the line above and below the front matter.
const fence = "---"

// front is the front matter of a SKILL.md. Scalars are read as texts whatever
// they look like.
type front struct {
	Name        text `yaml:"name"`
	Description text `yaml:"description"`
	Metadata    struct {
		ShortDescription text `yaml:"short-description"`
	} `yaml:"metadata"`
}

// text is a scalar as it is written, on one line.
type text string

// UnmarshalYAML takes scalars of all types and refuses lists and maps.
func (t *text) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: expected a text", n.Line)
	}
	if n.Tag != "!!null" {
		*t = text(strings.Join(strings.Fields(n.Value), " "))
	}
	return nil
}

// or is t as a pointer, nil where it is empty.
func (t text) or() *string {
	if t == "" {
		return nil
	}
	s := string(t)
	return &s
}

// Skill is a skill as its files describe it.
type Skill struct {
	protocol.SkillMetadata
	// Quiet is set where the model must not choose the skill by itself. The user
	// may still name it.
	Quiet bool
}

// readSkill reads a SKILL.md. The error says what is wrong with it, without the
// path and without quoting the file.
func readSkill(path string) (Skill, error) {
	var none Skill
	content, _, err := readFile(path)
	if err != nil {
		return none, err
	}
	matter, ok := frontMatter(content)
	if !ok {
		return none, errors.New("there is no front matter between two lines of ---")
	}
	var f front
	if err := unmarshal(matter, &f); err != nil {
		return none, err
	}
	switch {
	case f.Description == "":
		return none, errors.New("the front matter has no `description`")
	case utf8.RuneCountInString(string(f.Description)) > maxDescription:
		return none, fmt.Errorf("the description is longer than %d characters", maxDescription)
	case utf8.RuneCountInString(string(f.Name)) > maxName:
		return none, fmt.Errorf("the name is longer than %d characters", maxName)
	}
	if f.Name == "" {
		f.Name = text(filepath.Base(filepath.Dir(path)))
	}
	s := Skill{SkillMetadata: protocol.SkillMetadata{
		Name: string(f.Name), Description: string(f.Description), ShortDescription: f.Metadata.ShortDescription.or(), Path: path,
	}}
	s.readExtras()
	return s, nil
}

// Text is all of the skill's file, and whether it was too long to be read to its
// end.
func (s Skill) Text() (text string, cut bool, err error) {
	if text, cut, err = readFile(s.Path); err != nil {
		return "", false, err
	}
	return strings.ToValidUTF8(text, "\uFFFD"), cut, nil
}

func readFile(path string) (text string, cut bool, err error) {
	b, cut, err := plainfile.Read(path, maxFileBytes)
	if err != nil {
		return "", false, fmt.Errorf("the file could not be read: %w", plainfile.Cause(err))
	}
	return strings.TrimPrefix(string(b), "\uFEFF"), cut, nil
}

// frontMatter is the text between a fence on the first line and the next one.
func frontMatter(content string) (string, bool) {
	first, rest, ok := strings.Cut(content, "\n")
	if !ok || strings.TrimRight(first, " \t\r") != fence {
		return "", false
	}
	var b strings.Builder
	for line := range strings.Lines(rest) {
		if strings.TrimRight(line, " \t\r\n") == fence {
			return b.String(), true
		}
		b.WriteString(line)
	}
	return "", false
}

// unmarshal reads YAML. Names and descriptions are often written without the
// quotes that a colon in them would need; what is no YAML is read once more with
// those of its top level in quotes, as later versions of the reference do.
func unmarshal(matter string, f *front) error {
	if !utf8.ValidString(matter) {
		return errors.New("the front matter is not valid UTF-8")
	}
	if err := yaml.Unmarshal([]byte(matter), f); err == nil {
		return nil
	}
	var b strings.Builder
	for line := range strings.Lines(matter) {
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if ok && (name == "name" || name == "description") && value != "" && strings.IndexByte(`"'|>`, value[0]) < 0 {
			line = name + ": '" + strings.ReplaceAll(value, "'", "''") + "'\n"
		}
		b.WriteString(line)
	}
	*f = front{}
	if err := yaml.Unmarshal([]byte(b.String()), f); err != nil {
		return errors.New("the front matter is not valid YAML" + lineOf(err))
	}
	return nil
}

// lineOf is where in the front matter a YAML error is. The rest of its text may
// quote the file.
func lineOf(err error) string {
	text := err.Error()
	i := strings.Index(text, "line ")
	if i < 0 {
		return ""
	}
	digits := text[i+len("line "):]
	end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	if end <= 0 {
		return ""
	}
	return " (line " + digits[:end] + ")"
}

// readExtras reads agents/openai.yaml beside a SKILL.md: how the skill wants to
// be shown and used. A file that is not there or cannot be read says nothing.
func (s *Skill) readExtras() {
	dir := filepath.Dir(s.Path)
	content, _, err := readFile(filepath.Join(dir, "agents", "openai.yaml"))
	if err != nil {
		return
	}
	var in struct {
		Interface struct {
			DisplayName      text `yaml:"display_name"`
			ShortDescription text `yaml:"short_description"`
			IconSmall        text `yaml:"icon_small"`
			IconLarge        text `yaml:"icon_large"`
			BrandColor       text `yaml:"brand_color"`
			DefaultPrompt    text `yaml:"default_prompt"`
		} `yaml:"interface"`
		Policy struct {
			Implicit *bool `yaml:"allow_implicit_invocation"`
		} `yaml:"policy"`
	}
	if yaml.Unmarshal([]byte(content), &in) != nil {
		return
	}
	s.Quiet = in.Policy.Implicit != nil && !*in.Policy.Implicit
	f := in.Interface
	out := protocol.SkillInterface{
		DisplayName: f.DisplayName.or(), ShortDescription: f.ShortDescription.or(),
		IconSmall: icon(dir, f.IconSmall), IconLarge: icon(dir, f.IconLarge),
		DefaultPrompt: f.DefaultPrompt.or(),
	}
	if isColor(string(f.BrandColor)) {
		out.BrandColor = f.BrandColor.or()
	}
	if out != (protocol.SkillInterface{}) {
		s.Interface = &out
	}
}

// icon is the absolute path of a picture in the skill's assets folder. Parents
// open it, so nothing else may be named.
func icon(dir string, name text) *string {
	if name == "" || !filepath.IsLocal(string(name)) {
		return nil
	}
	rel := filepath.Clean(string(name))
	if first, _, ok := strings.Cut(filepath.ToSlash(rel), "/"); !ok || first != "assets" {
		return nil
	}
	path := filepath.Join(dir, rel)
	return &path
}

// isColor reports whether s is a color such as #1a2b3c.
func isColor(s string) bool {
	if len(s) != 7 || s[0] != '#' {
		return false
	}
	return strings.Trim(s[1:], "0123456789abcdefABCDEF") == ""
}
