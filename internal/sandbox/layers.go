package sandbox

import (
	"cmp"
	"path/filepath"
	"slices"
)

// layer is one rule over a folder; deeper layers lie over the others.
type layer struct {
	path     string
	writable bool
}

// layers are the rules of the folders, outer ones first, without those that
// change nothing because an outer rule says the same. Never comes last and so
// wins over everything inside of it.
func (f Folders) layers() []layer {
	var all, out []layer
	for _, dir := range f.Writable {
		if !within(dir, f.Never) {
			all = append(all, layer{dir, true})
		}
	}
	for _, dir := range slices.Concat(f.Kept, f.Never) {
		all = append(all, layer{dir, false})
	}
	// A read-only rule for the same folder comes second.
	slices.SortStableFunc(all, func(a, b layer) int { return cmp.Compare(a.path, b.path) })
	for _, l := range all {
		covered := false // outside of everything all is read-only
		for _, o := range out {
			if under(l.path, o.path) {
				covered = o.writable
			}
		}
		if covered != l.writable {
			out = append(out, l)
		}
	}
	return out
}

// between lists the folders strictly between path and the innermost writable
// layer that holds it, outer ones first. Whoever may write there could move
// them aside, and what is kept read-only with them, and put others in their
// place.
func (f Folders) between(path string) []string {
	root := ""
	for _, l := range f.layers() {
		if l.writable && l.path != path && under(path, l.path) {
			root = l.path // they are sorted
		}
	}
	if root == "" {
		return nil
	}
	var out []string
	for dir := filepath.Dir(path); dir != root && len(dir) > len(root); dir = filepath.Dir(dir) {
		out = append(out, dir)
	}
	slices.Reverse(out)
	return out
}
