package rollout

import (
	"bytes"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// lenient are the options of all JSON here. What was once written must be
// read, and what a tool printed must be kept, with U+FFFD for bad bytes.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// Types of lines.
const (
	lineMeta     = "session_meta"
	lineEvent    = "event_msg"
	lineResponse = "response_item"
	lineContext  = "turn_context"
	lineCompact  = "compacted"
	lineItem     = "app_server_item"
)

// Record is one thing to keep: one line, or a few that belong together. Make
// them with the functions of this package.
type Record struct {
	lines []line
	err   error
}

type line struct {
	kind    string
	payload any
	extra   *extra
	// counted says that the line is only for files that count their lines, which
	// the reference 0.169.0 has made.
	counted bool
}

// extra is the app_server member of a line.
type extra struct {
	TurnID string         `json:"turn_id,omitzero"`
	Item   jsontext.Value `json:"item,omitzero"`
	Turn   *turnEnd       `json:"turn,omitzero"`
}

// threadBound is a payload that names its thread.
type threadBound interface{ bind(threadID string) any }

// one is a record of one line.
func one(kind string, payload any) Record {
	return Record{lines: []line{{kind: kind, payload: payload}}}
}

// appendTo adds the record's lines to b. ordinal is the number of the next line
// where the file counts them, and is moved on then; else it is negative.
func (r *Record) appendTo(b *bytes.Buffer, threadID string, now time.Time, ordinal *int64) error {
	if r.err != nil {
		return r.err
	}
	for _, l := range r.lines {
		if l.counted && *ordinal < 0 {
			continue
		}
		start := b.Len()
		b.WriteString(`{"timestamp":"`)
		b.WriteString(now.UTC().Format(timeLayout))
		b.WriteByte('"')
		if *ordinal >= 0 {
			b.WriteString(`,"ordinal":`)
			b.WriteString(strconv.FormatInt(*ordinal, 10))
			*ordinal++
		}
		b.WriteString(`,"type":"`)
		b.WriteString(l.kind)
		b.WriteString(`","payload":`)
		p := l.payload
		if t, ok := p.(threadBound); ok {
			p = t.bind(threadID)
		}
		if err := appendJSON(b, p); err != nil {
			return err
		}
		if l.extra != nil {
			b.WriteString(`,"app_server":`)
			if err := appendJSON(b, l.extra); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		if err := mendText(b, start); err != nil {
			return err
		}
		b.WriteByte('\n')
	}
	return nil
}

// mendText makes a line from start on readable for strict readers, as the
// reference is one: bytes that are no UTF-8, and halves of surrogate pairs,
// become U+FFFD. Such a line would be lost to it, or the whole file.
func mendText(b *bytes.Buffer, start int) error {
	text := b.Bytes()[start:]
	if utf8.Valid(text) && !bytes.Contains(text, []byte(`\ud`)) && !bytes.Contains(text, []byte(`\uD`)) {
		return nil
	}
	v := jsontext.Value(text).Clone()
	if err := v.Format(lenient); err != nil {
		return err
	}
	b.Truncate(start)
	b.Write(v)
	return nil
}

// appendJSON adds a value without a newline in it or after it.
func appendJSON(b *bytes.Buffer, v any) error {
	if raw, ok := v.(jsontext.Value); ok {
		if bytes.IndexByte(raw, '\n') < 0 && raw.IsValid(lenient) {
			b.Write(raw)
			return nil
		}
		c := raw.Clone()
		if err := c.Compact(lenient); err != nil {
			return err
		}
		v = c
	}
	return json.MarshalWrite(b, v, lenient)
}

// parsed is a line of a file. The slices are valid until the next line is read.
type parsed struct {
	kind    string // one of the line types, or empty for an unknown one
	time    []byte // as JSON
	payload jsontext.Value
	extra   jsontext.Value
	// ordinal counts the lines of a thread from 0 in files of the reference
	// 0.169.0; -1 elsewhere.
	ordinal int64
}

// parser reads lines. It is used by one goroutine.
type parser struct{ dec *jsontext.Decoder }

// parse reads one line. It reports not ok for what is no whole JSON object.
func (p *parser) parse(data []byte) (l parsed, ok bool) {
	l.ordinal = -1
	if len(data) == 0 || data[0] != '{' {
		return l, false
	}
	// A bytes.Buffer is read by the decoder in place, without a copy.
	if p.dec == nil {
		p.dec = jsontext.NewDecoder(bytes.NewBuffer(data), lenient)
	} else {
		p.dec.Reset(bytes.NewBuffer(data), lenient)
	}
	d := p.dec
	if _, err := d.ReadToken(); err != nil {
		return l, false
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadValue()
		if err != nil {
			return l, false
		}
		field := fieldOf(name)
		v, err := d.ReadValue()
		if err != nil {
			return l, false
		}
		end := d.InputOffset()
		v = data[end-int64(len(v)) : end] // outlives the decoder's next read
		switch field {
		case fieldTime:
			l.time = v
		case fieldType:
			l.kind = lineKind(v)
		case fieldPayload:
			l.payload = v
		case fieldExtra:
			l.extra = v
		case fieldOrdinal:
			if json.Unmarshal(v, &l.ordinal) != nil {
				l.ordinal = -1
			}
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return l, false
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return l, false
	}
	return l, true
}

type field int

const (
	fieldOther field = iota
	fieldTime
	fieldType
	fieldPayload
	fieldExtra
	fieldOrdinal
)

func fieldOf(name []byte) field {
	switch string(name) {
	case `"timestamp"`:
		return fieldTime
	case `"type"`:
		return fieldType
	case `"payload"`:
		return fieldPayload
	case `"app_server"`:
		return fieldExtra
	case `"ordinal"`:
		return fieldOrdinal
	}
	return fieldOther
}

func lineKind(v []byte) string {
	switch string(v) {
	case `"` + lineMeta + `"`:
		return lineMeta
	case `"` + lineEvent + `"`:
		return lineEvent
	case `"` + lineResponse + `"`:
		return lineResponse
	case `"` + lineContext + `"`:
		return lineContext
	case `"` + lineCompact + `"`:
		return lineCompact
	case `"` + lineItem + `"`:
		return lineItem
	}
	return ""
}
