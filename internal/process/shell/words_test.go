package shell

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want [][]string // nil: more than a plain list
	}{
		{"ls -la", [][]string{{"ls", "-la"}}},
		{"a && b || c; d | e\nf # g", [][]string{{"a"}, {"b"}, {"c"}, {"d"}, {"e"}, {"f"}}},
		{`a 'b c' "d e" f\ g "h\"i" 'j'"k"l`, [][]string{{"a", "b c", "d e", "f g", `h"i`, "jkl"}}},
		{`a "b\c" '' \$x`, [][]string{{"a", `b\c`, "", "$x"}}},
		{"a \\\n b", [][]string{{"a", "b"}}},
		{"ls ~/x src/*.go ./*", [][]string{{"ls", "~/x", "src/*.go", "./*"}}},
		{`find . -name '*.go' -o -name "{a,b}"`, [][]string{{"find", ".", "-name", "*.go", "-o", "-name", "{a,b}"}}},
		{"find . -x {}", [][]string{{"find", ".", "-x", "{}"}}},
		{`ls "x"* \*`, [][]string{{"ls", "x*", "*"}}},
		{text: ""}, {text: "# only"}, {text: "ls *"}, {text: "ls [a]"}, {text: `ls ""*`}, {text: `ls "-"*`}, {text: "ls -*"}, {text: "*"}, {text: `"" a`},
		{text: "ls > x"}, {text: "ls 2>&1"}, {text: "ls < x"}, {text: "cat <<E\nE"}, {text: "cat <<<x"}, {text: "ls &"}, {text: "! ls"},
		{text: "ls $x"}, {text: `ls "$x"`}, {text: "ls `x`"}, {text: `ls "$(x)"`}, {text: "ls $((1))"}, {text: "ls <(x)"}, {text: "ls $'x'"}, {text: `ls $"x"`},
		{text: "A=b ls"}, {text: "A=b"}, {text: "export A=b"}, {text: "(ls)"}, {text: "{ ls; }"}, {text: "if a; then b; fi"}, {text: "f() { ls; }"},
		{text: "time ls"}, {text: "[[ a ]]"}, {text: "((1))"}, {text: "coproc ls"}, {text: "ls |& cat"}, {text: "ls |"}, {text: `ls "`},
		{text: "find . -{delete,x}"}, {text: "ls {1..3}"}, {text: "ls {},x}"}, {text: "=ls"}, {text: "ls =x"}, {text: "ls @(a)"}, {text: `ls \`},
		{text: "ls \\\r\nrm x"}, {text: "ls\r# ; rm x"}, {text: "ls\rx"}, {text: "ls\r\n"},
		{text: strings.Repeat("a ", maxScript)},
		{text: strings.Repeat("a|", maxOpeners+1) + "a"},
	}
	for _, test := range tests {
		got, ok := Words(test.text)
		if ok != (test.want != nil) || !cmp.Equal(got, test.want) {
			t.Errorf("%.60q: got %q, %v", test.text, got, ok)
		}
	}
}

// Whatever comes in, nothing panics, and what is called safe is plain.
func FuzzText(f *testing.F) {
	for _, s := range []string{"cd a && cat b | head -n 5", "find . -name x -exec rm {} +", `rg -e "a b" 'c'`, "git -C x branch --list y", "ls {a,b} *", "sed -n 1,2p x", "bash -c 'ls'", "fd -e"} {
		f.Add(s)
	}
	place := Place{Cwd: "/work", Home: "/home/u"}
	f.Fuzz(func(t *testing.T, text string) {
		Actions(text, place)
		words, ok := Words(text)
		if ok && len(words) == 0 {
			t.Fatal("no words")
		}
		for _, w := range words {
			ActionsOf(w, place)
			if len(w) == 0 || w[0] == "" {
				t.Fatalf("no program in %q", text)
			}
			if again, ok := Words(Quote(w)); ok && !cmp.Equal(again, [][]string{w}) {
				t.Fatalf("%q quoted is %q", w, again)
			}
		}
		if _, plain := plainList(text); safeText(text, maxNesting) && !plain {
			t.Fatalf("safe: %q", text)
		}
	})
}

func TestMentions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][][]string{
		"":                      nil,
		"rm x":                  {{"rm", "x"}},
		"A=b rm x > y &":        {{"rm", "x"}},
		"(cd a; ! rm *)":        {{"cd", "a"}, {"rm", "*"}},
		"git push $X":           {{"git", "push"}},
		"echo \"$(rm x)\" | $Y": {{"echo"}, {"rm", "x"}},
		"for a in b; do if rm x; then y; fi; done": {{"rm", "x"}, {"y"}},
		"bash -c 'ls; sh -c \"rm x\"'":             {{"bash", "-c", "ls; sh -c \"rm x\""}, {"ls"}, {"sh", "-c", "rm x"}, {"rm", "x"}},
		"rm 'x":                                    nil,
	} {
		if diff := cmp.Diff(want, Mentions(text)); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}
