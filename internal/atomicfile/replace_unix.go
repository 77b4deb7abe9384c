//go:build !windows

package atomicfile

import (
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Replace gives the file at path new content. A file that is there keeps its
// mode, a new one is readable by its owner alone. The temporary file lies in the
// same folder, because a token has no place in /tmp. Where path is a link, what it
// leads to is replaced.
func Replace(path string, data []byte) error {
	return replace(path, data, renameio.WithPermissions(newMode), renameio.WithExistingPermissions())
}

// ReplacePrivate is [Replace] for a file that its owner alone may read, whatever
// mode it had.
func ReplacePrivate(path string, data []byte) error {
	return replace(path, data, renameio.WithStaticPermissions(newMode))
}

func replace(path string, data []byte, mode ...renameio.Option) error {
	path, err := target(path)
	if err != nil {
		return err
	}
	f, err := renameio.NewPendingFile(path, append(mode, renameio.WithTempDir(filepath.Dir(path)))...)
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}
