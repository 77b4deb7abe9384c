package skills

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func matter(lines string) string { return "---\n" + lines + "---\nBody.\n" }

// place is a home, a user's home and a project, with true paths.
type place struct{ home, user, project string }

func newPlace(t testing.TB) place {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return place{filepath.Join(dir, "home"), filepath.Join(dir, "user"), filepath.Join(dir, "project")}
}

func (p place) list(t testing.TB, params *protocol.SkillsListParams, off ...string) []protocol.SkillsListEntry {
	t.Helper()
	l := NewLister(Options{Home: p.home, UserHome: p.user, Cwd: p.project})
	r, err := l.List(t.Context(), params, func(string) Settings {
		set := Settings{RootMarkers: []string{".git"}}
		for _, path := range off {
			set.Rules = append(set.Rules, Rule{Path: path})
		}
		return set
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.Data
}

// brief is a list of skills in short.
func brief(e protocol.SkillsListEntry) []string {
	out := []string{}
	for _, s := range e.Skills {
		line := string(s.Scope) + " " + s.Name
		if !s.Enabled {
			line += " off"
		}
		out = append(out, line)
	}
	for _, err := range e.Errors {
		out = append(out, "error "+filepath.Base(filepath.Dir(err.Path))+": "+err.Message)
	}
	return out
}

func TestFrontMatter(t *testing.T) {
	p := newPlace(t)
	long := strings.Repeat("x", maxName+1)
	for name, tt := range map[string]struct{ content, want string }{
		"plain":       {matter("name: n\ndescription: d\n"), `n|d|`},
		"short":       {matter("name: n\ndescription: d\nmetadata:\n  short-description: s\n  other: [1]\nallowed-tools: [a, b]\n"), `n|d|s`},
		"folded":      {matter("name: \"a  b\"\ndescription: >\n  one\n  two\n"), `a b|one two|`},
		"literal":     {matter("name: n\ndescription: |\n  one\n  two: x\n"), `n|one two: x|`},
		"colon":       {matter("name: n\ndescription: Use this: when it's needed\n"), `n|Use this: when it's needed|`},
		"bracket":     {matter("name: [n\ndescription: d\n"), `[n|d|`},
		"number":      {matter("name: 7\ndescription: true\n"), `7|true|`},
		"no name":     {matter("description: d\n"), `no name|d|`},
		"crlf":        {"---\r\nname: n\r\ndescription: d\r\n---\r\n", `n|d|`},
		"mark":        {"\uFEFF" + matter("name: n\ndescription: d\n"), `n|d|`},
		"no fence":    {"name: n\n", "there is no front matter between two lines of ---"},
		"late fence":  {"\n" + matter("name: n\n"), "there is no front matter between two lines of ---"},
		"open fence":  {"---\nname: n\ndescription: d\n", "there is no front matter between two lines of ---"},
		"empty":       {"", "there is no front matter between two lines of ---"},
		"undescribed": {matter("name: n\n"), "the front matter has no `description`"},
		"null":        {matter("name: n\ndescription: ~\n"), "the front matter has no `description`"},
		"list":        {matter("name: n\ndescription: [a]\nx: [\n"), "the front matter is not valid YAML (line 3)"},
		"no map":      {matter("- a\n"), "the front matter is not valid YAML (line 1)"},
		"bad bytes":   {matter("name: \xff\ndescription: d\n"), "the front matter is not valid UTF-8"},
		"long name":   {matter("name: " + long + "\ndescription: d\n"), "the name is longer than 64 characters"},
		"long text":   {matter("name: n\ndescription: " + strings.Repeat("x", maxDescription+1) + "\n"), "the description is longer than 8192 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(p.home, name, fileName)
			write(t, path, tt.content)
			got := ""
			if s, err := readSkill(path); err != nil {
				got = err.Error()
			} else {
				got = s.Name + "|" + s.Description + "|"
				if s.ShortDescription != nil {
					got += *s.ShortDescription
				}
			}
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func FuzzFrontMatter(f *testing.F) {
	f.Add(matter("name: n\ndescription: Use this: now\nmetadata: {short-description: x}\n"))
	f.Add("---\n&a [*a, *a]\n---\n")
	path := filepath.Join(f.TempDir(), fileName)
	f.Fuzz(func(t *testing.T, content string) {
		write(t, path, content)
		s, err := readSkill(path)
		if err == nil && (s.Name == "" || s.Description == "" || strings.ContainsAny(s.Description, "\n\r")) {
			t.Errorf("%+v", s)
		}
	})
}

func TestScopesAndOrder(t *testing.T) {
	p := newPlace(t)
	skill := func(name string) string { return matter("name: " + name + "\ndescription: d\n") }
	write(t, p.home+"/skills/b/SKILL.md", skill("b"))
	write(t, p.home+"/skills/a/x/SKILL.md", skill("a"))
	write(t, p.home+"/skills/a2/SKILL.md", skill("a"))
	write(t, p.home+"/skills/SKILL.md", skill("top"))
	write(t, p.home+"/skills/.hidden/SKILL.md", skill("hidden"))
	write(t, p.home+"/skills/lower/skill.md", skill("lower"))
	write(t, p.home+"/skills/.system/s/SKILL.md", skill("s"))
	write(t, p.user+"/.agents/skills/u/SKILL.md", skill("u"))
	write(t, p.project+"/.git/HEAD", "")
	write(t, p.project+"/.codex/skills/pc/SKILL.md", skill("pc"))
	write(t, p.project+"/.agents/skills/pa/SKILL.md", skill("pa"))
	write(t, p.project+"/sub/.agents/skills/sub/SKILL.md", skill("sub"))
	write(t, p.project+"/sub/.agents/skills/bad/SKILL.md", "")
	deep := p.home + "/skills"
	for i := range 8 {
		deep += fmt.Sprintf("/d%d", i)
		write(t, deep+"/SKILL.md", skill(fmt.Sprintf("deep%d", i)))
	}
	user := []string{"user a", "user a", "user b off", "user deep0", "user deep1", "user deep2", "user deep3", "user deep4", "user deep5", "user top", "user u", "system s"}
	got := p.list(t, &protocol.SkillsListParams{Cwds: []string{p.project + "/sub", "", "none"}}, p.home+"/skills/b/SKILL.md", "/none")
	want := [][]string{
		append(append([]string{"repo pa", "repo pc", "repo sub"}, user...), "error bad: there is no front matter between two lines of ---"),
		append([]string{"repo pa", "repo pc"}, user...),
		append([]string{"repo pa", "repo pc"}, user...),
	}
	for i := range got {
		if diff := cmp.Diff(want[i], brief(got[i])); diff != "" {
			t.Errorf("%q: %s", got[i].Cwd, diff)
		}
	}

	// In the user's home the user's own skills are not a project's.
	got = p.list(t, &protocol.SkillsListParams{Cwds: []string{p.user}})
	if diff := cmp.Diff("user u", brief(got[0])[10]); diff != "" {
		t.Error(diff, brief(got[0]))
	}
	extra := protocol.SkillsListExtraRoots{Cwd: p.user, ExtraUserRoots: []string{p.project + "/sub/.agents"}}
	got = p.list(t, &protocol.SkillsListParams{Cwds: []string{p.user, p.project}, PerCwdExtraUserRoots: []protocol.SkillsListExtraRoots{extra}})
	if text := fmt.Sprint(brief(got[0])); !strings.Contains(text, "user sub") || strings.Contains(fmt.Sprint(brief(got[1])), "sub") {
		t.Error(text)
	}
	extra.ExtraUserRoots = []string{"relative"}
	if _, err := NewLister(Options{Home: p.home, Cwd: p.project}).List(t.Context(), &protocol.SkillsListParams{PerCwdExtraUserRoots: []protocol.SkillsListExtraRoots{extra}}, nil); err == nil {
		t.Error("a relative folder was taken")
	}
}

func TestLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need rights there")
	}
	p := newPlace(t)
	write(t, p.user+"/elsewhere/x/SKILL.md", matter("name: x\ndescription: d\n"))
	write(t, p.home+"/skills/y/SKILL.md", matter("name: y\ndescription: d\n"))
	for from, to := range map[string]string{
		"linked": p.user + "/elsewhere", "again": p.home + "/skills/y", "loop": p.home + "/skills", "lost": "/none",
	} {
		if err := os.Symlink(to, p.home+"/skills/"+from); err != nil {
			t.Fatal(err)
		}
	}
	// A link of a project does not make the user's skill the project's.
	if err := os.MkdirAll(p.project+"/.agents", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(p.home+"/skills", p.project+"/.agents/skills"); err != nil {
		t.Fatal(err)
	}
	got := p.list(t, &protocol.SkillsListParams{})
	if diff := cmp.Diff([]string{"user x", "user y"}, brief(got[0])); diff != "" {
		t.Error(diff)
	}
	if path := got[0].Skills[0].Path; path != p.user+"/elsewhere/x/SKILL.md" {
		t.Error(path)
	}
}

func TestInterface(t *testing.T) {
	p := newPlace(t)
	dir := filepath.Join(p.home, "skills", "i")
	write(t, dir+"/SKILL.md", matter("name: i\ndescription: d\n"))
	s := func(v string) *string { return &v }
	for content, want := range map[string]*protocol.SkillInterface{
		"interface:\n  display_name: Nice\n  icon_small: ./assets/a.svg\n  icon_large: assets/b/c.svg\n  brand_color: \"#00ffAA\"\n  default_prompt: p\n": {
			DisplayName: s("Nice"), IconSmall: s(dir + "/assets/a.svg"), IconLarge: s(dir + "/assets/b/c.svg"), BrandColor: s("#00ffAA"), DefaultPrompt: s("p"),
		},
		"interface:\n  short_description: s\n  icon_small: ../a.svg\n  icon_large: /etc/passwd\n  brand_color: red\n": {ShortDescription: s("s")},
		"interface:\n  icon_small: assets/../../a\n":                                                                  nil,
		"interface: [\n": nil,
		"":               nil,
	} {
		write(t, dir+"/agents/openai.yaml", content)
		read, err := readSkill(dir + "/SKILL.md")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, read.Interface); diff != "" {
			t.Errorf("%q: %s", content, diff)
		}
	}
}
