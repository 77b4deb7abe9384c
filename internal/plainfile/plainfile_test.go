//go:build unix

package plainfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		os.WriteFile(at("file"), []byte("four"), 0o600), os.WriteFile(at("empty"), nil, 0o600), os.Mkdir(at("folder"), 0o700),
		syscall.Mkfifo(at("pipe"), 0o600), os.Symlink("file", at("link")), os.Symlink("pipe", at("to pipe")), os.Symlink("loop", at("loop")),
	); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, data string
		most       int
		more       bool
		err        error
	}{
		{at("file"), "four", 5, false, nil},
		{at("file"), "four", 4, false, nil},
		{at("file"), "fou", 3, true, nil},
		{at("link"), "four", 9, false, nil},
		{at("empty"), "", 0, false, nil},
		{at("folder"), "", 9, false, ErrOther},
		{at("pipe"), "", 9, false, ErrOther},
		{at("to pipe"), "", 9, false, ErrOther},
		{os.DevNull, "", 9, false, ErrOther},
		{at("loop"), "", 9, false, syscall.ELOOP},
		{at("absent"), "", 9, false, fs.ErrNotExist},
	} {
		data, more, err := Read(tt.path, tt.most)
		if string(data) != tt.data || more != tt.more || !errors.Is(err, tt.err) || (data == nil) != (err != nil) {
			t.Errorf("%s, %d: %q %v %v", tt.path, tt.most, data, more, err)
		}
	}
}

func TestCause(t *testing.T) {
	_, err := Open("/absent/file")
	if got := Cause(fmt.Errorf("read: %w", err)); got != syscall.ENOENT {
		t.Error(got)
	}
	if got := Cause(ErrOther); got != ErrOther {
		t.Error(got)
	}
}
