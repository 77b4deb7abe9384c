package rpc

import (
	"bytes"
	"io"
	"runtime"
)

const (
	// readSize is the size of a read: what a Linux pipe holds.
	readSize = 64 << 10
	// prefixSize is how much of an over-long line is kept to find its id.
	prefixSize = 4 << 10
	// maxEmptyReads is how many reads in a row may give neither data nor an
	// error, before the input counts as broken.
	maxEmptyReads = 100
)

// chunk is what the reader hands to the dispatcher: whole lines, or the sign
// of an over-long one, or the end.
type chunk struct {
	// data are lines with their newlines; only the last line of the input may
	// lack it. The receiver owns it until it gives it back.
	data []byte
	// long is the length in bytes of a line over the limit, data its beginning.
	long int
	// err is the end of the input: io.EOF or what Read said.
	err error
}

// lineReader cuts the input into lines on a goroutine of its own, because a
// read cannot be interrupted. The goroutine ends with the input, or with its
// next read after done was closed.
type lineReader struct {
	in     io.Reader
	limit  int
	chunks chan chunk  // unbuffered: at most one read ahead of the dispatcher
	free   chan []byte // buffers of readSize to use again
	done   <-chan struct{}
}

func newLineReader(in io.Reader, limit int, done <-chan struct{}) *lineReader {
	return &lineReader{in: in, limit: limit, chunks: make(chan chunk), free: make(chan []byte, 2), done: done}
}

// giveBack returns a buffer after its lines have been dealt with. Buffers that
// grew for one long line are left to the collector.
func (r *lineReader) giveBack(data []byte) {
	if cap(data) != readSize {
		return
	}
	select {
	case r.free <- data[:readSize]:
	default:
	}
}

func (r *lineReader) buffer() []byte {
	select {
	case b := <-r.free:
		return b
	default:
		return make([]byte, readSize)
	}
}

func (r *lineReader) send(c chunk) bool {
	select {
	case r.chunks <- c:
		// Whoever got it runs now. Otherwise the read that follows would take
		// this thread into the kernel, and the line would wait until another
		// thread has been woken for it.
		runtime.Gosched()
		return true
	case <-r.done:
		return false
	}
}

// run reads until the input ends. One line is held in memory at a time, never
// more than limit bytes of it and what one read added.
func (r *lineReader) run() {
	buf, n, empty := r.buffer(), 0, 0
	for {
		if n == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
		got, err := r.in.Read(buf[n:])
		if got == 0 && err == nil {
			if empty++; empty >= maxEmptyReads {
				err = io.ErrNoProgress
			}
		} else {
			empty = 0
		}
		seen := n // what lies before holds no newline
		n += got
		for again := true; again; {
			var ok bool
			if buf, n, ok = r.hand(buf, seen, n); !ok {
				return
			}
			// One byte over may still be the carriage return of the line's end.
			if again = n > r.limit+1; again {
				if buf, n, ok, err = r.skip(buf, n, err); !ok {
					return
				}
				seen = 0
			}
		}
		if err != nil {
			if n > 0 && !r.send(chunk{data: buf[:n]}) {
				return
			}
			r.send(chunk{err: err})
			return
		}
	}
}

// hand sends the whole lines in buf[:n] and returns a buffer with the
// beginning of the line that follows. buf[:seen] is known to hold no newline.
func (r *lineReader) hand(buf []byte, seen, n int) (next []byte, rest int, ok bool) {
	last := bytes.LastIndexByte(buf[seen:n], '\n')
	if last < 0 {
		return buf, n, true
	}
	end := seen + last + 1
	next = r.buffer()
	for len(next) < n-end {
		next = make([]byte, 2*len(next))
	}
	rest = copy(next, buf[end:n])
	return next, rest, r.send(chunk{data: buf[:end]})
}

// skip reads over the rest of a line that is too long. It returns a buffer
// with what follows the line and the error of the last read.
func (r *lineReader) skip(buf []byte, n int, err error) (next []byte, rest int, ok bool, _ error) {
	prefix := bytes.Clone(buf[:min(n, prefixSize)])
	long := n
	buf = r.buffer()
	for empty := 0; err == nil; {
		var got int
		got, err = r.in.Read(buf)
		if end := bytes.IndexByte(buf[:got], '\n'); end >= 0 {
			long += end
			ok = r.send(chunk{data: prefix, long: long})
			// copy is safe where source and target overlap
			return buf, copy(buf, buf[end+1:got]), ok, err
		}
		long += got
		if got > 0 {
			empty = 0
		} else if empty++; empty >= maxEmptyReads && err == nil {
			err = io.ErrNoProgress
		}
	}
	return buf, 0, r.send(chunk{data: prefix, long: long}), err
}
