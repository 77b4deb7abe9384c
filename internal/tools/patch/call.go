package patch

import (
	"path/filepath"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// maxScript bounds the shell scripts that are looked at, in bytes.
const maxScript = maxPatch

// Call is an apply_patch call found in a command. Dir is the folder of a "cd"
// before it, as written, or "".
type Call struct {
	Patch string
	Dir   string
}

// callNames are the names under which models call the tool.
func callName(s string) bool { return s == "apply_patch" || s == "applypatch" }

// FindCall reports whether a command is nothing but an apply_patch call: the
// tool with the patch as its only argument, or a POSIX shell with a script for
// which FindScript holds. A command that does more is left to the shell.
func FindCall(argv []string) (Call, bool) {
	switch {
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
// before it. The patch is taken as it stands in the script: an unquoted heredoc
// is not expanded, since a "$" in it is meant for the file.
func FindScript(script string) (Call, bool) {
	if len(script) > maxScript || !strings.Contains(script, "apply") || !strings.Contains(script, "patch") {
		return Call{}, false
	}
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil || len(f.Stmts) != 1 || !simple(f.Stmts[0]) {
		return Call{}, false
	}
	stmt, dir := f.Stmts[0], ""
	if and, ok := stmt.Cmd.(*syntax.BinaryCmd); ok {
		if and.Op != syntax.AndStmt || len(stmt.Redirs) > 0 || !simple(and.X) || !simple(and.Y) {
			return Call{}, false
		}
		if dir, ok = changeDir(and.X); !ok {
			return Call{}, false
		}
		stmt = and.Y
	}
	text, ok := patchOf(stmt, script)
	return Call{Patch: text, Dir: dir}, ok
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

// patchOf returns the patch that a statement hands to the tool.
func patchOf(s *syntax.Stmt, script string) (string, bool) {
	words, ok := words(s)
	if !ok || !callName(words[0]) {
		return "", false
	}
	switch {
	case len(words) == 2 && len(s.Redirs) == 0:
		return words[1], true
	case len(words) != 1 || len(s.Redirs) != 1:
		return "", false
	}
	r := s.Redirs[0]
	if r.N != nil || r.Hdoc == nil || (r.Op != syntax.Hdoc && r.Op != syntax.DashHdoc) {
		return "", false
	}
	from, to := int(r.Hdoc.Pos().Offset()), int(r.Hdoc.End().Offset())
	if from > to || to > len(script) {
		return "", false
	}
	// The parser counts the closing word in: the patch ends with the line before.
	text := script[from:to]
	text = text[:strings.LastIndexByte(text, '\n')+1]
	if r.Op == syntax.DashHdoc {
		lines := strings.Split(text, "\n")
		for i, l := range lines {
			lines[i] = strings.TrimLeft(l, "\t")
		}
		text = strings.Join(lines, "\n")
	}
	return text, true
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

// IsBare reports whether a script is the text of a patch itself, with no call
// of the tool around it: a shell would make nonsense of it.
func IsBare(script string) bool { return strings.HasPrefix(strings.TrimSpace(script), markBegin) }
