// Package plainfile reads files that others have put there: projects that may have
// come from anywhere, and the user's own. It neither waits for a pipe or a device
// that stands in the place of a file, nor reads more than it is asked for.
package plainfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// ErrOther says that there is something else than a regular file.
var ErrOther = errors.New("this is no regular file")

// Open opens a regular file for reading, or what a link to one leads to. Errors are
// those of [os.Open] and ErrOther.
func Open(path string) (*os.File, error) {
	// To open a pipe without O_NONBLOCK would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrOther
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Read reads at most the first bytes of a regular file, and tells whether there are
// more. data is nil only with an error.
func Read(path string, most int) (data []byte, more bool, err error) {
	f, err := Open(path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	if data, err = io.ReadAll(io.LimitReader(f, int64(most)+1)); err != nil {
		return nil, false, err
	}
	if more = len(data) > most; more {
		data = data[:most]
	}
	return data, more, nil
}

// Cause is an error of the file system without the path, for a message that names
// the file anyway.
func Cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
