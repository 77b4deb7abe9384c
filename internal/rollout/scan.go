package rollout

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// maxLine bounds the memory for one line, in bytes: as long as the longest
// message that a parent may send. A longer one is passed over.
const maxLine = 128 << 20

// span is a part of a file.
type span struct {
	file     int // index into Log.files
	off, end int64
}

// scanner reads the lines of a part of a file one by one.
type scanner struct {
	r   *bufio.Reader
	p   parser
	buf []byte // a line that is longer than the reader's buffer
	// off and end are where the line that was read last is; data is the line
	// without its newline, valid until the next call.
	off, end int64
	data     []byte
	// whole says that the line ended with a newline.
	whole bool
}

func newScanner(r io.Reader, off int64) *scanner {
	return &scanner{r: bufio.NewReaderSize(r, 64<<10), off: off, end: off}
}

// reset makes the scanner read another part.
func (s *scanner) reset(r io.Reader, off int64) {
	s.r.Reset(r)
	s.off, s.end = off, off
}

// next reads a line, the last one without its newline too. It returns io.EOF at
// the end.
func (s *scanner) next() error {
	s.off = s.end
	s.buf = s.buf[:0]
	tooLong := false
	for {
		part, err := s.r.ReadSlice('\n')
		s.end += int64(len(part))
		switch {
		case err == nil, err == io.EOF:
			if err == io.EOF && s.end == s.off {
				return io.EOF
			}
			s.whole = err == nil
			if len(s.buf) > 0 || tooLong {
				part = append(s.buf, part...)
				s.buf = part
			}
			if tooLong {
				part = nil
			}
			s.data = bytes.TrimRight(part, "\r\n")
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			if tooLong = tooLong || len(s.buf)+len(part) > maxLine; tooLong {
				s.buf = s.buf[:0]
				continue
			}
			s.buf = append(s.buf, part...)
		default:
			return err
		}
	}
}

// parse reads the line as JSON.
func (s *scanner) parse() (parsed, bool) { return s.p.parse(s.data) }

// walker reads spans. It keeps the file open that it read last. It is used by
// one goroutine.
type walker struct {
	files []string
	src   *source
	open  int // which file src is
	lines *scanner
}

func (w *walker) close() {
	if w.src != nil {
		w.src.close()
		w.src = nil
	}
}

// walk calls each for all lines of spans that are JSON objects, until it
// returns an error.
func (w *walker) walk(ctx context.Context, spans []span, each func(s *scanner, l *parsed) error) error {
	for _, sp := range spans {
		if w.src == nil || sp.file != w.open {
			w.close()
			src, err := openSource(w.files[sp.file])
			if err != nil {
				return fmt.Errorf("rollout: read: %w", err)
			}
			w.src, w.open = src, sp.file
		}
		r, err := w.src.from(sp.off)
		if err != nil {
			return fmt.Errorf("rollout: read: %w", err)
		}
		r = io.LimitReader(r, sp.end-sp.off)
		if w.lines == nil {
			w.lines = newScanner(r, sp.off)
		} else {
			w.lines.reset(r, sp.off)
		}
		if err := walkLines(ctx, w.lines, each); err != nil {
			return err
		}
	}
	return nil
}

// walk is [walker.walk] for one time.
func walk(ctx context.Context, files []string, spans []span, each func(s *scanner, l *parsed) error) error {
	w := walker{files: files}
	defer w.close()
	return w.walk(ctx, spans, each)
}

func walkLines(ctx context.Context, s *scanner, each func(s *scanner, l *parsed) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("rollout: read: %w", err)
		}
		l, ok := s.parse()
		if !ok {
			continue
		}
		if err := each(s, &l); err != nil {
			return err
		}
	}
}

// member returns a member of an object without looking at those behind it; nil
// where it is not there. The object is known to be good JSON.
func member(object jsontext.Value, name string) jsontext.Value {
	if object.Kind() != '{' {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(object), lenient)
	if _, err := d.ReadToken(); err != nil {
		return nil
	}
	for d.PeekKind() == '"' {
		n, err := d.ReadValue()
		if err != nil {
			return nil
		}
		found := len(n) == len(name)+2 && string(n[1:len(n)-1]) == name
		v, err := d.ReadValue()
		if err != nil {
			return nil
		}
		if found {
			end := d.InputOffset()
			return object[end-int64(len(v)) : end]
		}
	}
	return nil
}

// memberText is a member that is a text; empty where it is none.
func memberText(object jsontext.Value, name string) string { return text(member(object, name)) }

// text is a raw text; empty where it is none.
func text(v jsontext.Value) string {
	if v.Kind() != '"' {
		return ""
	}
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(b)
}
