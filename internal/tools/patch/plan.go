package patch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"
)

// Plan is what a patch does to the files it names, worked out and not yet done.
// It does not change once made; all its methods may be called from several
// goroutines.
type Plan struct {
	// Changes is the net effect on each file, in the order of the patch.
	// Sections of one patch see each other's work, so that a file that is added
	// and then updated is one add.
	Changes []Change

	files   []*file
	summary []summaryLine
}

// Change is the effect on one file. Paths are absolute and clean; MovePath is
// set where an update also moves the file. Old is what was at Path, New what
// will be at MovePath or Path.
type Change struct {
	Path     string
	MovePath string
	Kind     Kind
	Old, New string

	opaque int64 // size of the old content where it is no text that can be shown, or -1
}

// PlanError says why a patch cannot be applied to the files as they are. Path
// is as the patch has it, Line counts from 1 in the patch.
type PlanError struct {
	Line   int
	Path   string
	Reason string
}

// Error returns the line, the path and the reason.
func (e *PlanError) Error() string {
	return fmt.Sprintf("patch line %d: %s: %s", e.Line, e.Path, e.Reason)
}

// state is a file at one moment. A file whose content was not read (too large,
// and only to be removed) is known by its size and time.
type state struct {
	exists bool
	unread bool
	mode   fs.FileMode // permissions, and ModeSymlink for a link
	data   string      // content, or the target of a link
	info   fs.FileInfo // as it was found; nil for a state that the patch makes
}

// file is one name in the file system that the patch touches. real has no
// symlinks in its folder.
type file struct {
	real   string
	path   string // as the patch names it, absolute
	before state
	after  state
	from   *file    // where the content was moved from
	added  bool     // written by an Add
	by     *Section // the first that wrote or removed it; nil where it was only read
}

// planner works on an overlay of the view, so that later sections see what
// earlier ones did.
type planner struct {
	View
	ctx     context.Context
	cwd     string
	files   []*file
	byReal  map[string]*file
	held    int // bytes of file content in memory
	now     *Section
	summary []summaryLine
	noted   map[summaryLine]bool
}

// maxHeld bounds the content of files that one plan keeps, in bytes.
const maxHeld = 128 << 20

// Plan works out what the patch does, seen from the folder cwd (absolute),
// without writing anything. An error is a *PlanError for the model, or the
// context's.
func (p *Patch) Plan(ctx context.Context, view View, cwd string) (*Plan, error) {
	if !filepath.IsAbs(cwd) {
		return nil, fmt.Errorf("patch: folder %q is not absolute", cwd)
	}
	w := &planner{View: view, ctx: ctx, cwd: cwd, byReal: map[string]*file{}, noted: map[summaryLine]bool{}}
	for i := range p.Sections {
		s := &p.Sections[i]
		w.now = s
		err := w.section(s)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, planError(s, err)
		}
	}
	w.files = slices.DeleteFunc(w.files, func(f *file) bool { return f.by == nil })
	if err := w.nested(); err != nil {
		return nil, err
	}
	return &Plan{Changes: w.changes(), files: w.files, summary: w.summary}, nil
}

// Touched returns the real paths that Apply writes or removes, sorted, each
// once. All symlinks are resolved (of a symlink that is itself removed, those
// of its folder), so that a sandbox can check them as they are. Apply also
// makes the folders above them that are missing.
func (p *Plan) Touched() []string {
	out := make([]string, 0, len(p.files))
	for _, f := range p.files {
		out = append(out, f.real)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// planError puts a reason into words that say nothing the model cannot use.
func planError(s *Section, err error) error {
	e := &PlanError{Line: s.Line, Path: s.Path, Reason: err.Error()}
	var hunk *hunkError
	var path *fs.PathError
	switch {
	case errors.As(err, &hunk):
		e.Line = hunk.line
	case errors.Is(err, syscall.ENOTDIR):
		e.Reason = "a part of the path is not a folder"
	case errors.As(err, &path):
		e.Reason = "cannot be read: " + path.Err.Error()
	}
	return e
}

// section does one file of the patch on the overlay.
func (w *planner) section(s *Section) error {
	abs, err := w.abs(s.Path)
	if err != nil {
		return err
	}
	switch s.Kind {
	case Add:
		f, err := w.target(abs)
		if err != nil {
			return err
		}
		w.put(f, state{exists: true, mode: f.after.mode, data: s.Content})
		f.added, f.from = true, nil
		w.note('A', s.Path)
	case Delete:
		f, err := w.node(abs)
		if err != nil {
			return err
		}
		w.put(f, state{})
		f.from = nil
		w.note('D', s.Path)
	default:
		return w.update(s, abs)
	}
	return nil
}

// update does an Update, which may move the file too.
func (w *planner) update(s *Section, abs string) error {
	src, err := w.open(abs)
	if err != nil {
		return err
	}
	switch {
	case !src.after.exists:
		return errors.New("there is no such file to update")
	case src.after.unread:
		return errTooLarge
	case !utf8.ValidString(src.after.data):
		return errors.New("the file is not UTF-8 text and cannot be updated by a patch")
	}
	text, err := updated(w.ctx, src.after.data, s.Hunks)
	if err != nil {
		return err
	}
	if len(text) > maxFile {
		return errTooLarge
	}
	made := state{exists: true, mode: src.after.mode, data: text}
	if s.MovePath == "" {
		w.put(src, made)
		w.note('M', s.Path)
		return nil
	}
	toAbs, err := w.abs(s.MovePath)
	if err != nil {
		return fmt.Errorf("move target: %w", err)
	}
	dst, err := w.target(toAbs)
	if err != nil {
		return fmt.Errorf("move target %s: %w", s.MovePath, err)
	}
	// What is moved is held in a second place.
	if w.held += len(text); w.held > maxHeld {
		return errTooLarge
	}
	w.note('M', s.MovePath)
	if dst == src {
		// Moved to itself: the file must not be removed.
		w.put(src, made)
		return nil
	}
	gone, err := w.node(abs)
	if err != nil {
		return err
	}
	w.put(dst, made)
	switch {
	case gone != src:
		// A symlink is removed and what it led to is copied: no move.
		dst.from, dst.added = nil, true
	case gone.from != nil || gone.added:
		// The file came to its place in this same patch.
		dst.from, dst.added = gone.from, gone.added
	default:
		dst.from, dst.added = gone, false
	}
	w.put(gone, state{})
	gone.from, gone.added = nil, false
	return nil
}

// put notes what a section makes of a file.
func (w *planner) put(f *file, to state) {
	f.after = to
	if f.by == nil {
		f.by = w.now
	}
}

// errLinkGone says that a path leads through a link that the same patch removes:
// the view would still follow it.
var errLinkGone = errors.New("a link on the path is removed by this same patch; use it in another patch")

// Lstat is the view's, but for the links that the patch has removed.
func (w *planner) Lstat(name string) (fs.FileInfo, error) {
	if f := w.byReal[name]; f != nil && f.before.mode&fs.ModeSymlink != 0 && !f.after.exists {
		return nil, errLinkGone
	}
	return w.View.Lstat(name)
}

// abs makes a path of the patch absolute. Paths may be absolute or climb with
// "..": what they may reach is for the caller to decide, on Touched.
func (w *planner) abs(p string) (string, error) {
	switch {
	case p == "":
		return "", errors.New("the path is empty")
	case strings.ContainsRune(p, 0):
		return "", errors.New("the path holds a zero byte")
	case strings.HasSuffix(p, "/"):
		return "", errors.New("the path ends with a slash and names a folder")
	}
	p = filepath.FromSlash(p)
	if !filepath.IsAbs(p) {
		p = filepath.Join(w.cwd, p)
	}
	return filepath.Clean(p), nil
}

// open returns the file that abs leads to, through a symlink too.
func (w *planner) open(abs string) (*file, error) {
	real, err := realFile(w, abs)
	if err != nil {
		return nil, err
	}
	return w.load(real, abs)
}

// target returns the file that a write to abs would create or replace.
func (w *planner) target(abs string) (*file, error) {
	f, err := w.open(abs)
	if err != nil {
		return nil, err
	}
	if f.before.unread {
		return nil, errTooLarge
	}
	return f, nil
}

// node returns the name to remove, without following a symlink in its place.
func (w *planner) node(abs string) (*file, error) {
	real, err := realNode(w, abs)
	if err != nil {
		return nil, err
	}
	f, err := w.load(real, abs)
	if err != nil {
		return nil, err
	}
	if !f.after.exists {
		return nil, errors.New("there is no such file to delete")
	}
	return f, nil
}

// load returns the overlay's file, reading it when it is seen first.
func (w *planner) load(real, path string) (*file, error) {
	if f := w.byReal[real]; f != nil {
		return f, nil
	}
	st, err := look(w, real)
	if err != nil {
		return nil, err
	}
	if w.held += len(st.data); w.held > maxHeld {
		st.unread, st.data = true, ""
	}
	f := &file{real: real, path: path, before: st, after: st}
	w.byReal[real] = f
	w.files = append(w.files, f)
	return f, nil
}

// look reads one name.
func look(v View, real string) (state, error) {
	info, err := v.Lstat(real)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return state{}, nil
	case err != nil:
		return state{}, err
	case info.IsDir():
		return state{}, errors.New("this is a folder, not a file")
	}
	st := state{exists: true, mode: info.Mode().Perm(), info: info}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		st.mode |= fs.ModeSymlink
		st.data, err = v.Readlink(real)
		return st, err
	case !info.Mode().IsRegular():
		return state{}, errNotRegular
	case info.Size() > maxFile:
		st.unread = true
		return st, nil
	}
	data, err := v.ReadFile(real)
	if errors.Is(err, errTooLarge) {
		st.unread, err = true, nil
		data = nil
	}
	st.data = string(data)
	return st, err
}

// nested refuses a patch that needs one name both as a file and as a folder.
func (w *planner) nested() error {
	for _, f := range w.files {
		if !f.after.exists {
			continue
		}
		for dir := filepath.Dir(f.real); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			if g := w.byReal[dir]; g != nil && g.after.exists {
				return &PlanError{f.by.Line, f.by.Path, "its folder is a file of this same patch"}
			}
		}
	}
	return nil
}

// changes folds the overlay into one change for each file.
func (w *planner) changes() []Change {
	moved := map[*file]bool{}
	for _, f := range w.files {
		if f.isMove() {
			moved[f.from] = true
		}
	}
	var out []Change
	for _, f := range w.files {
		c := Change{Path: f.path, Old: f.before.data, New: f.after.data, opaque: f.before.opaque()}
		switch {
		case f.isMove():
			c.Kind, c.Path, c.MovePath = Update, f.from.path, f.path
			c.Old, c.opaque = f.from.before.data, f.from.before.opaque()
		case moved[f]:
			continue
		case f.after.exists && (f.added || !f.before.exists):
			c.Kind = Add
		case f.after.exists:
			c.Kind = Update
		case f.before.exists:
			c.Kind, c.New = Delete, ""
		default: // added and deleted again
			continue
		}
		out = append(out, c)
	}
	return out
}

// isMove reports whether f holds in the end what another file held before.
func (f *file) isMove() bool {
	return f.from != nil && f.after.exists && f.from.before.exists && !f.from.after.exists
}

// opaque returns the size of a content that cannot be shown as text, or -1.
func (s *state) opaque() int64 {
	if s.exists && (s.unread || !utf8.ValidString(s.data)) {
		return s.info.Size()
	}
	return -1
}
