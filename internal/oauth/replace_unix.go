//go:build !windows

package oauth

import (
	"path/filepath"

	"github.com/google/renameio/v2"
)

// replaceFile writes a file in one step, readable by its owner alone. The
// temporary file lies in the same folder: a key has no place in /tmp.
func replaceFile(path string, data []byte) error {
	f, err := renameio.NewPendingFile(path,
		renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(authFileMode))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}
