package patch

import (
	"path/filepath"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"app-server/internal/process/shell"
)

// Call is an apply_patch call found in a command. Dir is the folder of a "cd"
// before it, as written, or "".
type Call struct {
	Patch string
	Dir   string
}

// callName reports whether a word is a name under which models call the tool.
func callName(s string) bool { return s == "apply_patch" || s == "applypatch" }

// isBare reports whether a text is a patch without a call. A shell must not see
// it: it would run the lines of context as commands.
func isBare(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), markBegin) }

// FindCall reports whether a command is nothing but an apply_patch call: the
// tool with the patch as its only argument, the patch alone, or a POSIX shell
// with a script for which FindScript holds. A command that does more is left to
// the shell.
func FindCall(argv []string) (Call, bool) {
	switch {
	case len(argv) == 1 && isBare(argv[0]):
		return Call{Patch: argv[0]}, true
	case len(argv) == 2 && callName(argv[0]):
		return Call{Patch: argv[1]}, true
	case len(argv) == 3 && shellName(argv[0]) && (argv[1] == "-c" || argv[1] == "-lc"):
		return FindScript(argv[2])
	}
	return Call{}, false
}

// shellName reports whether a program is a shell whose scripts can be read here.
func shellName(program string) bool {
	if i := strings.LastIndexAny(program, `/\`); i >= 0 {
		program = program[i+1:]
	}
	switch strings.TrimSuffix(program, ".exe") {
	case "bash", "zsh", "sh":
		return true
	}
	return false
}

// FindScript reports whether a shell script is nothing but an apply_patch call:
// with a heredoc, or with one quoted argument, and with at most one "cd DIR &&"
// before it; or nothing but a patch. The patch is taken as it stands in the script: an unquoted heredoc
// is not expanded, since a "$" in it is meant for the file.
func FindScript(script string) (Call, bool) {
	if isBare(script) {
		return Call{Patch: script}, true
	}
	if !strings.Contains(script, "apply") || !strings.Contains(script, "patch") {
		return Call{}, false
	}
	if command, body, ok := cutHeredoc(script); ok {
		if c, takes, ok := callOf(command); ok && takes {
			c.Patch = body
			return c, true
		}
	}
	c, takes, ok := callOf(script)
	return c, ok && !takes
}

// heredoc is the beginning of one: a dash that takes tabs away, and the word
// that ends it.
var heredoc = regexp.MustCompile(`<<(-?)[ \t]*(?:'([^'\n]+)'|"([^"\n]+)"|([\w.-]+))`)

// cutHeredoc takes the text out of the first heredoc of a script. What is left is
// the command with an empty heredoc. Only blank lines may follow.
func cutHeredoc(script string) (command, body string, ok bool) {
	at := heredoc.FindStringSubmatchIndex(script)
	if at == nil {
		return "", "", false
	}
	found := func(group int) string {
		if at[2*group] < 0 {
			return ""
		}
		return script[at[2*group]:at[2*group+1]]
	}
	tabs, end := found(1) != "", found(2)+found(3)+found(4) // the word stands in one of them
	line, rest, _ := strings.Cut(script[at[0]:], "\n")
	var b strings.Builder
	for !ok && rest != "" {
		var text string
		text, rest, _ = strings.Cut(rest, "\n")
		if tabs {
			text = strings.TrimLeft(text, "\t")
		}
		if ok = text == end; !ok {
			b.WriteString(text + "\n")
		}
	}
	return script[:at[0]] + line + "\n" + end + "\n", b.String(), ok && strings.TrimSpace(rest) == ""
}

// callOf reads a script. takes is whether the patch comes by
// a heredoc, which is not read here.
func callOf(script string) (c Call, takes, ok bool) {
	f, ok := shell.Parse(script)
	if !ok || len(f.Stmts) != 1 || !simple(f.Stmts[0]) {
		return Call{}, false, false
	}
	stmt := f.Stmts[0]
	if and, ok := stmt.Cmd.(*syntax.BinaryCmd); ok {
		if and.Op != syntax.AndStmt || len(stmt.Redirs) > 0 || !simple(and.X) || !simple(and.Y) {
			return Call{}, false, false
		}
		if c.Dir, ok = changeDir(and.X); !ok {
			return Call{}, false, false
		}
		stmt = and.Y
	}
	words, ok := words(stmt)
	if !ok || !callName(words[0]) {
		return Call{}, false, false
	}
	switch {
	case len(words) == 2 && len(stmt.Redirs) == 0:
		c.Patch = words[1]
		return c, false, true
	case len(words) == 1 && len(stmt.Redirs) == 1:
		r := stmt.Redirs[0]
		return c, true, r.N == nil && (r.Op == syntax.Hdoc || r.Op == syntax.DashHdoc)
	}
	return Call{}, false, false
}

// simple reports whether a statement runs in the foreground and as it is.
func simple(s *syntax.Stmt) bool {
	return !s.Negated && !s.Background && !s.Coprocess && !s.Disown
}

// changeDir returns the folder of a "cd DIR".
func changeDir(s *syntax.Stmt) (string, bool) {
	words, ok := words(s)
	if !ok || len(words) != 2 || words[0] != "cd" || len(s.Redirs) > 0 ||
		words[1] == "" || strings.HasPrefix(words[1], "-") {
		return "", false
	}
	return words[1], true
}

// words returns the words of a plain command: at least one, none of which the
// shell would expand.
func words(s *syntax.Stmt) ([]string, bool) {
	c, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(c.Assigns) > 0 || len(c.Args) == 0 {
		return nil, false
	}
	out := make([]string, len(c.Args))
	for i, w := range c.Args {
		if out[i], ok = literal(w); !ok {
			return nil, false
		}
	}
	return out, true
}

// literal returns the value of a word that holds no expansion and no escape.
func literal(w *syntax.Word) (string, bool) {
	var b strings.Builder
	for _, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			if strings.ContainsAny(p.Value, `\*?[{~`) {
				return "", false
			}
			b.WriteString(p.Value)
		case *syntax.SglQuoted:
			if p.Dollar {
				return "", false
			}
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			if p.Dollar {
				return "", false
			}
			for _, q := range p.Parts {
				lit, ok := q.(*syntax.Lit)
				if !ok || strings.Contains(lit.Value, `\`) {
					return "", false
				}
				b.WriteString(lit.Value)
			}
		default:
			return "", false
		}
	}
	return b.String(), true
}

// Workdir returns the folder in which a call's patch applies, when its command
// was to run in cwd.
func (c Call) Workdir(cwd string) string {
	if c.Dir == "" {
		return cwd
	}
	if dir := filepath.FromSlash(c.Dir); filepath.IsAbs(dir) {
		return filepath.Clean(dir)
	}
	return filepath.Join(cwd, filepath.FromSlash(c.Dir))
}
