package patch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// folders holds the open folders of one Apply. Each was reached without a
// symlink: what is written through it lands where the plan said, even when
// somebody swaps a folder for a symlink meanwhile.
type folders struct {
	open map[string]*os.Root
	made []madeFolder
}

// madeFolder is a folder that did not exist before.
type madeFolder struct {
	parent *os.Root
	name   string
}

func newFolders() *folders { return &folders{open: map[string]*os.Root{}} }

// errMoved says that a folder is not the one that was resolved.
var errMoved = errors.New("a folder of its path was changed by someone else after the patch was read")

// of returns the open folder of a real path, making it where it is missing, and
// the name of the file in it.
func (d *folders) of(real string) (*os.Root, string, error) {
	r, err := d.get(filepath.Dir(real))
	return r, filepath.Base(real), err
}

func (d *folders) get(dir string) (*os.Root, error) {
	if r := d.open[dir]; r != nil {
		return r, nil
	}
	_, err := os.Lstat(dir)
	var r *os.Root
	switch up := filepath.Dir(dir); {
	case err == nil:
		r, err = openChecked(dir)
	case errors.Is(err, fs.ErrNotExist) && up != dir:
		var parent *os.Root
		if parent, err = d.get(up); err == nil {
			r, err = d.make(parent, filepath.Base(dir))
		}
	}
	if err != nil {
		return nil, err
	}
	d.open[dir] = r
	return r, nil
}

// openChecked opens a folder that exists, and makes sure that its path has no
// symlink in it and leads to what was opened. Opening first and looking then
// leaves no moment between the check and the use.
func openChecked(dir string) (*os.Root, error) {
	r, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if err := checkOpened(r, dir); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func checkOpened(r *os.Root, dir string) error {
	real, err := realFile(OS(), dir)
	if err != nil {
		return err
	}
	if real != dir {
		return errMoved
	}
	named, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	return sameFolder(r, named)
}

// sameFolder makes sure that an open folder is the one that was named.
func sameFolder(r *os.Root, named fs.FileInfo) error {
	opened, err := r.Stat(".")
	if err != nil {
		return err
	}
	if !named.IsDir() || !os.SameFile(opened, named) {
		return errMoved
	}
	return nil
}

// make makes a folder and opens it.
func (d *folders) make(parent *os.Root, name string) (*os.Root, error) {
	switch err := parent.Mkdir(name, 0o777); {
	case err == nil:
		d.made = append(d.made, madeFolder{parent, name})
	case !errors.Is(err, fs.ErrExist):
		return nil, fmt.Errorf("folder %s: %w", name, err)
	}
	r, err := parent.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	named, err := parent.Lstat(name)
	if err == nil {
		err = sameFolder(r, named)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// removeMade removes the folders that were made, where they are empty.
func (d *folders) removeMade() {
	for i := len(d.made) - 1; i >= 0; i-- {
		d.made[i].parent.Remove(d.made[i].name)
	}
}

func (d *folders) close() {
	for _, r := range d.open {
		r.Close()
	}
}
