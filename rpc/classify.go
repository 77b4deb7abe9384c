package rpc

import (
	"bytes"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// kind is what a line is.
type kind int

const (
	kindBlank        kind = iota
	kindRequest           // has an id to answer to and a method
	kindNotification      // has a method, and no id or null
	kindAnswer            // has a result or an error, and an id that may be ours
	kindStray             // has a result or an error, but no id that we ever use
	kindBad               // none of these; fault says why, id may be nil
	kindAbandoned         // no line: an ask whose caller has left
)

// message is one classified line. The byte slices are parts of the line and
// live no longer than it.
type message struct {
	kind   kind
	id     []byte // JSON text of a request's id as it came; nil: not readable
	num    int64  // id of an answer
	method []byte // name, unquoted
	params []byte // nil: absent
	result []byte // answer: nil where failed is set
	failed *Error // answer: what the parent, or the state of the line, says
	fault  *Error // bad line: the error to answer with
	size   int    // bytes of the line
}

// idKind is what the id member of an object is.
type idKind int

const (
	idAbsent idKind = iota
	idNull
	idString
	idInteger
	idWrong // any other type, or a number that is no int64
)

// envelope holds the members of a message as JSON text; nil means absent.
type envelope struct {
	id, method, params, result, failure []byte
	twice                               bool // one of them occurs twice
}

// classifier tells what lines are. It is used by one goroutine.
type classifier struct {
	dec *jsontext.Decoder
	buf bytes.Buffer
}

// Duplicate names inside params are the handler's affair; invalid UTF-8 is
// looked for beforehand, so that the id of such a line can still be read.
var splitOptions = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

func newClassifier() *classifier {
	return &classifier{dec: jsontext.NewDecoder(&bytes.Buffer{}, splitOptions)}
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// trimLine removes the line's ending and a byte order mark.
func trimLine(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	return bytes.TrimPrefix(line, byteOrderMark)
}

// classify says what a trimmed line is. It may change the line in place
// (unpaired surrogates). As in the reference the first of request,
// notification, answer that fits wins, whatever other members there are.
func (c *classifier) classify(line []byte) message {
	if len(bytes.Trim(line, " \t\r")) == 0 {
		return message{kind: kindBlank}
	}
	mendSurrogates(line)
	env, fault := c.split(line)
	utf8OK := utf8.Valid(line)
	if fault != nil {
		if !utf8OK {
			fault = errNotUTF8
		}
		return message{kind: kindBad, fault: fault}
	}
	id, num := readID(env.id)
	m := message{size: len(line), id: env.id, num: num}
	if id != idString && id != idInteger || !utf8OK && !utf8.Valid(env.id) {
		m.id = nil
	}
	switch {
	case !utf8OK && m.id == nil:
		m.fault = errNotUTF8
	case !utf8OK:
		m.fault = errBadUTF8
	case env.twice:
		m.fault = errDuplicate
	}
	isMethod := len(env.method) > 0 && env.method[0] == '"'
	switch {
	case !isMethod && (env.result != nil || env.failure != nil):
		if id != idInteger {
			return message{kind: kindStray}
		}
		m.kind = kindAnswer
		m.result, m.failed = readOutcome(env, m.fault)
		m.fault = nil
	case m.fault != nil:
		m.kind = kindBad
	case !isMethod:
		m.kind, m.fault = kindBad, errNoMessage
	case id == idWrong:
		m.kind, m.fault = kindBad, errIDType
	default:
		m.kind = kindRequest
		if m.id == nil {
			m.kind = kindNotification
		}
		m.method = unquote(env.method)
		m.params = env.params
	}
	return m
}

// split finds the members of the one object in line, or says why there is none.
func (c *classifier) split(line []byte) (env envelope, fault *Error) {
	c.buf = *bytes.NewBuffer(line)
	c.dec.Reset(&c.buf, splitOptions)
	if c.dec.PeekKind() != '{' {
		if _, err := c.dec.ReadValue(); err != nil || !c.atEnd() {
			return env, errNotJSON
		}
		return env, errNotObject
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return env, errNotJSON
	}
	for c.dec.PeekKind() == '"' {
		if err := c.member(line, &env); err != nil {
			return env, errNotJSON
		}
	}
	if _, err := c.dec.ReadToken(); err != nil || !c.atEnd() {
		return env, errNotJSON
	}
	return env, nil
}

// member reads one name and its value. On an error the name may be known
// already: its value is then empty, not nil.
func (c *classifier) member(line []byte, env *envelope) error {
	name, err := c.dec.ReadValue()
	if err != nil {
		return err
	}
	into := env.slot(name)
	if into != nil {
		env.twice = env.twice || *into != nil
		*into = line[:0]
	}
	value, err := c.dec.ReadValue()
	if err != nil {
		return err
	}
	if into != nil {
		// The decoder's slice lives until its next call, the line longer.
		end := int(c.dec.InputOffset())
		*into = line[end-len(value) : end : end]
	}
	return nil
}

func (env *envelope) slot(name []byte) *[]byte {
	if bytes.IndexByte(name, '\\') >= 0 {
		name = append(append([]byte{'"'}, unquote(name)...), '"')
	}
	switch string(name) {
	case `"id"`:
		return &env.id
	case `"method"`:
		return &env.method
	case `"params"`:
		return &env.params
	case `"result"`:
		return &env.result
	case `"error"`:
		return &env.failure
	}
	return nil
}

func (c *classifier) atEnd() bool {
	_, err := c.dec.ReadToken()
	return err == io.EOF
}

// forget lets go of the last line, which may be large.
func (c *classifier) forget() {
	c.buf = bytes.Buffer{}
	c.dec.Reset(&c.buf, splitOptions)
}

// classifyLong finds out from its beginning what a line over the limit is.
func (c *classifier) classifyLong(prefix []byte) message {
	prefix = bytes.TrimPrefix(prefix, byteOrderMark)
	prefix = bytes.TrimRight(prefix, "0123456789") // an id may have been cut
	var env envelope
	c.buf = *bytes.NewBuffer(prefix)
	c.dec.Reset(&c.buf, splitOptions)
	if token, err := c.dec.ReadToken(); err == nil && token.Kind() == '{' {
		for c.dec.PeekKind() == '"' {
			if c.member(prefix, &env) != nil {
				break
			}
		}
	}
	c.forget()
	id, num := readID(env.id)
	m := message{kind: kindBad, fault: errLineTooLong}
	switch {
	case env.method == nil && (env.result != nil || env.failure != nil):
		m = message{kind: kindStray}
		if id == idInteger {
			m = message{kind: kindAnswer, num: num, failed: errLineTooLong}
		}
	case (id == idString || id == idInteger) && utf8.Valid(env.id):
		m.id = env.id
	}
	return m
}

// readID tells the type of an id and its value where it is an integer. -0 and
// 1.0 are floats to the reference.
func readID(id []byte) (idKind, int64) {
	switch {
	case id == nil:
		return idAbsent, 0
	case string(id) == "null":
		return idNull, 0
	case len(id) > 0 && id[0] == '"':
		return idString, 0
	case string(id) == "-0":
		return idWrong, 0
	}
	num, err := strconv.ParseInt(string(id), 10, 64)
	if err != nil {
		return idWrong, 0
	}
	return idInteger, num
}

// readOutcome tells a result from an error. A result wins over an error beside
// it, except null, which old libraries write next to every error. fault is
// what is wrong with the line as a whole; the question must not stay open
// for it.
func readOutcome(env envelope, fault *Error) ([]byte, *Error) {
	switch {
	case fault != nil:
		return nil, fault
	case env.result != nil && (string(env.result) != "null" || env.failure == nil || env.failure[0] != '{'):
		return env.result, nil
	}
	return nil, readError(env.failure)
}

// readError reads an error member leniently: whatever it is, and whichever of
// its members are missing or mistyped, it is an error answer.
func readError(text []byte) *Error {
	e := &Error{}
	switch text[0] {
	case '"':
		e.Message = string(unquote(text))
		return e
	case '{':
	default:
		return e
	}
	d := jsontext.NewDecoder(bytes.NewReader(text), splitOptions)
	if _, err := d.ReadToken(); err != nil {
		return e
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return e
		}
		name := token.String()
		value, err := d.ReadValue()
		if err != nil {
			return e
		}
		switch {
		case name == "code" && value.Kind() == '0':
			e.Code = readCode(value)
		case name == "message" && value.Kind() == '"':
			e.Message = string(unquote(value))
		case name == "data":
			e.Data = value.Clone()
		}
	}
	return e
}

func readCode(value []byte) int64 {
	if n, err := strconv.ParseInt(string(value), 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0
	}
	return int64(f)
}

// unquote returns the content of a JSON string, without a copy where nothing
// in it is escaped.
func unquote(s []byte) []byte {
	if bytes.IndexByte(s, '\\') < 0 && utf8.Valid(s) {
		return s[1 : len(s)-1]
	}
	out, _ := jsontext.AppendUnquote(nil, s) // invalid UTF-8 has become U+FFFD
	return out
}
