package rollout

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// packedSuffix follows the name of a file that the reference 0.169.0 has
// compressed, as it does with old ones.
const packedSuffix = ".zst"

// maxWindow bounds the memory for reading a compressed file, in bytes.
const maxWindow = 64 << 20

// source reads parts of a file, compressed or not. Offsets are those of the
// text. It is used by one goroutine.
type source struct {
	f   *os.File
	z   *zstd.Decoder // nil for a plain file
	pos int64         // where z is
}

func openSource(path string) (*source, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s, err := newSource(f)
	if err != nil {
		f.Close()
	}
	return s, err
}

// regular refuses what is no file: opening a pipe would wait for ever, and a
// parent may name any path.
func regular(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is no regular file", ErrNotFound, path)
	}
	return err
}

// newSource reads an open file. The file belongs to the source.
func newSource(f *os.File) (*source, error) {
	s := &source{f: f}
	if strings.HasSuffix(f.Name(), packedSuffix) {
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		s.z = z
	}
	return s, nil
}

func (s *source) close() {
	if s.z != nil {
		s.z.Close()
	}
	s.f.Close()
}

// from reads the file from an offset on. The reader is good until the next call.
func (s *source) from(off int64) (io.Reader, error) {
	if s.z == nil {
		return io.NewSectionReader(s.f, off, 1<<62-off), nil
	}
	if off < s.pos {
		if _, err := s.f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		if err := s.z.Reset(s.f); err != nil {
			return nil, err
		}
		s.pos = 0
	}
	if _, err := io.CopyN(io.Discard, counted{s}, off-s.pos); err != nil {
		return nil, err
	}
	return counted{s}, nil
}

// counted reads what is compressed and keeps count.
type counted struct{ s *source }

func (c counted) Read(p []byte) (int, error) {
	n, err := c.s.z.Read(p)
	c.s.pos += int64(n)
	return n, err
}

// unpack writes the text of a compressed file in its place, since it is to be
// continued, and returns its path. The compressed one is removed.
func unpack(path string) (string, error) {
	f, err := openLocked(path)
	if err != nil {
		return "", err
	}
	s, err := newSource(f)
	if err != nil {
		f.Close()
		return "", err
	}
	defer s.close()
	plain := strings.TrimSuffix(path, packedSuffix)
	tmp, err := os.CreateTemp(filepath.Dir(path), ".unpack-")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name()) // once it was renamed there is nothing to remove
	defer tmp.Close()
	if _, err := io.Copy(tmp, counted{s}); err != nil {
		return "", err
	}
	if err := tmp.Sync(); err != nil {
		return "", err
	}
	if info, err := f.Stat(); err == nil {
		_ = os.Chtimes(tmp.Name(), info.ModTime(), info.ModTime()) // only the order of a list hangs on it
	}
	// Not over one that is there, which is as whole as this one: somebody was
	// stopped before the removal.
	if err := os.Link(tmp.Name(), plain); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	s.close() // Windows removes no open file
	return plain, os.Remove(path)
}
