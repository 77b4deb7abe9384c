package patch

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxFile bounds the files that a patch may update or write over, in bytes:
// their content is kept in memory twice, for the diff and to undo.
const maxFile = 32 << 20

// View is what a plan sees of the file system. Names are absolute. A View is
// only read from.
type View interface {
	Lstat(name string) (fs.FileInfo, error)
	Readlink(name string) (string, error)
	ReadFile(name string) ([]byte, error)
}

// OS returns the file system of this machine as a View. It reads files of a
// bounded size only.
func OS() View { return osView{} }

type osView struct{}

func (osView) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }
func (osView) Readlink(name string) (string, error)   { return os.Readlink(name) }
func (osView) ReadFile(name string) ([]byte, error) {
	// A pipe that was put there since somebody looked would keep us waiting.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	return readBounded(f)
}

var errNotRegular = errors.New("this is not a regular file")

// errTooLarge says that a file is larger than maxFile, or that the files of a
// patch are larger than maxHeld together.
var errTooLarge = fmt.Errorf("the file is too large: a patch may change files of %d MiB, and %d MiB together", maxFile>>20, maxHeld>>20)

// readBounded reads a file that may grow while it is read.
func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errTooLarge
	}
	return data, err
}

// maxLinks bounds the symlinks that one path may go through, as Linux does.
const maxLinks = 40

// realFile returns the path that an open of name would reach: all symlinks
// followed, the last too, even one that points to nothing. Parts that do not
// exist yet stay as they are. name is absolute and clean.
func realFile(v View, name string) (string, error) {
	vol := filepath.VolumeName(name)
	root := vol + string(filepath.Separator)
	at := root
	todo := parts(name[len(vol):])
	links := 0
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		if part == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, part)
		info, err := v.Lstat(next)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			at = next
			continue
		case err != nil:
			return "", err
		case info.Mode()&fs.ModeSymlink != 0:
			if links++; links > maxLinks {
				return "", &fs.PathError{Op: "resolve", Path: name, Err: syscall.ELOOP}
			}
			to, err := v.Readlink(next)
			if err != nil {
				return "", err
			}
			if filepath.IsAbs(to) {
				vol = filepath.VolumeName(to)
				at, to = vol+string(filepath.Separator), to[len(vol):]
			}
			todo = append(parts(to), todo...)
			continue
		case len(todo) > 0 && !info.IsDir():
			return "", &fs.PathError{Op: "resolve", Path: next, Err: syscall.ENOTDIR}
		}
		at = next
	}
	return at, nil
}

// realNode returns the path that a removal of name would remove: the folder is
// resolved, the last part is not.
func realNode(v View, name string) (string, error) {
	dir, err := realFile(v, filepath.Dir(name))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(name)), nil
}

// parts cuts a path into its names, without the empty ones and ".".
func parts(p string) []string {
	var out []string
	for _, s := range strings.Split(filepath.ToSlash(p), "/") {
		if s != "" && s != "." {
			out = append(out, s)
		}
	}
	return out
}
