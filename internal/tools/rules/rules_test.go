package rules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	word := func(s string) []string { return []string{s} }
	for _, test := range []struct {
		name, text string
		want       []Rule
		err        string
	}{
		{name: "empty", text: "# nothing\n\n"},
		{name: "default decision", text: `prefix_rule(pattern=["git"])`, want: []Rule{{Pattern: [][]string{word("git")}, Decision: Allow}}},
		{name: "all arguments", text: "prefix_rule(\n    pattern = [\"git\", ['pull', 'fetch'],],  # a comment\n    decision = \"prompt\",\n    justification = 'why',\n    match = [\"git pull\", [\"git\", \"fetch\"]],\n    not_match = [],\n)\n",
			want: []Rule{{Pattern: [][]string{word("git"), {"pull", "fetch"}}, Decision: Prompt, Justification: "why"}}},
		{name: "names and sums", text: "A = ['git']\nB = A + ['pu' + \"ll\"]; prefix_rule(pattern=(B), decision='forbidden')",
			want: []Rule{{Pattern: [][]string{word("git"), word("pull")}, Decision: Forbidden}}},
		{name: "texts", text: `prefix_rule(pattern=["a\"\\\n\t\x01\u00e9", r'\d', """x
y""", '\'', 'a\
b'])`, want: []Rule{{Pattern: [][]string{word("a\"\\\n\t\x01é"), word(`\d`), word("x\ny"), word("'"), word("ab")}, Decision: Allow}}},
		{name: "other calls", text: "network_rule(host=\"x.org\", decision=\"allow\")\nhost_executable(name=\"git\", paths=[\"/usr/bin/git\"])\n"},

		{name: "pattern of a wrong type", text: "\nprefix_rule(pattern=\"git\")", err: "line 2: pattern must be a list that is not empty"},
		{name: "no pattern", text: "prefix_rule(decision='allow')", err: "line 1: pattern must be a list that is not empty"},
		{name: "empty choice", text: "prefix_rule(pattern=['a', []])", err: "line 1: part 2 of pattern must be a text or a list of texts"},
		{name: "number", text: "prefix_rule(pattern=7)", err: "line 1: this is not understood"},
		{name: "unknown decision", text: "prefix_rule(pattern=['a'], decision='maybe')", err: "line 1: decision must be allow, prompt or forbidden"},
		{name: "loop", text: "for x in ['a']:\n    prefix_rule(pattern=[x])", err: "line 1: only calls and plain values are understood"},
		{name: "unknown name", text: "\n\nprefix_rule(pattern=X)", err: "line 3: the name X has no value"},
		{name: "open text", text: "prefix_rule(pattern=['a", err: "line 1: a text has no end"},
		{name: "open call", text: "prefix_rule(pattern=['a']", err: "line 1: this is not understood"},
		{name: "unlike terms", text: "A = 'a' + ['b']", err: "line 1: a text and a list cannot be added"},
		{name: "unlike terms before others", text: "A = 'a' + ['b']\n\n", err: "line 1: a text and a list cannot be added"},
		{name: "doubled", text: "A = 'aaaaaaaaaaaaaaaa'\n" + strings.Repeat("A = A + A\n", 100), err: "line 18: a text is too long"},
		{name: "list doubled", text: "A = ['a']\n" + strings.Repeat("A = A + A\n", 100), err: "line 22: a list is too long"},
		{name: "deep", text: "A = " + strings.Repeat("[", 100), err: "line 1: lists are nested too deep"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Parse(test.text)
			problem := ""
			if err != nil {
				problem = err.Error()
			}
			if problem != test.err {
				t.Errorf("error %q, want %q", problem, test.err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	rules, err := Parse(`prefix_rule(pattern=["git"])
prefix_rule(pattern=["git", ["push", "pull"]], decision="prompt")
prefix_rule(pattern=["git", "push", "--force"], decision="forbidden")
prefix_rule(pattern=["rm"], decision="forbidden")`)
	if err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]Decision{
		"git": Allow, "git log": Allow, "git pull": Prompt, "git push --force x": Forbidden, "git log push": Allow, "gitk": None, "ls": None,
		"/usr/bin/git log": Allow, "/project/git log": None, "./git log": None, "/project/rm x": Forbidden, "./rm": Forbidden,
	} {
		if r, _ := (Set{Rules: rules}).Match(strings.Fields(command)); r.Decision != want {
			t.Errorf("%s: decision %d, want %d", command, r.Decision, want)
		}
	}
	if _, ok := (Set{Rules: rules}).Match(nil); ok {
		t.Error("a rule fits nothing")
	}
}

func TestAllow(t *testing.T) {
	home := t.TempDir()
	b := Open(home)
	if s := b.Load(); len(s.Rules)+len(s.Problems) != 0 {
		t.Fatalf("rules in an empty home: %+v", s)
	}
	for _, words := range [][]string{{"touch", "x y"}, {"touch", "x y"}, {"a\"b\\c", "d\n\x01é"}} {
		if err := b.Allow(words); err != nil {
			t.Fatal(err)
		}
	}
	for _, words := range [][]string{nil, {}, {""}, {"a", ""}} {
		if b.Allow(words) == nil {
			t.Errorf("a rule was made of %q", words)
		}
	}
	file := filepath.Join(home, "rules", "default.rules")
	got, err := os.ReadFile(file)
	want := `prefix_rule(pattern=["touch", "x y"], decision="allow")` + "\n" + `prefix_rule(pattern=["a\"b\\c", "d\n\x01é"], decision="allow")` + "\n"
	if err != nil || string(got) != want {
		t.Fatalf("%v\n%s", err, got)
	}
	if r, ok := b.Load().Match([]string{"a\"b\\c", "d\n\x01é", "more"}); !ok || r.Decision != Allow {
		t.Error("the rule does not hold")
	}

	// The user's own last line may have no end.
	if err := os.WriteFile(file, []byte("# mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Allow([]string{"ls"}); err != nil {
		t.Fatal(err)
	}
	if s := b.Load(); len(s.Rules) != 1 || len(s.Problems) != 0 {
		t.Errorf("%+v", s)
	}
}

func TestBadFile(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, "rules")
	if err := os.MkdirAll(filepath.Join(dir, "folder.rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	const good = `prefix_rule(pattern=["ls"])
prefix_rule(pattern=["rm"], decision="forbidden")`
	for name, text := range map[string]string{"a.rules": "nonsense", "b.rules": good, "c.txt": "nonsense"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := Open(home).Load() // what is understood and restricts holds, what allows does not
	if len(s.Rules) != 1 || s.Rules[0].Decision != Forbidden || len(s.Problems) != 2 || !strings.Contains(s.Problems[0], "a.rules") || !strings.Contains(s.Problems[0], "line 1") {
		t.Errorf("%+v", s)
	}
}

// TestUnreadableFolder: rules that cannot be looked for may be there.
func TestUnreadableFolder(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "rules"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := Open(home).Load(); len(s.Problems) != 1 {
		t.Errorf("%+v", s)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("prefix_rule(pattern=[\"a\", ['b']], decision='prompt')\nA = 'x' + r\"\\d\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := Parse(text)
		for _, r := range rules {
			if err != nil || len(r.Pattern) == 0 || r.Decision == None {
				t.Errorf("rule %+v, error %v", r, err)
			}
		}
	})
}

func FuzzQuote(f *testing.F) {
	f.Add("a\"b\\c\n\x00\x7fé")
	f.Fuzz(func(t *testing.T, word string) {
		word = strings.ToValidUTF8(word, "?")
		if word == "" {
			return
		}
		rules, err := Parse(line([]string{word}))
		if err != nil || len(rules) != 1 || rules[0].Pattern[0][0] != word {
			t.Errorf("%q: %v, %+v", word, err, rules)
		}
	})
}
