package atomicfile

import (
	"fmt"
	"os"
	"path/filepath"
)

// maxLinks is how many links in a row are followed; Linux takes as many.
const maxLinks = 40

// target is the file that path stands for. Links are followed, also one whose file
// is yet to be made, as it is when a link in a home leads to a fresh volume.
func target(path string) (string, error) {
	for range maxLinks {
		link, err := os.Readlink(path)
		if err != nil { // no link: the file, or a new one
			return path, nil
		}
		if !filepath.IsAbs(link) {
			link = filepath.Dir(path) + string(filepath.Separator) + link
		}
		// What .. behind a link stands for, the names alone do not tell.
		dir, name := filepath.Split(link)
		if dir, err = filepath.EvalSymlinks(dir); err != nil {
			return "", err
		}
		path = filepath.Join(dir, name)
	}
	return "", fmt.Errorf("%s: too many links", path)
}
