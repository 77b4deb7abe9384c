package protocol

// ModelListParams are those of model/list. A nil Limit means all that is left.
type ModelListParams struct {
	Cursor        *string `json:"cursor"`
	Limit         *uint32 `json:"limit"`
	IncludeHidden *bool   `json:"includeHidden"`
}

// ModelListResponse answers model/list. NextCursor is null on the last page.
type ModelListResponse struct {
	Data       []Model `json:"data"`
	NextCursor *string `json:"nextCursor"`
}

// Model is a model that a thread can be started with. ID and Model are the same
// text: the name that thread/start takes.
type Model struct {
	ID    string `json:"id"`
	Model string `json:"model"`
	// Upgrade names the model that replaces this one, as does UpgradeInfo.
	Upgrade     *string           `json:"upgrade"`
	UpgradeInfo *ModelUpgradeInfo `json:"upgradeInfo"`
	// AvailabilityNux is an announcement; this server makes none.
	AvailabilityNux           *ModelAvailabilityNux   `json:"availabilityNux"`
	DisplayName               string                  `json:"displayName"`
	Description               string                  `json:"description"`
	Hidden                    bool                    `json:"hidden"`
	SupportedReasoningEfforts []ReasoningEffortOption `json:"supportedReasoningEfforts"`
	DefaultReasoningEffort    ReasoningEffort         `json:"defaultReasoningEffort"`
	InputModalities           []InputModality         `json:"inputModalities"`
	SupportsPersonality       bool                    `json:"supportsPersonality"`
	AdditionalSpeedTiers      []string                `json:"additionalSpeedTiers"`
	// IsDefault is true for one model of the list: the one that a thread gets
	// where thread/start names none.
	IsDefault bool `json:"isDefault"`
}

// ModelUpgradeInfo is what a parent may tell about an upgrade.
type ModelUpgradeInfo struct {
	Model             string  `json:"model"`
	UpgradeCopy       *string `json:"upgradeCopy"`
	ModelLink         *string `json:"modelLink"`
	MigrationMarkdown *string `json:"migrationMarkdown"`
}

// ModelAvailabilityNux is an announcement of a model.
type ModelAvailabilityNux struct {
	Message string `json:"message"`
}

// ReasoningEffortOption is an effort that a model takes.
type ReasoningEffortOption struct {
	ReasoningEffort ReasoningEffort `json:"reasoningEffort"`
	Description     string          `json:"description"`
}

// InputModality is a kind of input.
type InputModality string

// The kinds of input that models take.
const (
	ModalityText  InputModality = "text"
	ModalityImage InputModality = "image"
)

// CollaborationModeListParams are those of collaborationMode/list.
type CollaborationModeListParams struct{}

// ExperimentalUse says that the reference opens the method only to parents that
// asked for the experimental API.
func (CollaborationModeListParams) ExperimentalUse() string { return MethodCollaborationModeList }

// CollaborationModeListResponse answers collaborationMode/list.
type CollaborationModeListResponse struct {
	Data []CollaborationModeMask `json:"data"`
}

// CollaborationModeMask is a preset for the collaborationMode of turn/start:
// what is null there stays as it is. The names of its members are those of the
// reference, which are not alike.
type CollaborationModeMask struct {
	Name            string           `json:"name"`
	Mode            *ModeKind        `json:"mode"`
	Model           *string          `json:"model"`
	ReasoningEffort *ReasoningEffort `json:"reasoning_effort"`
}

// ExperimentalFeatureListParams are those of experimentalFeature/list.
type ExperimentalFeatureListParams struct {
	Cursor *string `json:"cursor"`
	Limit  *uint32 `json:"limit"`
}

// ExperimentalFeatureListResponse answers experimentalFeature/list.
type ExperimentalFeatureListResponse struct {
	Data       []ExperimentalFeature `json:"data"`
	NextCursor *string               `json:"nextCursor"`
}

// ExperimentalFeature is a feature that can be told apart by a flag. The texts
// are null unless its stage is beta.
type ExperimentalFeature struct {
	Name           string       `json:"name"`
	Stage          FeatureStage `json:"stage"`
	DisplayName    *string      `json:"displayName"`
	Description    *string      `json:"description"`
	Announcement   *string      `json:"announcement"`
	Enabled        bool         `json:"enabled"`
	DefaultEnabled bool         `json:"defaultEnabled"`
}

// FeatureStage is how far a feature has come.
type FeatureStage string

// The stages in use here; "removed" is a flag that has no effect any more,
// whether the feature went away or became part of the server.
const (
	FeatureUnderDevelopment FeatureStage = "underDevelopment"
	FeatureStable           FeatureStage = "stable"
	FeatureDeprecated       FeatureStage = "deprecated"
	FeatureRemoved          FeatureStage = "removed"
)
