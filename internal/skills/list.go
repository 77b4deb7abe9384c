package skills

import (
	"context"
	"path/filepath"

	"app-server/protocol"
)

// Options say where the user's skills lie. All paths are absolute.
type Options struct {
	// Home is the server's folder, UserHome the user's, "" where it is not known.
	Home, UserHome string
	// Cwd is the server's working directory, where relative ones start.
	Cwd string
	// Disabled lists the SKILL.md files that are switched off. Nil: none.
	Disabled func() []string
}

// Lister lists skills. It is safe for concurrent use.
type Lister struct{ o Options }

// NewLister makes a Lister. It reads nothing.
func NewLister(o Options) *Lister { return &Lister{o: o} }

// List handles skills/list. It fails only for extra folders whose paths are not
// absolute; a folder that is not there has no skills.
func (l *Lister) List(ctx context.Context, p *protocol.SkillsListParams) (protocol.SkillsListResponse, error) {
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
	var off []string
	if l.o.Disabled != nil {
		off = l.o.Disabled()
	}
	r := protocol.SkillsListResponse{Data: make([]protocol.SkillsListEntry, 0, len(cwds))}
	for _, cwd := range cwds {
		var extra []string
		for _, e := range p.PerCwdExtraUserRoots {
			if e.Cwd == cwd {
				extra = append(extra, e.ExtraUserRoots...)
			}
		}
		entry := l.find(ctx, l.absolute(cwd), extra, off)
		entry.Cwd = cwd
		r.Data = append(r.Data, entry)
	}
	return r, ctx.Err()
}

func (l *Lister) absolute(cwd string) string {
	if filepath.IsAbs(cwd) {
		return filepath.Clean(cwd)
	}
	return filepath.Join(l.o.Cwd, cwd)
}
