package config

import (
	"bytes"
	"fmt"
	"path/filepath"
	"unicode/utf8"

	"app-server/protocol"
)

// Problem is something in the settings that could not be used. It has what the
// configWarning notification has. Its texts name keys and places, never values.
type Problem struct {
	// Summary is one sentence, Details says where and what was expected.
	Summary, Details string
	// Path is the file, empty for overrides.
	Path string
	// Range is the offending value. Lines and columns count from 1, columns in
	// Unicode characters, and the end is the last character, as the reference
	// counts. Nil where there is no file or no place in it.
	Range *protocol.TextRange
	// Key is the dotted key, empty where none is known.
	Key string

	// source is the kind of layer that the value came from.
	source string
	// what is the part of Details that says what is wrong.
	what string
	// pending is set where the value is right but for something that it needs and
	// that may be defined yet. It may be written and is shown; whoever uses it
	// refuses.
	pending bool
}

// thread reports whether the value came with thread/start.
func (p Problem) thread() bool { return p.source == nameThread }

// Notification is the problem as the parent gets it.
func (p Problem) Notification() protocol.ConfigWarningNotification {
	n := protocol.ConfigWarningNotification{Summary: p.Summary, Range: p.Range}
	if p.Details != "" {
		n.Details = &p.Details
	}
	if p.Path != "" {
		n.Path = &p.Path
	}
	return n
}

// span is a range of byte offsets, to exclusive.
type span struct{ from, to int }

// textRange turns a span into lines and columns.
func (s *source) textRange(at span) *protocol.TextRange {
	if s.data == nil {
		return nil
	}
	from := min(max(at.from, 0), len(s.data))
	last := from
	if to := min(at.to, len(s.data)); to > from {
		_, size := utf8.DecodeLastRune(s.data[from:to])
		last = to - size
	}
	return &protocol.TextRange{Start: s.position(from), End: s.position(last)}
}

func (s *source) position(offset int) protocol.TextPosition {
	before := s.data[:offset]
	line := before[bytes.LastIndexByte(before, '\n')+1:]
	return protocol.TextPosition{Line: bytes.Count(before, []byte{'\n'}) + 1, Column: utf8.RuneCount(line) + 1}
}

// problem builds a Problem about key at a place of s.
func (s *source) problem(at span, key, summary, what string) Problem {
	p := Problem{Summary: summary, Key: key, Range: s.textRange(at), source: s.name, what: what}
	where := s.name
	if s.isFile() {
		p.Path = s.name
	}
	if p.Range != nil {
		where = fmt.Sprintf("%s:%d:%d", s.name, p.Range.Start.Line, p.Range.Start.Column)
	}
	if key == "" {
		p.Details = where + ": " + what
	} else {
		p.Details = where + ": " + key + ": " + what
	}
	return p
}

// file is the name of a file without its folder.
func (s *source) file() string { return filepath.Base(s.name) }

// isFile reports whether the source is a file and not an override.
func (s *source) isFile() bool { return s.name != nameFlag && s.name != nameThread }
