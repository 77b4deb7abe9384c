package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"app-server/internal/plainfile"
)

// Decision is what a rule says about a command; the stricter is the greater.
type Decision int

// The decisions. None means that no rule fits.
const (
	None Decision = iota
	Allow
	Prompt
	Forbidden
)

// Rule is one rule. Each element of Pattern lists the words that fit there.
type Rule struct {
	Pattern       [][]string
	Decision      Decision
	Justification string
}

// Set is what the files say. The zero value has no rules.
type Set struct {
	Rules []Rule
	// Problems tells of files that could not be used, in sentences for the user.
	// What they forbid or want to be asked about is not known then, so Rules has no
	// rule that allows something, and the caller must spare no question.
	Problems []string
}

// maxFile bounds a rules file, in bytes; what people write is far smaller.
const maxFile = 1 << 20

// Book is the rules of a home. It is safe for concurrent use.
type Book struct {
	dir string
	// adding keeps two rules from being added into each other.
	adding sync.Mutex
}

// Open returns the rules of a home. It touches nothing.
func Open(home string) *Book { return &Book{dir: filepath.Join(home, "rules")} }

// Load reads the files. It is quick, and done for each command, so that what the
// user or another server has changed holds at once.
func (b *Book) Load() Set {
	var s Set
	problem := func(where string, err error) {
		s.Problems = append(s.Problems, fmt.Sprintf("The command rules in %s cannot be used: %v. Until that is mended, no rule allows a command, and you are asked about each one that does more than look.", where, err))
	}
	entries, err := os.ReadDir(b.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problem(b.dir, plainfile.Cause(err))
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".rules" {
			continue
		}
		file := filepath.Join(b.dir, e.Name())
		rules, err := load(file)
		if err != nil {
			problem(file, err)
		}
		s.Rules = append(s.Rules, rules...)
	}
	if len(s.Problems) > 0 {
		s.Rules = slices.DeleteFunc(s.Rules, func(r Rule) bool { return r.Decision == Allow })
	}
	return s
}

func load(file string) ([]Rule, error) {
	text, more, err := plainfile.Read(file, maxFile)
	if more {
		err = fmt.Errorf("the file is larger than %d bytes", maxFile)
	}
	if err != nil {
		return nil, plainfile.Cause(err)
	}
	return Parse(string(text))
}

// Match returns the strictest rule for a command, given as its words.
func (s Set) Match(words []string) (rule Rule, ok bool) {
	for _, r := range s.Rules {
		if r.Decision > rule.Decision && r.fits(words) {
			rule, ok = r, true
		}
	}
	return rule, ok
}

// systemFolders are where a program is what its bare name says. A project could
// put another one of that name anywhere else.
var systemFolders = []string{"/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/opt/homebrew/bin/"}

func (r Rule) fits(words []string) bool {
	if len(r.Pattern) == 0 || len(words) < len(r.Pattern) {
		return false
	}
	for i, fitting := range r.Pattern {
		if slices.Contains(fitting, words[i]) {
			continue
		}
		// A rule for git holds for /usr/bin/git too; one that restricts holds
		// wherever the program lies.
		dir, name := path.Split(words[0])
		if i > 0 || dir == "" || !slices.Contains(fitting, name) || r.Decision == Allow && !slices.Contains(systemFolders, dir) {
			return false
		}
	}
	return true
}

// Prefix is the words of a command that the rule names, for texts.
func (r Rule) Prefix(words []string) []string { return words[:min(len(r.Pattern), len(words))] }

// Allow adds a rule to rules/default.rules that allows commands that begin with
// these words. A rule that stands there already is not added again. The words
// must not be empty: such a rule would allow everything.
func (b *Book) Allow(words []string) error {
	if len(words) == 0 || slices.Contains(words, "") {
		return errors.New("rules: a rule needs words")
	}
	line := line(words)
	b.adding.Lock()
	defer b.adding.Unlock()
	file := filepath.Join(b.dir, "default.rules")
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("rules: %w", err)
	}
	if slices.Contains(strings.Split(string(old), "\n"), line) {
		return nil
	}
	if len(old) > 0 && old[len(old)-1] != '\n' {
		line = "\n" + line
	}
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	_, err = f.WriteString(line + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	return nil
}

// line is a rule as the reference writes it.
func line(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return "prefix_rule(pattern=[" + strings.Join(quoted, ", ") + `], decision="allow")`
}
