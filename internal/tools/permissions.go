package tools

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/sandbox"
	"app-server/protocol"
)

// permissionsTool is request_permissions: the model asks for more than the
// sandbox allows, for all commands and patches that follow. It is there with the
// feature request_permissions_tool only, as in the reference.
func permissionsTool() Tool {
	return Tool{Name: "request_permissions", Spec: permissionsSpec, Run: runPermissions}
}

func (t *Turn) offersPermissions() bool { return t.th.o.Features["request_permissions_tool"] }

func permissionsSpec(t *Turn) (jsontext.Value, bool) {
	files := objectSchema(map[string]any{
		"read":  listSchema("Folders to read in.", map[string]any{"type": "string"}),
		"write": listSchema("Folders to write in. They must exist.", map[string]any{"type": "string"}),
	})
	network := objectSchema(map[string]any{"enabled": map[string]any{"type": "boolean", "description": "Whether commands may use the network."}})
	return function("request_permissions", "Asks the user for more than the sandbox allows: for folders, or for the network. What is granted holds for the commands and patches that follow, for this turn or for the whole session.",
		objectSchema(map[string]any{
			"permissions": objectSchema(map[string]any{"file_system": files, "network": network}),
			"reason":      textSchema("Why it is needed, in one sentence for the user."),
		}, "permissions")), t.offersPermissions()
}

// permissionSet is a set of permissions in the model's words.
type permissionSet struct {
	Network    *protocol.NetworkPermissions `json:"network"`
	FileSystem *filePermissions             `json:"file_system"`
}

type filePermissions struct {
	Read  []string `json:"read,omitzero"`
	Write []string `json:"write,omitzero"`
}

func (s permissionSet) wantsNetwork() bool {
	return s.Network != nil && s.Network.Enabled != nil && *s.Network.Enabled
}

func (s permissionSet) isEmpty() bool {
	return !s.wantsNetwork() && (s.FileSystem == nil || len(s.FileSystem.Read)+len(s.FileSystem.Write) == 0)
}

func runPermissions(ctx context.Context, t *Turn, c Call) Output {
	if !t.offersPermissions() {
		return noTool(c)
	}
	var in struct {
		Reason      *string       `json:"reason"`
		Permissions permissionSet `json:"permissions" required:"true"`
	}
	if bad, ok := arguments(c, &in); !ok {
		return bad
	}
	if in.Permissions.isEmpty() {
		return say("No permission is asked for. Name a folder, or the network.")
	}
	if a := t.Env.Approval; a.Mode == protocol.ApprovalNever || a.Mode == protocol.ApprovalGranular && (a.Granular == nil || !a.Granular.RequestPermissions) {
		return say("Nothing was granted: the approval policy does not let the user be asked for permissions.")
	}
	if err := t.resolve(&in.Permissions); err != nil {
		return say(fmt.Sprintf("The permissions cannot be asked for: %v.", err))
	}
	raw, err := t.Host.Ask(ctx, protocol.FlagWaitingOnApproval, protocol.MethodItemPermissionsRequestApproval, &protocol.PermissionsRequestApprovalParams{
		ThreadID: t.th.o.ID, TurnID: t.ID, ItemID: c.ID, StartedAtMS: time.Now().UnixMilli(), Cwd: t.Env.Cwd,
		Reason: in.Reason, Permissions: in.Permissions.wire(),
	})
	var answer protocol.PermissionsRequestApprovalResponse
	switch {
	case err != nil && ctx.Err() != nil:
		return say(interrupted)
	case err != nil:
		return say("Nothing was granted: the user could not be asked.")
	case protocol.Decode(raw, &answer) != nil:
		return say("Nothing was granted: the question got no usable answer.")
	}
	granted := in.Permissions.within(answer.Permissions)
	if granted.isEmpty() {
		return say("The user granted nothing.")
	}
	scope, held := protocol.GrantTurn, &t.grants
	if answer.Scope == protocol.GrantSession {
		scope, held = protocol.GrantSession, &t.th.grants
	}
	held.add(granted)
	return say(string(encode(struct {
		Permissions permissionSet       `json:"permissions"`
		Scope       protocol.GrantScope `json:"scope"`
	}{granted, scope})))
}

// resolve makes the paths absolute and follows their links, so that the user
// sees what is asked for. What no grant would open is not asked for.
func (t *Turn) resolve(s *permissionSet) error {
	if s.FileSystem == nil {
		return nil
	}
	real := func(path string) string {
		if !filepath.IsAbs(path) {
			path = filepath.Join(t.Env.Cwd, path)
		}
		return followed(path)
	}
	for i, path := range s.FileSystem.Read {
		s.FileSystem.Read[i] = real(path)
	}
	for i, path := range s.FileSystem.Write {
		path = real(path)
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			return fmt.Errorf("%s is not a folder that exists", path)
		}
		opened, err := t.th.r.o.Sandbox.Folders(sandbox.Policy{Mode: protocol.SandboxWorkspaceWrite, Cwd: path, NoTmpdir: true, NoSlashTmp: true})
		if err != nil || len(opened.Writable) == 0 {
			return fmt.Errorf("%s holds files of the server itself and stays closed", path)
		}
		s.FileSystem.Write[i] = path
	}
	return nil
}

// wire is a set as the parent sees it.
func (s permissionSet) wire() protocol.PermissionGrant {
	var g protocol.PermissionGrant
	if s.wantsNetwork() {
		g.Network = s.Network
	}
	if f := s.FileSystem; f != nil && len(f.Read)+len(f.Write) > 0 {
		g.FileSystem = &protocol.FileSystemPermissions{}
		var entries []protocol.FileSystemPermission
		put := func(paths []string, access string, into *protocol.Optional[[]string]) {
			if len(paths) > 0 {
				*into = protocol.Some(paths)
			}
			for _, p := range paths {
				entries = append(entries, protocol.FileSystemPermission{Path: protocol.FileSystemPath{Type: pathEntry, Path: p}, Access: access})
			}
		}
		put(f.Read, accessRead, &g.FileSystem.Read)
		put(f.Write, accessWrite, &g.FileSystem.Write)
		g.FileSystem.Entries = protocol.Some(entries)
	}
	return g
}

// within is what of a grant was asked for: the same folders or some inside of
// them, wherever links lead. More than that is never taken.
func (s permissionSet) within(g protocol.PermissionGrant) permissionSet {
	var out permissionSet
	if s.wantsNetwork() && g.Network != nil && g.Network.Enabled != nil && *g.Network.Enabled {
		out.Network = g.Network
	}
	if s.FileSystem == nil || g.FileSystem == nil {
		return out
	}
	pick := func(asked []string, access string, list protocol.Optional[[]string]) (both []string) {
		for _, path := range givenPaths(g.FileSystem, access, list) {
			path = followed(path)
			if !slices.Contains(both, path) && slices.ContainsFunc(asked, func(dir string) bool { return inside(path, dir) }) {
				both = append(both, path)
			}
		}
		return both
	}
	f := filePermissions{
		Read:  pick(s.FileSystem.Read, accessRead, g.FileSystem.Read),
		Write: pick(s.FileSystem.Write, accessWrite, g.FileSystem.Write),
	}
	if len(f.Read)+len(f.Write) > 0 {
		out.FileSystem = &f
	}
	return out
}

// followed is an absolute path with its links followed, where it exists.
func followed(path string) string {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		return to
	}
	return filepath.Clean(path)
}

// The words of the entries of a grant.
const (
	pathEntry   = "path"
	accessRead  = "read"
	accessWrite = "write"
)

// givenPaths are the absolute paths of a grant: those of the list, and where the
// parent left it out, those of the entries.
func givenPaths(f *protocol.FileSystemPermissions, access string, list protocol.Optional[[]string]) (paths []string) {
	switch {
	case list.Value != nil:
		paths = slices.Clone(*list.Value)
	case f.Entries.Value != nil:
		for _, e := range *f.Entries.Value {
			if e.Path.Type == pathEntry && e.Access == access {
				paths = append(paths, e.Path.Path)
			}
		}
	}
	return slices.DeleteFunc(paths, func(p string) bool { return !filepath.IsAbs(p) })
}

// inside reports whether a path is dir or lies in it. Both are clean.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// grants are permissions beyond the sandbox policy that the user gave. The zero
// value is none. Permissions to read are not kept: everything may be read.
type grants struct {
	mu      sync.Mutex
	folders []string
	network bool
}

func (g *grants) add(s permissionSet) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.network = g.network || s.wantsNetwork()
	if s.FileSystem != nil {
		for _, dir := range s.FileSystem.Write {
			if !slices.Contains(g.folders, dir) {
				g.folders = append(g.folders, dir)
			}
		}
	}
}

// widen is a policy with the permissions granted on top.
func (g *grants) widen(p sandbox.Policy) sandbox.Policy {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.Mode == protocol.SandboxDangerFullAccess {
		return p
	}
	p.Network = p.Network || g.network
	switch {
	case len(g.folders) == 0:
	case p.Mode == protocol.SandboxWorkspaceWrite:
		p.WritableRoots = slices.Concat(p.WritableRoots, g.folders)
	default:
		// Read-only but for these folders. The first one stands where the working
		// directory stands elsewhere, which itself stays read-only.
		p.Mode, p.Cwd, p.WritableRoots = protocol.SandboxWorkspaceWrite, g.folders[0], slices.Clone(g.folders[1:])
		p.NoTmpdir, p.NoSlashTmp = true, true
	}
	return p
}
