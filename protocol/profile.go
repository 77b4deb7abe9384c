package protocol

// PermissionProfile is what the model's commands may do, in a newer form than
// [SandboxPolicy]: what may be read and written is listed.
type PermissionProfile struct {
	Type ProfileType `json:"type" required:"true"`
	// Network and FileSystem belong to a managed profile, Network to an external
	// one as well.
	Network    *ProfileNetwork    `json:"network,omitzero"`
	FileSystem *ProfileFileSystem `json:"fileSystem,omitzero"`
}

// ProfileType says who enforces a profile.
type ProfileType string

// The types of a profile.
const (
	ProfileManaged  ProfileType = "managed"  // this server
	ProfileDisabled ProfileType = "disabled" // nobody
	ProfileExternal ProfileType = "external" // whoever runs this server
)

// UnmarshalText refuses unknown types.
func (t *ProfileType) UnmarshalText(b []byte) error {
	return closedEnum(t, b, ProfileManaged, ProfileDisabled, ProfileExternal)
}

// ProfileNetwork is whether the network may be used.
type ProfileNetwork struct {
	Enabled bool `json:"enabled" required:"true"`
}

// ProfileFileSystem is what may be read and written: everything, or what the
// entries say.
type ProfileFileSystem struct {
	Type    ProfileFileSystemType `json:"type" required:"true"`
	Entries []ProfileEntry        `json:"entries,omitzero"`
}

// ProfileFileSystemType is the type of a ProfileFileSystem.
type ProfileFileSystemType string

// The types of a ProfileFileSystem.
const (
	FileSystemRestricted   ProfileFileSystemType = "restricted"
	FileSystemUnrestricted ProfileFileSystemType = "unrestricted"
)

// UnmarshalText refuses unknown types.
func (t *ProfileFileSystemType) UnmarshalText(b []byte) error {
	return closedEnum(t, b, FileSystemRestricted, FileSystemUnrestricted)
}

// ProfileEntry is one rule about paths.
type ProfileEntry struct {
	Path   ProfilePath   `json:"path" required:"true"`
	Access ProfileAccess `json:"access" required:"true"`
}

// ProfileAccess is what an entry allows.
type ProfileAccess string

// The kinds of access.
const (
	AccessRead  ProfileAccess = "read"
	AccessWrite ProfileAccess = "write"
	AccessNone  ProfileAccess = "none"
)

// UnmarshalText refuses unknown kinds.
func (a *ProfileAccess) UnmarshalText(b []byte) error {
	return closedEnum(a, b, AccessRead, AccessWrite, AccessNone)
}

// ProfilePath is what an entry is about, in the member that belongs to its type.
type ProfilePath struct {
	Type    ProfilePathType `json:"type" required:"true"`
	Path    string          `json:"path,omitzero"`
	Pattern string          `json:"pattern,omitzero"`
	Value   *SpecialPath    `json:"value,omitzero"`
}

// ProfilePathType is the type of a ProfilePath.
type ProfilePathType string

// The types of a ProfilePath.
const (
	PathPlain   ProfilePathType = "path"
	PathGlob    ProfilePathType = "glob_pattern"
	PathSpecial ProfilePathType = "special"
)

// UnmarshalText refuses unknown types.
func (t *ProfilePathType) UnmarshalText(b []byte) error {
	return closedEnum(t, b, PathPlain, PathGlob, PathSpecial)
}

// SpecialPath is a place that is the same for all. Subpath leads on from the
// roots of a project.
type SpecialPath struct {
	Kind    SpecialPathKind `json:"kind" required:"true"`
	Subpath *string         `json:"subpath,omitzero"`
}

// SpecialPathKind is the kind of a SpecialPath.
type SpecialPathKind string

// The kinds of a SpecialPath.
const (
	PathRoot         SpecialPathKind = "root"
	PathMinimal      SpecialPathKind = "minimal" // what programs need to run at all
	PathCwd          SpecialPathKind = "current_working_directory"
	PathProjectRoots SpecialPathKind = "project_roots"
	PathTmpdir       SpecialPathKind = "tmpdir" // $TMPDIR
	PathSlashTmp     SpecialPathKind = "slash_tmp"
	PathUnknown      SpecialPathKind = "unknown"
)

// UnmarshalText refuses kinds that nobody knows.
func (k *SpecialPathKind) UnmarshalText(b []byte) error {
	return closedEnum(k, b, PathRoot, PathMinimal, PathCwd, PathProjectRoots, PathTmpdir, PathSlashTmp, PathUnknown)
}
