package rules

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Parse reads the text of a rules file. The error names the line.
func Parse(text string) (rules []Rule, err error) {
	p := &parser{scanner: scanner{text: text, line: 1}, names: map[string]any{}}
	defer func() {
		if r := recover(); r != nil {
			s, ok := r.(syntaxError)
			if !ok {
				panic(r)
			}
			rules, err = nil, fmt.Errorf("line %d: %s", s.line, s.text)
		}
	}()
	p.next()
	for p.kind != end {
		p.statement()
	}
	return p.rules, nil
}

// syntaxError leaves the parser by panic, and Parse by return.
type syntaxError struct {
	line int
	text string
}

// parser reads statements. Values are string and []any.
type parser struct {
	scanner
	names map[string]any
	rules []Rule
	depth int
}

// maxDepth bounds how deep lists may be nested; rules need two levels.
const maxDepth = 20

func (p *parser) statement() {
	if p.kind == newline || p.kind == ';' {
		p.next()
		return
	}
	name := p.expect(name)
	switch p.kind {
	case '=':
		p.next()
		p.names[name] = p.value()
	case '(':
		p.call(name)
	default:
		p.fail("only calls and plain values are understood")
	}
	if p.kind != newline && p.kind != ';' && p.kind != end {
		p.fail("only calls and plain values are understood")
	}
}

func (p *parser) call(function string) {
	line := p.line
	args := map[string]any{}
	p.nested++ // new lines do not count inside
	p.next()
	for p.kind != ')' {
		arg := p.expect(name)
		p.expect('=')
		args[arg] = p.value()
		if p.kind != ')' {
			p.expect(',')
		}
	}
	p.nested--
	p.next()
	if function != "prefix_rule" {
		return
	}
	r, problem := ruleOf(args)
	if problem != "" {
		panic(syntaxError{line, problem})
	}
	p.rules = append(p.rules, r)
}

// value reads terms joined by +.
func (p *parser) value() any {
	if p.depth++; p.depth > maxDepth {
		p.fail("lists are nested too deep")
	}
	defer func() { p.depth-- }()
	v := p.term()
	for p.kind == '+' {
		line := p.line // the token behind the term may be a new line
		p.next()
		var problem string
		if v, problem = sum(v, p.term()); problem != "" {
			panic(syntaxError{line, problem})
		}
	}
	return v
}

// sum joins two texts or two lists. They can double with each line of a file, so
// none gets longer than a file.
func sum(left, right any) (v any, problem string) {
	switch right := right.(type) {
	case string:
		if left, ok := left.(string); ok && len(left)+len(right) <= maxFile {
			return left + right, ""
		} else if ok {
			return nil, "a text is too long"
		}
	case []any:
		if left, ok := left.([]any); ok && len(left)+len(right) <= maxFile {
			return append(left[:len(left):len(left)], right...), ""
		} else if ok {
			return nil, "a list is too long"
		}
	}
	return nil, "a text and a list cannot be added"
}

func (p *parser) term() any {
	switch p.kind {
	case text:
		s := p.token
		p.next()
		return s
	case name:
		v, known := p.names[p.token]
		if !known {
			p.fail("the name " + p.token + " has no value")
		}
		p.next()
		return v
	case '(':
		p.nested++
		p.next()
		v := p.value()
		p.nested--
		p.expect(')')
		return v
	case '[':
		p.nested++
		p.next()
		list := []any{}
		for p.kind != ']' {
			list = append(list, p.value())
			if p.kind != ']' {
				p.expect(',')
			}
		}
		p.nested--
		p.next()
		return list
	}
	p.fail("a text or a list is missing")
	return nil
}

// expect takes a token of a kind and returns its text.
func (p *parser) expect(k kind) string {
	if p.kind != k {
		p.fail("this is not understood")
	}
	s := p.token
	p.next()
	return s
}

// ruleOf makes a rule of the arguments of prefix_rule.
func ruleOf(args map[string]any) (r Rule, problem string) {
	pattern, ok := args["pattern"].([]any)
	if !ok || len(pattern) == 0 {
		return r, "pattern must be a list that is not empty"
	}
	for i, part := range pattern {
		fitting, ok := texts(part)
		if word, single := part.(string); single {
			fitting, ok = []string{word}, true
		}
		if !ok || len(fitting) == 0 {
			return r, fmt.Sprintf("part %d of pattern must be a text or a list of texts", i+1)
		}
		r.Pattern = append(r.Pattern, fitting)
	}
	switch args["decision"] {
	case nil, "allow":
		r.Decision = Allow
	case "prompt":
		r.Decision = Prompt
	case "forbidden":
		r.Decision = Forbidden
	default:
		return r, "decision must be allow, prompt or forbidden"
	}
	if j, given := args["justification"]; given {
		if r.Justification, ok = j.(string); !ok {
			return r, "justification must be a text"
		}
	}
	return r, ""
}

func texts(v any) (list []string, ok bool) {
	values, ok := v.([]any)
	for _, v := range values {
		s, isText := v.(string)
		if !isText {
			return nil, false
		}
		list = append(list, s)
	}
	return list, ok
}

// kind is the kind of a token; punctuation is its own character.
type kind rune

const (
	end     kind = -1
	newline kind = '\n'
	name    kind = 'a'
	text    kind = '"'
)

// scanner splits the text into tokens.
type scanner struct {
	text   string
	line   int
	nested int // inside of so many brackets
	kind   kind
	token  string
}

func (s *scanner) fail(why string) { panic(syntaxError{s.line, why}) }

// next reads a token into kind and token.
func (s *scanner) next() {
	for {
		switch {
		case s.text == "":
			s.kind = end
			return
		case s.text[0] == '#':
			if i := strings.IndexByte(s.text, '\n'); i >= 0 {
				s.text = s.text[i:]
			} else {
				s.text = ""
			}
			continue
		case strings.HasPrefix(s.text, "\\\n"):
			s.line++
			s.text = s.text[2:]
			continue
		case s.text[0] == '\n':
			s.line++
			s.text = s.text[1:]
			if s.nested == 0 {
				s.kind = newline
				return
			}
			continue
		case s.text[0] == ' ', s.text[0] == '\t', s.text[0] == '\r':
			s.text = s.text[1:]
			continue
		}
		break
	}
	c := s.text[0]
	switch {
	case c == '"', c == '\'':
		s.quoted(s.escape)
	case c == 'r' && len(s.text) > 1 && (s.text[1] == '"' || s.text[1] == '\''):
		s.text = s.text[1:]
		s.quoted(s.keep)
	case strings.IndexByte("[]()=,+;", c) >= 0:
		s.kind, s.text = kind(c), s.text[1:]
	default:
		n := strings.IndexFunc(s.text, func(r rune) bool {
			return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		})
		if n < 0 {
			n = len(s.text)
		}
		if n == 0 || c >= '0' && c <= '9' {
			s.fail("this is not understood")
		}
		s.kind, s.token, s.text = name, s.text[:n], s.text[n:]
	}
}

// quoted reads a text in single, double or triple quotes. What a backslash begins
// is read by another method.
func (s *scanner) quoted(backslash func(*strings.Builder)) {
	quotes := s.text[:1]
	if triple := strings.Repeat(quotes, 3); strings.HasPrefix(s.text, triple) {
		quotes = triple
	}
	s.text = s.text[len(quotes):]
	var b strings.Builder
	for !strings.HasPrefix(s.text, quotes) {
		switch {
		case s.text == "", s.text[0] == '\n' && len(quotes) == 1:
			s.fail("a text has no end")
		case s.text[0] == '\\':
			backslash(&b)
		default:
			if s.text[0] == '\n' {
				s.line++
			}
			b.WriteByte(s.text[0])
			s.text = s.text[1:]
		}
	}
	s.kind, s.token, s.text = text, b.String(), s.text[len(quotes):]
}

// keep takes a backslash and what follows it as they are, as raw texts do.
func (s *scanner) keep(b *strings.Builder) {
	n := min(2, len(s.text))
	s.line += strings.Count(s.text[:n], "\n")
	b.WriteString(s.text[:n])
	s.text = s.text[n:]
}

// escape reads what a backslash begins. The escapes are those of Go but for the
// single quote and the end of a line.
func (s *scanner) escape(b *strings.Builder) {
	if len(s.text) > 1 {
		switch s.text[1] {
		case '\n':
			s.line++
			s.text = s.text[2:]
			return
		case '\'', '"':
			b.WriteByte(s.text[1])
			s.text = s.text[2:]
			return
		}
	}
	r, multibyte, tail, err := strconv.UnquoteChar(s.text, 0)
	if err != nil {
		s.fail("an escape in a text is not understood")
	}
	if r < utf8.RuneSelf || !multibyte {
		b.WriteByte(byte(r))
	} else {
		b.WriteRune(r)
	}
	s.text = tail
}

// quote writes a text so that this parser and the reference's read it back.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
