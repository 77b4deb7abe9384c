package fake

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/txtar"
)

// Story is one conversation with the server, read from a txtar file. The format
// is described in testdata/scripts/README.md.
type Story struct {
	Path string
	Doc  string // the prose at the top
	// Only is "", "process" or "child": the one mode that the story runs in.
	Only string
	// Stores and Shows name secrets that may be found in files, and on stdout.
	Stores, Shows map[string]bool
	// Unchecked names checks that are left out: turns, answers, items.
	Unchecked map[string]bool

	files    map[string]string // by path, home/..., project/... or system/...
	env      []string
	args     []string
	replies  string
	provider []string // lines of the provider section; nil for none
	repliesL int      // line number of the first line of replies
	lines    []storyLine
	secrets  []secret
	raw      []string // the file's lines, for -update
}

// storyLine is one directive of the script.
type storyLine struct {
	file  string
	no    int // from 1
	count int // lines of the file that it spans
	text  string
}

func (l storyLine) String() string { return fmt.Sprintf("%s:%d: %s", l.file, l.no, l.text) }

// secret is a text that must not leak.
type secret struct{ name, value string }

// minSecret is the shortest secret worth searching for; shorter ones would be
// found by chance.
const minSecret = 8

// defaultConfig is the config.toml of stories that bring none. The two extra
// sections of a story go where %s stands.
const defaultConfig = `model = "mock-model"
model_provider = "mock"
approval_policy = "never"
sandbox_mode = "read-only"
%s
[model_providers.mock]
name = "Mock"
base_url = "${backend}/v1"
wire_api = "responses"
requires_openai_auth = true
request_max_retries = 0
stream_max_retries = 0
%s`

// ReadStory reads a story and what it includes.
func ReadStory(path string) (*Story, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("story: %w", err)
	}
	s := &Story{Path: path, Stores: map[string]bool{}, Shows: map[string]bool{}, Unchecked: map[string]bool{},
		files: map[string]string{}, raw: strings.Split(string(data), "\n")}
	archive := txtar.Parse(data)
	if err := s.head(string(archive.Comment)); err != nil {
		return nil, fmt.Errorf("story: %s: %w", path, err)
	}
	var top, provider string
	for _, f := range archive.Files {
		text := string(f.Data)
		switch {
		case f.Name == "config/top":
			top = text
		case f.Name == "config/provider":
			provider = text
		case f.Name == "config.toml" || f.Name == "auth.json":
			s.files["home/"+f.Name] = text
		case strings.HasPrefix(f.Name, "home/") || strings.HasPrefix(f.Name, "project/") || strings.HasPrefix(f.Name, "system/"):
			s.files[f.Name] = text
		case f.Name == "env":
			s.env = nonEmptyLines(text)
		case f.Name == "args":
			s.args = nonEmptyLines(text)
		case f.Name == "backend":
			s.replies, s.repliesL = text, s.sectionLine(f.Name)
		case f.Name == "provider":
			s.provider = append(nonEmptyLines(text), "ready")
		case f.Name == "script":
			err = s.script(path, text, s.sectionLine(f.Name))
		default:
			err = fmt.Errorf("unknown section %q", f.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("story: %s: %w", path, err)
		}
	}
	if _, ok := s.files["home/config.toml"]; !ok {
		s.files["home/config.toml"] = fmt.Sprintf(defaultConfig, top, provider)
	}
	if len(s.lines) == 0 {
		return nil, fmt.Errorf("story: %s: no script", path)
	}
	return s, nil
}

// head reads the prose at the top and its marked lines.
func (s *Story) head(text string) error {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		words := strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ',' })
		switch key {
		case "only":
			mode, reason, _ := strings.Cut(value, " ")
			if mode != "process" && mode != "child" || strings.TrimSpace(reason) == "" {
				return fmt.Errorf("%q: want process or child, and the reason", line)
			}
			s.Only = mode
		case "stores":
			mark(s.Stores, words)
		case "shows":
			mark(s.Shows, words)
		case "unchecked":
			mark(s.Unchecked, words)
		default:
			s.Doc += line
		}
	}
	return nil
}

func mark(set map[string]bool, words []string) {
	for _, w := range words {
		set[w] = true
	}
}

func nonEmptyLines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// sectionLine returns the number of the first line inside a section.
func (s *Story) sectionLine(name string) int {
	for i, line := range s.raw {
		if strings.TrimSpace(line) == "-- "+name+" --" {
			return i + 2
		}
	}
	return 0
}

// script splits a script into directives. Lines that begin with white space go
// on with the one before; # begins a remark.
func (s *Story) script(file, text string, first int) error {
	for i, line := range strings.Split(text, "\n") {
		body := strings.TrimSpace(line)
		if body == "" || strings.HasPrefix(body, "#") {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			if len(s.lines) == 0 {
				return fmt.Errorf("line %d continues nothing", first+i)
			}
			last := &s.lines[len(s.lines)-1]
			last.text += " " + body
			last.count = first + i - last.no + 1
			continue
		}
		if err := s.directive(storyLine{file: file, no: first + i, count: 1, text: body}); err != nil {
			return fmt.Errorf("line %d: %w", first+i, err)
		}
	}
	return s.takeSecrets()
}

// directive adds a line, or the lines of the file it includes.
func (s *Story) directive(l storyLine) error {
	name, ok := strings.CutPrefix(l.text, "include ")
	if !ok {
		s.lines = append(s.lines, l)
		return nil
	}
	path := filepath.Join(filepath.Dir(s.Path), "include", strings.TrimSpace(name)+".txt")
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("include: %w", err)
	}
	return s.script(path, string(data), 1)
}

// takeSecrets moves token and secret lines out of the script: they are known
// from the start, wherever they stand. The first of a name counts, so that a
// story can say what an included token is.
func (s *Story) takeSecrets() error {
	rest := s.lines[:0]
	for _, l := range s.lines {
		verb, args, _ := strings.Cut(l.text, " ")
		if verb != "token" && verb != "secret" {
			rest = append(rest, l)
			continue
		}
		name, value, _ := strings.Cut(strings.TrimSpace(args), " ")
		value = strings.TrimSpace(value)
		if verb == "token" {
			var err error
			if value, err = buildToken(name, value); err != nil {
				return fmt.Errorf("line %d: token %s: %w", l.no, name, err)
			}
		}
		if len(value) < minSecret {
			return fmt.Errorf("line %d: %s %s is shorter than %d bytes", l.no, verb, name, minSecret)
		}
		if _, known := s.secret(name); !known {
			s.secrets = append(s.secrets, secret{name, value})
		}
	}
	s.lines = rest
	return nil
}

func (s *Story) secret(name string) (string, bool) {
	for _, known := range s.secrets {
		if known.name == name {
			return known.value, true
		}
	}
	return "", false
}
