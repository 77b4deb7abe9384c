package atomicfile

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// target is the file that path stands for. Links are followed, also one whose file
// is yet to be made, as it is when a link in a home leads to a fresh volume.
func target(path string) (string, error) {
	dir, name := filepath.Split(path) // which cleans nothing: what .. is behind a link counts
	dir, err := filepath.EvalSymlinks(cmp.Or(dir, "."))
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, name)
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	link, err := os.Readlink(path)
	switch {
	case err != nil: // no link: a new file
		return path, nil
	case filepath.IsAbs(link):
		return target(link)
	}
	return target(dir + string(filepath.Separator) + link) // which ends: links in a circle are another error
}
