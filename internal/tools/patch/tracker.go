package patch

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Bounds of a tracker, in bytes.
const (
	maxTracked  = 64 << 20 // first contents held in memory
	maxTurnDiff = 8 << 20  // hunks of one rendered diff
)

// Tracker remembers how each file was before the patches of a turn first
// touched it, and shows what has become of it since. It is for one turn; its
// methods may be called from several goroutines.
type Tracker struct {
	view View
	base string // real path that the names of the diff are relative to

	mu    sync.Mutex
	first map[string]version // by real path, as before the turn
	moved map[string]string  // where a file's content was at first, by where it is now
	held  int
}

// NewTracker returns an empty tracker. The names in its diffs are relative to
// base, the root of the repository or the folder of the turn; files outside
// have absolute names.
func NewTracker(view View, base string) *Tracker {
	base = filepath.Clean(base)
	if real, err := realFile(view, base); err == nil {
		base = real
	}
	return &Tracker{view: view, base: base, first: map[string]version{}, moved: map[string]string{}}
}

// Record remembers what a plan saw. Call it once the plan has been applied.
func (t *Tracker) Record(p *Plan) {
	t.mu.Lock()
	defer t.mu.Unlock()
	from := map[string]string{}
	for _, f := range p.files {
		if _, ok := t.first[f.real]; !ok {
			first := versionOf(&f.before)
			if t.held+len(first.data) > maxTracked {
				first.text, first.data = false, ""
			}
			t.held += len(first.data)
			t.first[f.real] = first
		}
		if f.isMove() {
			origin := f.from.real
			if o, ok := t.moved[origin]; ok {
				origin = o
			}
			from[f.real] = origin
		}
	}
	for _, f := range p.files {
		if f.added || !f.after.exists {
			delete(t.moved, f.real)
		}
	}
	for to, origin := range from {
		t.moved[to] = origin
	}
}

// Diff returns one git diff from the state before the turn to the state now, as
// the view shows it, of all files recorded; "" when they are as they were.
// Binary files, and what goes beyond the bounds, are named without their
// content.
func (t *Tracker) Diff() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := map[string]version{}
	for real := range t.first {
		st, err := look(t.view, real)
		if err != nil {
			st = state{} // a folder, or not to be read: no file any more
		}
		now[real] = versionOf(&st)
	}
	of, taken := t.renames(now)
	var pairs []pair
	for real, first := range t.first {
		if taken[real] {
			continue
		}
		p := pair{oldName: t.name(real), newName: t.name(real), before: first, after: now[real]}
		if origin, ok := of[real]; ok {
			p.oldName, p.before = t.name(origin), t.first[origin]
		}
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.newName, b.newName) })
	var b strings.Builder
	for _, p := range pairs {
		p.write(&b, maxTurnDiff-b.Len())
	}
	return b.String()
}

// renames picks the moves that a git diff can show as such: those whose source
// is gone and whose target was not there before the turn. Others show as two
// files, else the diff would not apply. It returns the old paths by the new
// ones, and the set of the old ones.
func (t *Tracker) renames(now map[string]version) (of map[string]string, taken map[string]bool) {
	of, taken = map[string]string{}, map[string]bool{}
	for _, to := range slices.Sorted(maps.Keys(t.moved)) {
		origin := t.moved[to]
		if t.first[origin].exists && !now[origin].exists && now[to].exists && !t.first[to].exists && !taken[origin] {
			of[to] = origin
			taken[origin] = true
		}
	}
	return of, taken
}

// name returns the name of a file in the diff.
func (t *Tracker) name(real string) string {
	if rel, err := filepath.Rel(t.base, real); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return filepath.ToSlash(real)
}
