package skills

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"app-server/internal/project"
	"app-server/protocol"
)

const (
	// fileName is what makes a folder a skill.
	fileName = "SKILL.md"
	// systemFolder, below the user's skills, belongs to the reference.
	systemFolder = ".system"
	// maxDepth is how many folders below a root are looked into, and maxFolders
	// how many altogether: a root may hold anything, such as a link to /.
	maxDepth   = 6
	maxFolders = 2000
)

// root is a folder with skills.
type root struct {
	path  string
	scope protocol.SkillScope
}

// rank is the order of the scopes in a list.
func rank(s protocol.SkillScope) int {
	return slices.Index([]protocol.SkillScope{protocol.SkillScopeRepo, protocol.SkillScopeUser, protocol.SkillScopeSystem}, s)
}

// roots lists where skills may lie. A file that is reached from two of them
// belongs to the first: a skill of the user that a project links to stays the
// user's.
func (l *Lister) roots(cwd string, extra []string, set Settings) []root {
	own := []string{filepath.Join(l.o.Home, "skills")}
	if l.o.UserHome != "" {
		own = append(own, filepath.Join(l.o.UserHome, ".agents", "skills"))
	}
	var out []root
	for _, path := range append(own, extra...) {
		out = append(out, root{filepath.Clean(path), protocol.SkillScopeUser})
	}
	for _, dir := range project.Folders(cwd, set.RootMarkers) {
		for _, name := range []string{".agents", ".codex"} {
			out = append(out, root{filepath.Join(dir, name, "skills"), protocol.SkillScopeRepo})
		}
	}
	return append(out, root{filepath.Join(l.o.Home, "skills", systemFolder), protocol.SkillScopeSystem})
}

// finder gathers the skills of one working directory.
type finder struct {
	seen    map[string]bool // files and folders by their true paths
	folders int
	skills  []Skill
	errors  []protocol.SkillErrorInfo
}

// find walks all roots. It ends early, with what it has, when ctx does.
func (l *Lister) find(ctx context.Context, cwd string, extra []string, set Settings) *finder {
	f := &finder{seen: map[string]bool{}, errors: []protocol.SkillErrorInfo{}}
	for _, r := range l.roots(cwd, extra, set) {
		if r.scope == protocol.SkillScopeSystem && set.WithoutSystem {
			continue
		}
		f.folders = 0
		f.walk(ctx, r.path, r.scope, 0)
	}
	set.apply(f.skills)
	slices.SortStableFunc(f.skills, func(a, b Skill) int {
		return cmp.Or(rank(a.Scope)-rank(b.Scope), strings.Compare(a.Name, b.Name), strings.Compare(a.Path, b.Path))
	})
	slices.SortFunc(f.errors, func(a, b protocol.SkillErrorInfo) int { return strings.Compare(a.Path, b.Path) })
	return f
}

// truePath follows links; a path that leads nowhere is itself.
func truePath(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return path
}

// walk looks into a folder and those below it. Folders whose name begins with a
// dot are left out, and what cannot be opened is passed over.
func (f *finder) walk(ctx context.Context, dir string, scope protocol.SkillScope, depth int) {
	dir = truePath(dir)
	if f.seen[dir] || f.folders >= maxFolders || ctx.Err() != nil {
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	f.seen[dir] = true
	f.folders++
	for _, e := range entries {
		if e.Type().IsRegular() && e.Name() != fileName {
			continue // a folder may hold any number of files
		}
		path := filepath.Join(dir, e.Name())
		switch st, err := os.Stat(path); {
		case err != nil:
		case !st.IsDir() && e.Name() == fileName:
			f.file(path, scope)
		case st.IsDir() && !strings.HasPrefix(e.Name(), ".") && depth < maxDepth:
			f.walk(ctx, path, scope, depth+1)
		}
	}
}

// file reads one SKILL.md.
func (f *finder) file(path string, scope protocol.SkillScope) {
	path = truePath(path)
	if f.seen[path] {
		return
	}
	f.seen[path] = true
	s, err := readSkill(path)
	if err != nil {
		f.errors = append(f.errors, protocol.SkillErrorInfo{Path: path, Message: err.Error()})
		return
	}
	s.Scope = scope
	f.skills = append(f.skills, s)
}
