package protocol

// SkillsListParams are those of skills/list. No Cwds mean the server's own
// working directory. ForceReload is taken and has nothing to do: skills are
// read each time.
type SkillsListParams struct {
	Cwds        []string `json:"cwds"`
	ForceReload bool     `json:"forceReload"`
	// PerCwdExtraUserRoots adds folders with skills of the user, for one of Cwds
	// each; their paths must be absolute.
	PerCwdExtraUserRoots []SkillsListExtraRoots `json:"perCwdExtraUserRoots"`
}

// SkillsListExtraRoots are further folders for one working directory.
type SkillsListExtraRoots struct {
	Cwd            string   `json:"cwd" required:"true"`
	ExtraUserRoots []string `json:"extraUserRoots" required:"true"`
}

// SkillsListResponse answers skills/list: an entry for each working directory,
// in the order in which they were asked for.
type SkillsListResponse struct {
	Data []SkillsListEntry `json:"data"`
}

// SkillsListEntry is what was found for one working directory. Cwd is the text
// that the parent sent.
type SkillsListEntry struct {
	Cwd    string           `json:"cwd"`
	Skills []SkillMetadata  `json:"skills"`
	Errors []SkillErrorInfo `json:"errors"`
}

// SkillMetadata is what the front matter of a SKILL.md file says. Path is that
// file.
type SkillMetadata struct {
	Name             string          `json:"name"`
	Description      string          `json:"description"`
	ShortDescription *string         `json:"shortDescription,omitzero"`
	Interface        *SkillInterface `json:"interface,omitzero"`
	Path             string          `json:"path"`
	Scope            SkillScope      `json:"scope"`
	Enabled          bool            `json:"enabled"`
}

// SkillInterface is how a skill wants to be shown. Icons are absolute paths.
type SkillInterface struct {
	DisplayName      *string `json:"displayName"`
	ShortDescription *string `json:"shortDescription"`
	IconSmall        *string `json:"iconSmall"`
	IconLarge        *string `json:"iconLarge"`
	BrandColor       *string `json:"brandColor"`
	DefaultPrompt    *string `json:"defaultPrompt"`
}

// SkillErrorInfo is a SKILL.md file that could not be used, and why.
type SkillErrorInfo struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// SkillScope is where a skill belongs.
type SkillScope string

// The scopes of the skills that this server finds.
const (
	SkillScopeUser   SkillScope = "user"
	SkillScopeRepo   SkillScope = "repo"
	SkillScopeSystem SkillScope = "system"
)

// SkillsConfigWriteParams are those of skills/config/write: the skill in a file, or
// those of a name, are switched on or off. Path is absolute.
type SkillsConfigWriteParams struct {
	Path    *string `json:"path"`
	Name    *string `json:"name"`
	Enabled bool    `json:"enabled" required:"true"`
}

// SkillsConfigWriteResponse answers skills/config/write.
type SkillsConfigWriteResponse struct {
	EffectiveEnabled bool `json:"effectiveEnabled"`
}
