package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"app-server/internal/project"
)

// projectFolder is the folder of a project, or of a part of it, that may hold a
// settings file.
const projectFolder = ".codex"

// projectLayer is the settings file of a project's folder.
type projectLayer struct {
	tree *node
	// disabled says why the layer does not count; empty where it does.
	disabled string
}

// TrustLevel is what the user has said about a project.
type TrustLevel string

// The levels of trust.
const (
	Trusted   TrustLevel = "trusted"
	Untrusted TrustLevel = "untrusted"
)

// notOfProjects are the settings that a project's file cannot make: where requests
// and sign-ins go and who may sign in, what is run beside the server, which
// profile holds, and which projects are trusted. Later versions of the reference
// refuse most of them.
var notOfProjects = [...]string{
	"openai_base_url", "chatgpt_base_url", "model_provider", "model_providers", "notify", keyProfile, "profiles",
	"experimental_realtime_ws_base_url", "otel",
	keyWorkspaces, keyLoginMethod, "cli_auth_credentials_store", "mcp_oauth_credentials_store", "projects", "project_root_markers",
}

// In returns the settings with those of the project that a folder lies in: the
// files .codex/config.toml from the project's root down to the folder, those
// further down being stronger. Only those of trusted folders count. cwd is an
// absolute path; c is never changed.
func (c *Config) In(cwd string) *Config {
	l := c.layers
	l.cwd, l.projects, l.found = cwd, nil, slices.Clone(l.found)
	own := l.own()
	folders := project.Folders(cwd, c.ProjectRootMarkers)
	for _, dir := range folders {
		folder := filepath.Join(dir, projectFolder)
		if st, err := os.Stat(folder); err != nil || !st.IsDir() || sameFolder(folder, l.options.Home) {
			continue
		}
		tree, problems := readFile(folder, fileName)
		p := projectLayer{tree: tree}
		switch own.trust(dir, folders[0]) {
		case Trusted:
			l.found = append(l.found, problems...)
			l.found = append(l.found, strip(tree)...)
		case Untrusted:
			p.disabled = fmt.Sprintf("%s is marked as untrusted in %s, so the settings in it do not count.", dir, l.user.src.name)
		default:
			p.disabled = fmt.Sprintf("The settings in %s do not count, unless it is a trusted project in %s.", dir, l.user.src.name)
		}
		if p.disabled != "" && len(tree.names) > 0 {
			l.found = append(l.found, Problem{
				Summary: "A project's settings are left out, because the project is not trusted.", Details: p.disabled, Path: tree.src.name,
			})
		}
		l.projects = append(l.projects, p)
	}
	return decode(l)
}

// sameFolder reports whether two paths lead to one folder.
func sameFolder(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// strip takes out of a project's tree what it cannot set.
func strip(tree *node) []Problem {
	var names []string
	for _, name := range notOfProjects {
		if tree.members[name] != nil {
			names = append(names, name)
			delete(tree.members, name)
		}
	}
	if names == nil {
		return nil
	}
	tree.names = slices.DeleteFunc(tree.names, func(name string) bool { return tree.members[name] == nil })
	return []Problem{{
		Summary: "Settings that a project cannot make were left out.",
		Details: tree.src.name + ": " + strings.Join(names, ", "), Path: tree.src.name,
	}}
}

// rootMarkers reads project_root_markers.
func (r *reader) rootMarkers() []string {
	const key = "project_root_markers"
	n := r.base.get(key)
	if list, ok := r.texts(n, key); n != nil && ok {
		return list
	}
	return project.GitMarkers()
}

// trust is what the user has said about the first of the folders that he has said
// anything about; last about the repository of which it is a worktree.
func (r *reader) trust(folders ...string) TrustLevel {
	projects := r.base.get("projects")
	if projects == nil {
		return ""
	}
	for _, dir := range append(folders, project.Repository(folders[len(folders)-1])) {
		if dir == "" {
			continue
		}
		entry := projects.get(dir)
		if real, err := filepath.EvalSymlinks(dir); entry == nil && err == nil {
			entry = projects.get(real)
		}
		if entry == nil {
			continue
		}
		// Whatever cannot be read is no trust.
		if level := entry.get("trust_level"); level != nil && level.kind == kindText && level.text == string(Trusted) && r.sure(level) {
			return Trusted
		}
		return Untrusted
	}
	return ""
}
