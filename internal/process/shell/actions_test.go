package shell

import (
	"fmt"
	"strings"
	"testing"
)

// show writes an action in one line: kind, name, path and query, with - for
// what is not there, and the command where it is not the whole text.
func show(actions []Action, text string) string {
	var out []string
	value := func(p *string) string {
		if p == nil {
			return "-"
		}
		return *p
	}
	for _, a := range actions {
		s := string(a.Kind)
		switch a.Kind {
		case Read:
			s += " " + a.Name + " " + value(a.Path)
		case ListFiles:
			s += " " + value(a.Path)
		case Search:
			s += " " + value(a.Query) + " " + value(a.Path)
		}
		if a.Command != text {
			s += fmt.Sprintf(" (%s)", a.Command)
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

// All but the lines marked "ours" were measured with codex app-server 0.125.
func TestActions(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"ls", "listFiles -"},
		{"ls -la src", "listFiles src"},
		{"ls --color=auto -I x src", "listFiles src (ls '--color=auto' -I x src)"},
		{"ls a/dist", "listFiles a"},
		{"ls src/components/", "listFiles components"},
		{"ls /", "listFiles "},
		{"rg foo ./src", "search foo ."},
		{"cat a.txt", "read a.txt /work/a.txt"},
		{"cat ../x", "read x /x"},
		{"cat ~/x", "read x /home/u/x (cat '~/x')"},
		{"cat /etc/hostname", "read hostname /etc/hostname"},
		{"cat a b", "unknown"},
		{"cat", "unknown"},
		{"cat a\\ b", "read a b /work/a b (cat 'a b')"},
		{"head -n 10 a", "read a /work/a"},
		{"tail -n +5 a", "read a /work/a"},
		{"tail -f a", "unknown"},
		{"less +5 a", "unknown"},
		{"grep -e x --regexp=y a", "search x a (grep -e x '--regexp=y' a)"},
		{"sed -n 1,20p a", "read a /work/a (sed -n '1,20p' a)"},
		{"sed -i s/a/b/ a", "unknown"},
		{"nl -ba a | sed -n 1,20p", "read a /work/a"},
		{"awk '{print $1}' a", "read a /work/a"},
		{"awk '{print > \"b\"}' a", "unknown"}, // ours: it writes
		{"bat -p a", "read a /work/a"},
		{"more +3 a", "unknown"},
		{"cat a | head -n 5 | wc -l", "read a /work/a (cat a)"},
		{"cat a | grep foo", "read a /work/a (cat a); search foo - (grep foo)"},
		{"cat a | tee b", "unknown"}, // ours: it writes
		{"rg foo", "search foo -"},
		{"rg -n 'foo bar' src/x", "search foo bar x"},
		{"rg --files -g '*.go' src", "listFiles src"},
		{"rg --files | rg x", "listFiles - (rg --files); search x - (rg x)"},
		{"rg -A 3 -- foo src", "search foo src"},
		{"rg -e foo src", "search foo src"},
		{"rg --regexp=foo src", "search foo src (rg '--regexp=foo' src)"}, // ours
		{"rg -f pats src", "search - src"},                                // ours
		{"rg", "search - -"},
		{"grep -rn foo src lib", "search foo src"},
		{"git grep -n foo -- src", "search foo src"},
		{"git grep -O foo", "unknown"}, // ours: it starts a pager
		{"git ls-files src", "listFiles src"},
		{"git status", "unknown"},
		{"find . -name '*.go' -type f", "search *.go ."},
		{"find -name x", "search x -"}, // ours: no folder is named
		{"find src -type f", "listFiles src"},
		{"find . -delete", "unknown"}, // ours: it acts
		{"fd -t f x src", "search x src"},
		{"fd", "listFiles -"},
		{"fd -x rm", "unknown"}, // ours: it acts
		{"tree -L 2 src", "listFiles src"},
		{"du -d 1 src", "listFiles src"},
		{"cd src", ""},
		{"cd a && cd b && cat x", "read x /work/a/b/x (cat x)"},
		{"cat x && cd /a && cat x", "read x /work/x (cat x); read x /a/x (cat x)"},
		{"cd src && git status", "unknown"},
		{"echo a; echo b; cat x", "read x /work/x (cat x)"},
		{"cat x; echo a", "unknown"},
		{"echo a && echo b", "unknown"},
		{"echo foo | cat", "unknown"},
		{"rg foo || true", "search foo - (rg foo)"},
		{"true", "unknown"},
		{"cat a; cat a; ls; ls", "read a /work/a (cat a); listFiles - (ls)"},
		{"ls | xargs cat", "listFiles - (ls)"},
		{"ls | xargs rm", "unknown"}, // ours: it acts
		{"ls 2>&1", "unknown"},
		{"ls $x", "unknown"},
		{"./ls", "unknown"},
		{"", "unknown"},
	}
	for _, test := range tests {
		if got := show(Actions(test.text, Place{Cwd: "/work", Home: "/home/u"}), test.text); got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.text, got, test.want)
		}
	}
}

func TestActionsOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		argv []string
		want string
	}{
		{[]string{"bash", "-lc", "cat a"}, "read a /work/a (cat a)"},
		{[]string{"cat", "a b"}, "read a b /work/a b (cat 'a b')"},
		{[]string{"go", "test", "./..."}, "unknown (go test ./...)"},
		{nil, "unknown"},
	} {
		if got := show(ActionsOf(test.argv, Place{Cwd: "/work"}), ""); got != test.want {
			t.Errorf("%q: got %s, want %s", test.argv, got, test.want)
		}
	}
}
