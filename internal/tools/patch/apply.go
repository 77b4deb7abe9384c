package patch

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// StaleError says that a file is not any more what the plan saw: nothing was
// written. The caller may plan again, and must then check Touched again.
type StaleError struct{ Path string }

// Error names the file.
func (e *StaleError) Error() string {
	return fmt.Sprintf("%s was changed by someone else after the patch was read", e.Path)
}

// UndoError says that a patch failed half way and that these files could not be
// put back. Err is the first failure.
type UndoError struct {
	Err   error
	Paths []string
}

// Error names the failure and the files.
func (e *UndoError) Error() string {
	return fmt.Sprintf("%v; these files could not be put back: %q", e.Err, e.Paths)
}

// Unwrap returns the failure that made undoing necessary.
func (e *UndoError) Unwrap() error { return e.Err }

// Apply does what was planned, on this machine's disk: all of it, or, with an
// error, nothing. Each file is written beside its place and then renamed into
// it, with the permissions and (where the system allows it) the owner that it
// had; a hard link to it keeps the old content. A file that cannot be replaced,
// since its folder takes no other or something is mounted on it, is written over
// instead. Missing folders are made, and removed again when the patch fails.
//
// Before anything is changed every file is compared with what the plan saw; a
// difference is a *StaleError. Only an *UndoError leaves anything half done.
// ctx is looked at until the first file is put in its place, not after. Apply
// a plan once: a second time its files are stale.
func (p *Plan) Apply(ctx context.Context) error { return p.apply(ctx, nil) }

// apply calls hook, where there is one, before each rename. Tests fail there.
func (p *Plan) apply(ctx context.Context, hook func(real string) error) (err error) {
	a := &applier{folders: newFolders()}
	defer a.folders.close()
	defer func() {
		if err != nil {
			err = a.undo(err)
			return
		}
		a.clean()
	}()
	// Removals go first: where the file system does not tell A from a, a move
	// from one to the other would else remove what it wrote.
	for _, f := range p.files {
		if f.before.exists && !f.after.exists {
			a.jobs = append(a.jobs, &job{file: f})
		}
	}
	for _, f := range p.files {
		if f.after.exists && !f.same() {
			a.jobs = append(a.jobs, &job{file: f})
		}
	}
	for _, j := range a.jobs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.prepare(j); err != nil {
			return fail(j, err)
		}
	}
	for _, j := range a.jobs {
		if hook != nil {
			if err := hook(j.real); err != nil {
				return fail(j, err)
			}
		}
		if err := j.commit(); err != nil {
			return fail(j, err)
		}
	}
	return nil
}

// fail names the file in an error, without the names of temporary files.
func fail(j *job, err error) error {
	var stale *StaleError
	if errors.As(err, &stale) {
		return err
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		err = link.Err
	}
	return fmt.Errorf("%s cannot be written: %w", j.path, err)
}

// same reports whether the patch leaves a file as it is.
func (f *file) same() bool {
	return f.before.exists && f.after.exists && f.before.data == f.after.data &&
		f.before.mode == f.after.mode && !f.before.unread
}

// job is one file on its way to its place.
type job struct {
	*file
	dir  *os.Root // its folder, opened and checked
	base string
	temp string // the new content before commit; the old file after, for a removal
	done bool
}

type applier struct {
	folders *folders
	jobs    []*job
}

// prepare opens the folder of a job, compares the file with what the plan saw,
// and writes the new content beside it.
func (a *applier) prepare(j *job) error {
	dir, base, err := a.folders.of(j.real)
	if err != nil {
		return err
	}
	j.dir, j.base = dir, base
	if err := j.unchanged(); err != nil {
		return err
	}
	if !j.after.exists {
		return nil
	}
	if j.before.exists {
		// A file that may not be written in place shall not be replaced either.
		f, err := dir.OpenFile(base, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		f.Close()
	}
	j.temp, err = j.write(j.after.data)
	return err
}

// tempName returns a name that nobody can foresee.
func tempName() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return ".patch-" + hex.EncodeToString(b[:])
}

// write writes data to a new file in the job's folder, with the permissions
// and owner of the old file, and returns its name. The name is empty where the
// folder takes no new file and the old one has to be written over.
func (j *job) write(data string) (name string, err error) {
	name = tempName()
	perm := fs.FileMode(0o666) // less the umask
	if j.before.exists {
		perm = 0o600
	}
	f, err := j.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if errors.Is(err, fs.ErrPermission) && j.before.exists {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			j.dir.Remove(name)
			name = ""
		}
	}()
	if _, err := f.WriteString(data); err != nil {
		return name, err
	}
	mode := j.after.mode
	if !j.after.exists || mode == 0 {
		mode = j.before.mode
	}
	if j.before.exists {
		keepOwner(f, j.before.info)
	}
	if mode.Perm() != 0 {
		return name, f.Chmod(mode.Perm())
	}
	return name, nil
}

// unchanged compares the file with what the plan saw.
func (j *job) unchanged() error {
	stale := &StaleError{j.path}
	info, err := j.dir.Lstat(j.base)
	if errors.Is(err, fs.ErrNotExist) {
		if j.before.exists {
			return stale
		}
		return nil
	}
	if err != nil {
		return err
	}
	if !j.before.exists || info.Mode().Type() != j.before.mode.Type() {
		return stale
	}
	switch {
	case j.before.unread:
		if info.Size() != j.before.info.Size() || !info.ModTime().Equal(j.before.info.ModTime()) {
			return stale
		}
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		if to, err := j.dir.Readlink(j.base); err != nil || to != j.before.data {
			return stale
		}
		return nil
	case info.Size() != int64(len(j.before.data)):
		return stale
	}
	// A pipe put there meanwhile would keep us waiting.
	f, err := j.dir.OpenFile(j.base, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || !os.SameFile(now, info) {
		return stale
	}
	data, err := readBounded(f)
	if err != nil {
		return err
	}
	if string(data) != j.before.data {
		return stale
	}
	return nil
}

// commit puts the new file in its place, or takes the old one out of it.
func (j *job) commit() error {
	if j.after.exists {
		return j.place(j.after.data)
	}
	name := tempName()
	if err := j.dir.Rename(j.base, name); err != nil {
		return err
	}
	j.temp, j.done = name, true
	return nil
}

// place puts the file that was written beside its place into it, or writes over
// the one that is there.
func (j *job) place(data string) error {
	if j.temp != "" {
		err := j.dir.Rename(j.temp, j.base)
		if err == nil {
			j.temp, j.done = "", true
		}
		if !errors.Is(err, syscall.EBUSY) {
			return err
		}
	}
	f, err := j.dir.OpenFile(j.base, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	// A link could have been put there meanwhile.
	if now, err := f.Stat(); err != nil || !os.SameFile(now, j.before.info) {
		return &StaleError{j.path}
	}
	j.done = true // in part from here on
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteString(data)
	return err
}

// revert takes back a commit.
func (j *job) revert() error {
	switch {
	case !j.after.exists:
		if err := j.dir.Rename(j.temp, j.base); err != nil {
			return err
		}
		j.temp = ""
		return nil
	case !j.before.exists:
		return j.dir.Remove(j.base)
	}
	var err error
	if j.temp, err = j.write(j.before.data); err != nil {
		return err
	}
	return j.place(j.before.data)
}

// undo takes back all commits, the last first, and removes what was prepared.
func (a *applier) undo(cause error) error {
	var lost []string
	for i := len(a.jobs) - 1; i >= 0; i-- {
		j := a.jobs[i]
		if j.done {
			if err := j.revert(); err != nil {
				lost = append(lost, j.path)
			}
		}
		if j.temp != "" && j.after.exists {
			j.dir.Remove(j.temp)
		}
	}
	a.folders.removeMade()
	if lost != nil {
		return &UndoError{cause, lost}
	}
	return cause
}

// clean removes the files that were taken out of their places, or were not needed
// for them. It runs when all is done; what cannot be removed then stays under its
// temporary name.
func (a *applier) clean() {
	for _, j := range a.jobs {
		if j.temp != "" {
			j.dir.Remove(j.temp)
		}
	}
}
