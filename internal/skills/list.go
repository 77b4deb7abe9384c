package skills

import (
	"context"
	"path/filepath"
	"slices"

	"app-server/protocol"
)

// Options say where the user's skills lie. All paths are absolute.
type Options struct {
	// Home is the server's folder, UserHome the user's, "" where it is not known.
	Home, UserHome string
	// Cwd is the server's working directory, where relative ones start.
	Cwd string
}

// Settings are what the configuration says about skills.
type Settings struct {
	// Rules switch skills on and off. The last one that fits a skill counts.
	Rules []Rule
	// RootMarkers are the names by which a project's root is known.
	RootMarkers []string
	// WithoutSystem leaves the skills of the reference out.
	WithoutSystem bool
}

// Rule is about the skill in a file, or about those of a name. One of the two is
// set; Path is absolute.
type Rule struct {
	Path, Name string
	Enabled    bool
}

// apply switches skills on and off.
func (s Settings) apply(all []Skill) {
	rules := slices.Clone(s.Rules)
	for i, r := range rules {
		if r.Path != "" {
			rules[i].Path = truePath(r.Path)
		}
	}
	for i := range all {
		m := &all[i].SkillMetadata
		m.Enabled = true
		for _, r := range rules {
			if r.Path != "" && r.Path == m.Path || r.Name != "" && r.Name == m.Name {
				m.Enabled = r.Enabled
			}
		}
	}
}

// Lister lists skills. It is safe for concurrent use.
type Lister struct{ o Options }

// NewLister makes a Lister. It reads nothing.
func NewLister(o Options) *Lister { return &Lister{o: o} }

// List handles skills/list under the settings that hold in each of the working
// directories. It fails only for extra folders whose paths are not
// absolute; a folder that is not there has no skills.
func (l *Lister) List(ctx context.Context, p *protocol.SkillsListParams, settings func(cwd string) Settings) (protocol.SkillsListResponse, error) {
	for _, e := range p.PerCwdExtraUserRoots {
		for _, path := range e.ExtraUserRoots {
			if !filepath.IsAbs(path) {
				return protocol.SkillsListResponse{}, protocol.Invalid(protocol.ReasonInvalidParams, "extraUserRoots must be absolute paths")
			}
		}
	}
	cwds := p.Cwds
	if len(cwds) == 0 {
		cwds = []string{l.o.Cwd}
	}
	r := protocol.SkillsListResponse{Data: make([]protocol.SkillsListEntry, 0, len(cwds))}
	for _, cwd := range cwds {
		var extra []string
		for _, e := range p.PerCwdExtraUserRoots {
			if e.Cwd == cwd {
				extra = append(extra, e.ExtraUserRoots...)
			}
		}
		dir := l.absolute(cwd)
		found := l.find(ctx, dir, extra, settings(dir))
		entry := protocol.SkillsListEntry{Cwd: cwd, Skills: make([]protocol.SkillMetadata, len(found.skills)), Errors: found.errors}
		for i, s := range found.skills {
			entry.Skills[i] = s.SkillMetadata
		}
		r.Data = append(r.Data, entry)
	}
	return r, ctx.Err()
}

// Enabled lists the skills that a thread in a working directory may use, in the
// order of skills/list.
func (l *Lister) Enabled(ctx context.Context, cwd string, set Settings) []Skill {
	found := l.find(ctx, cwd, nil, set).skills
	return slices.DeleteFunc(found, func(s Skill) bool { return !s.SkillMetadata.Enabled })
}

func (l *Lister) absolute(cwd string) string {
	if filepath.IsAbs(cwd) {
		return filepath.Clean(cwd)
	}
	return filepath.Join(l.o.Cwd, cwd)
}
