package session

import (
	"os"
	"path/filepath"
	"slices"

	"app-server/protocol"
)

// profileOf tells a sandbox policy as a permission profile, as the reference does
// for each of its modes.
func profileOf(p protocol.SandboxPolicy, cwd string) *protocol.PermissionProfile {
	network := &protocol.ProfileNetwork{Enabled: p.NetworkAccess}
	switch p.Type {
	case protocol.PolicyReadOnly, protocol.PolicyWorkspaceWrite:
		return &protocol.PermissionProfile{Type: protocol.ProfileManaged, Network: network, FileSystem: &protocol.ProfileFileSystem{
			Type: protocol.FileSystemRestricted, Entries: profileEntries(p, cwd),
		}}
	case protocol.PolicyExternalSandbox:
		return &protocol.PermissionProfile{Type: protocol.ProfileExternal, Network: network}
	}
	return &protocol.PermissionProfile{Type: protocol.ProfileDisabled}
}

func profileEntries(p protocol.SandboxPolicy, cwd string) []protocol.ProfileEntry {
	special := func(kind protocol.SpecialPathKind, access protocol.ProfileAccess) protocol.ProfileEntry {
		return protocol.ProfileEntry{Path: protocol.ProfilePath{Type: protocol.PathSpecial, Value: &protocol.SpecialPath{Kind: kind}}, Access: access}
	}
	plain := func(path string, access protocol.ProfileAccess) protocol.ProfileEntry {
		return protocol.ProfileEntry{Path: protocol.ProfilePath{Type: protocol.PathPlain, Path: path}, Access: access}
	}
	entries := []protocol.ProfileEntry{special(protocol.PathRoot, protocol.AccessRead)}
	if p.Type != protocol.PolicyWorkspaceWrite {
		return entries
	}
	entries = append(entries, special(protocol.PathCwd, protocol.AccessWrite))
	if !p.ExcludeSlashTmp {
		entries = append(entries, special(protocol.PathSlashTmp, protocol.AccessWrite))
	}
	if !p.ExcludeTmpdirEnvVar {
		entries = append(entries, special(protocol.PathTmpdir, protocol.AccessWrite))
	}
	for _, root := range p.WritableRoots {
		entries = append(entries, plain(root, protocol.AccessWrite))
	}
	// The folders with settings stay read-only inside the workspace; the
	// repository's only where there is one.
	if git := filepath.Join(cwd, ".git"); exists(git) {
		entries = append(entries, plain(git, protocol.AccessRead))
	}
	return append(entries, plain(filepath.Join(cwd, ".codex"), protocol.AccessRead))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// policyOf is the sandbox policy that enforces a permission profile in each of the
// folders in which the model will work. It refuses what none would enforce in full:
// dropping a part in silence would lift what the parent meant to forbid.
func policyOf(p *protocol.PermissionProfile, places ...string) (protocol.SandboxPolicy, error) {
	var none protocol.SandboxPolicy
	switch {
	case p.Type == protocol.ProfileDisabled:
		return protocol.SandboxPolicy{Type: protocol.PolicyDangerFullAccess}, nil
	case p.Network == nil:
		return none, profileRefused("a profile of type %s needs network", p.Type)
	case p.Type == protocol.ProfileExternal:
		return protocol.SandboxPolicy{Type: protocol.PolicyExternalSandbox, NetworkAccess: p.Network.Enabled}, nil
	case p.FileSystem == nil:
		return none, profileRefused("a profile of type %s needs fileSystem", p.Type)
	case p.FileSystem.Type == protocol.FileSystemRestricted:
		return restrictedPolicy(p, places)
	case p.Network.Enabled:
		return protocol.SandboxPolicy{Type: protocol.PolicyDangerFullAccess}, nil
	}
	return none, profileRefused("all files without the network cannot be enforced by this server")
}

func restrictedPolicy(p *protocol.PermissionProfile, places []string) (protocol.SandboxPolicy, error) {
	policy := protocol.SandboxPolicy{
		Type: protocol.PolicyReadOnly, NetworkAccess: p.Network.Enabled, ExcludeSlashTmp: true, ExcludeTmpdirEnvVar: true,
	}
	var readable, writable bool // all that there is; the working directory
	var kept []string           // paths that are not to be written
	var inside []string         // the same within wherever the model works
	for _, e := range p.FileSystem.Entries {
		switch path := e.Path; {
		case e.Access == protocol.AccessNone, path.Type == protocol.PathGlob:
			return policy, profileRefused("single paths cannot be hidden by this server")
		case path.Type == protocol.PathPlain && !filepath.IsAbs(path.Path):
			return policy, profileRefused("the path %q is not absolute", path.Path)
		case path.Type == protocol.PathPlain && e.Access == protocol.AccessWrite:
			policy.WritableRoots = append(policy.WritableRoots, filepath.Clean(path.Path))
		case path.Type == protocol.PathPlain:
			kept = append(kept, filepath.Clean(path.Path))
		case path.Value == nil:
			return policy, profileRefused("a special path needs value")
		case e.Access == protocol.AccessRead:
			readable = readable || path.Value.Kind == protocol.PathRoot
			if k := path.Value.Kind; k == protocol.PathCwd || k == protocol.PathProjectRoots {
				inside = append(inside, orZero(path.Value.Subpath))
			}
		case path.Value.Kind == protocol.PathCwd, path.Value.Kind == protocol.PathProjectRoots && path.Value.Subpath == nil:
			writable = true
		case path.Value.Kind == protocol.PathSlashTmp:
			policy.ExcludeSlashTmp = false
		case path.Value.Kind == protocol.PathTmpdir:
			policy.ExcludeTmpdirEnvVar = false
		default:
			return policy, profileRefused("writing to %s cannot be enforced by this server", path.Value.Kind)
		}
	}
	more := len(policy.WritableRoots) > 0 || !policy.ExcludeSlashTmp || !policy.ExcludeTmpdirEnvVar
	switch {
	case !readable:
		return policy, profileRefused("reading cannot be restricted by this server")
	case more && !writable:
		return policy, profileRefused("writing outside of the working directory alone cannot be enforced by this server")
	case !writable:
		return protocol.SandboxPolicy{Type: protocol.PolicyReadOnly, NetworkAccess: policy.NetworkAccess}, nil
	}
	policy.Type = protocol.PolicyWorkspaceWrite
	for _, place := range places {
		all := slices.Clip(kept)
		for _, sub := range inside {
			all = append(all, filepath.Join(place, sub))
		}
		for _, path := range all {
			if !keeps(policy, place, path) {
				return policy, profileRefused("%q cannot be kept from being written by this server", path)
			}
		}
	}
	return policy, nil
}

// keptNames are what stays read-only in each folder that may be written.
var keptNames = []string{".git", ".codex"}

// keeps tells whether a path is surely read-only under a policy that lets the
// workspace be written: by its name, or since it lies outside of all that may be
// written. Where $TMPDIR is, is not asked.
func keeps(p protocol.SandboxPolicy, cwd, path string) bool {
	writable := append([]string{cwd}, p.WritableRoots...)
	if slices.Contains(keptNames, filepath.Base(path)) && slices.Contains(writable, filepath.Dir(path)) {
		return true
	}
	if !p.ExcludeSlashTmp {
		writable = append(writable, "/tmp")
	}
	return p.ExcludeTmpdirEnvVar && !slices.ContainsFunc(writable, func(dir string) bool {
		rel, err := filepath.Rel(dir, path)
		return err != nil || filepath.IsLocal(rel)
	})
}

// profileRefused tells why a permission profile is not taken.
func profileRefused(why string, args ...any) error {
	return protocol.Invalid(protocol.ReasonInvalidParams, "permissionProfile: "+why, args...)
}
