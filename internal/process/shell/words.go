package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// What bounds the texts that are looked into: their length in bytes, and how many
// characters they have that can nest one command in another, each of which may
// cost the parser 4 KiB of stack. Others are treated as more than a plain list; a
// parser's time and stack are not the model's to spend.
const (
	maxScript  = 64 << 10
	maxOpeners = 4 << 10
)

// openers counts the characters of a text that can nest a command in another.
func openers(command string) (n int) {
	for i := range len(command) {
		switch command[i] {
		case '(', '[', '{', '|', '&':
			n++
		}
	}
	return n
}

// simple is one simple command of a plain list.
type simple struct {
	words []string
	// loose is set when an unquoted pattern could expand to a word that
	// begins with a dash, and so to an option: rg x * in a folder that holds
	// a file named --pre=cmd.
	loose bool
	// piped is set when the command reads the output of the one before it.
	piped bool
}

// Words splits a command text into its simple commands, when the text is
// nothing but simple commands of literal words joined by && || ; | or new
// lines. Any redirection, variable, substitution, assignment, background job,
// compound command, or pattern that could turn into an option makes it not
// ok: such a text does more than its words tell.
//
// Patterns that stay, such as src/*.go, are returned as written, and so is a
// leading tilde.
func Words(command string) (commands [][]string, ok bool) {
	list, ok := plainList(command)
	if !ok {
		return nil, false
	}
	for _, c := range list {
		if c.loose {
			return nil, false
		}
		commands = append(commands, c.words)
	}
	return commands, true
}

// Mentions lists the commands that stand anywhere in a text, each as far as its
// words are literal, those of texts that are handed to a shell in it too. It is
// for what restricts commands, and no proof: a text can run more than it says.
func Mentions(command string) [][]string { return mentions(command, maxNesting) }

func mentions(command string, depth int) (commands [][]string) {
	file, ok := Parse(command)
	if !ok || depth == 0 {
		return nil
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok {
			return true
		}
		var words []string
		for _, w := range call.Args {
			word, kind := literal(w)
			if kind == notLiteral {
				break
			}
			words = append(words, word)
		}
		if len(words) > 0 {
			commands = append(commands, words)
		}
		if text, ok := Script(words); ok {
			commands = append(commands, mentions(text, depth-1)...)
		}
		return true
	})
	return commands
}

// Parse reads a command text; it is not ok where that is too long, too deep or no
// text for a shell.
func Parse(command string) (*syntax.File, bool) {
	if len(command) > maxScript || openers(command) > maxOpeners {
		return nil, false
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(command), "")
	return file, err == nil
}

// plainList returns the simple commands of a plain list in the order written.
func plainList(command string) (list []simple, ok bool) {
	// The parser takes a carriage return for a blank, and for a part of a line's
	// end. To a shell it is a part of a word, so that a \ before it ends nothing,
	// and a # behind it begins no comment.
	if strings.Contains(command, "\r") {
		return nil, false
	}
	file, ok := Parse(command)
	if !ok || len(file.Stmts) == 0 {
		return nil, false
	}
	for _, stmt := range file.Stmts {
		if list, ok = appendStmt(list, stmt, false); !ok {
			return nil, false
		}
	}
	return list, true
}

func appendStmt(list []simple, stmt *syntax.Stmt, piped bool) ([]simple, bool) {
	if stmt == nil || stmt.Negated || stmt.Background || stmt.Coprocess || stmt.Disown || len(stmt.Redirs) > 0 {
		return nil, false
	}
	switch cmd := stmt.Cmd.(type) {
	case *syntax.CallExpr:
		c, ok := simpleCommand(cmd)
		if !ok {
			return nil, false
		}
		c.piped = piped
		return append(list, c), true
	case *syntax.BinaryCmd:
		switch cmd.Op {
		case syntax.AndStmt, syntax.OrStmt, syntax.Pipe:
		default: // |& sends standard error along
			return nil, false
		}
		list, ok := appendStmt(list, cmd.X, piped)
		if !ok {
			return nil, false
		}
		return appendStmt(list, cmd.Y, cmd.Op == syntax.Pipe)
	}
	return nil, false
}

func simpleCommand(call *syntax.CallExpr) (c simple, ok bool) {
	if len(call.Assigns) > 0 || len(call.Args) == 0 {
		return c, false
	}
	for i, w := range call.Args {
		word, kind := literal(w)
		switch {
		case kind == notLiteral, kind != exact && i == 0, word == "" && i == 0:
			return c, false
		case kind == pattern && !fixedStart(w):
			c.loose = true
		}
		c.words = append(c.words, word)
	}
	return c, true
}

// wordKind tells how much of a word is known before the shell has run.
type wordKind int

const (
	notLiteral wordKind = iota // the shell puts something else in its place
	exact                      // the word is what the program gets
	pattern                    // file names may take its place
)

// literal returns the text of a word with its quotes removed.
func literal(w *syntax.Word) (text string, kind wordKind) {
	var b strings.Builder
	kind = exact
	for i, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			text, glob, ok := bare(p.Value, i == 0)
			if !ok {
				return "", notLiteral
			}
			if glob {
				kind = pattern
			}
			b.WriteString(text)
		case *syntax.SglQuoted:
			if p.Dollar {
				return "", notLiteral
			}
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			if p.Dollar {
				return "", notLiteral
			}
			for _, inner := range p.Parts {
				lit, ok := inner.(*syntax.Lit)
				if !ok {
					return "", notLiteral
				}
				b.WriteString(unescapeQuoted(lit.Value))
			}
		default: // expansions of any kind
			return "", notLiteral
		}
	}
	return b.String(), kind
}

// bare reads text outside of quotes. Braces expand to several words, so that
// -{exec,name} is an option in disguise; zsh puts a path in the place of
// =name. Neither is literal.
func bare(s string, first bool) (text string, glob, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			i++
			if i == len(s) { // a text that ends in a backslash goes on elsewhere
				return "", false, false
			}
			if s[i] != '\n' {
				b.WriteByte(s[i])
			}
			continue
		case '*', '?', '[':
			glob = true
		case '{':
			if s != "{}" { // find's placeholder stays as it is
				return "", false, false
			}
		case '=':
			if first && i == 0 {
				return "", false, false
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), glob, true
}

// unescapeQuoted reads text inside double quotes, where a backslash counts
// only before a few characters.
func unescapeQuoted(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			switch s[i+1] {
			case '$', '`', '"', '\\':
				i++
			case '\n':
				i++
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// fixedStart tells whether a word with a pattern begins with a character that
// every expansion keeps and that is not a dash.
func fixedStart(w *syntax.Word) bool {
	lit, ok := w.Parts[0].(*syntax.Lit)
	if !ok { // a quoted part: what it holds is kept
		text, _ := literal(&syntax.Word{Parts: w.Parts[:1]})
		return text != "" && text[0] != '-'
	}
	return lit.Value != "" && !strings.ContainsRune(`*?[-\`, rune(lit.Value[0]))
}
