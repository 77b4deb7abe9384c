package atomicfile

import (
	"os"
	"path/filepath"
)

// ReplacePrivate is [Replace]: access is that of the folder, which for files that
// nobody else may read lies in the user's profile.
func ReplacePrivate(path string, data []byte) error { return Replace(path, data) }

// Replace gives the file at path new content, in one step as far as Windows
// can: renameio does not support it there. Access is that of the folder. Where path
// is a link, what it leads to is replaced.
func Replace(path string, data []byte) (err error) {
	if path, err = target(path); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}
