package protocol

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ConfigReadParams are those of config/read. Cwd is the folder whose project's
// settings are wanted as well.
type ConfigReadParams struct {
	IncludeLayers bool    `json:"includeLayers"`
	Cwd           *string `json:"cwd"`
}

// ConfigReadResponse answers config/read. Config has the settings in force, in
// snake_case as in config.toml, null where nothing is set. Origins tells for
// each value that is set, by its dotted key, where it comes from; elements of
// lists are told apart by their index. Layers, strongest first, are left out
// unless they were asked for.
type ConfigReadResponse struct {
	Config  jsontext.Value                 `json:"config"`
	Origins map[string]ConfigLayerMetadata `json:"origins"`
	Layers  []ConfigLayer                  `json:"layers,omitzero"`
}

// ConfigLayer is one source of settings, with all that it says.
type ConfigLayer struct {
	ConfigLayerMetadata
	Config jsontext.Value `json:"config"`
	// DisabledReason is set where the layer does not count.
	DisabledReason string `json:"disabledReason,omitzero"`
}

// ConfigLayerMetadata names a layer and the state that it is in.
type ConfigLayerMetadata struct {
	Name    ConfigLayerSource `json:"name"`
	Version string            `json:"version"`
}

// ConfigLayerSource says where a layer comes from. File belongs to the system's and
// the user's, DotCodexFolder to a project's.
type ConfigLayerSource struct {
	Type           ConfigLayerType `json:"type"`
	File           string          `json:"file,omitzero"`
	DotCodexFolder string          `json:"dotCodexFolder,omitzero"`
}

// ConfigLayerType is the kind of a layer.
type ConfigLayerType string

// The layers of this server.
const (
	LayerSystem       ConfigLayerType = "system"
	LayerUser         ConfigLayerType = "user"
	LayerProject      ConfigLayerType = "project"
	LayerSessionFlags ConfigLayerType = "sessionFlags"
)

// ConfigValueWriteParams are those of config/value/write. The value null takes
// the key away. FilePath may name the user's own config.toml and nothing else.
type ConfigValueWriteParams struct {
	ConfigEdit
	ConfigWriteTarget
}

// ConfigBatchWriteParams are those of config/batchWrite: all edits are made, in
// their order, or none. ReloadUserConfig is taken and has nothing to do, since
// every new thread reads the settings.
type ConfigBatchWriteParams struct {
	Edits            []ConfigEdit `json:"edits" required:"true"`
	ReloadUserConfig bool         `json:"reloadUserConfig"`
	ConfigWriteTarget
}

// ConfigWriteTarget is which file is meant, and in which state it must be.
type ConfigWriteTarget struct {
	FilePath        *string `json:"filePath"`
	ExpectedVersion *string `json:"expectedVersion"`
}

// ConfigEdit sets one key. KeyPath is dotted; parts may be quoted as in TOML.
type ConfigEdit struct {
	KeyPath       string         `json:"keyPath" required:"true"`
	Value         jsontext.Value `json:"value"`
	MergeStrategy MergeStrategy  `json:"mergeStrategy" required:"true"`
}

// Validate wants a strategy and a value, which may be null.
func (e ConfigEdit) Validate() error {
	switch {
	case e.MergeStrategy == "":
		return missingField("mergeStrategy")
	case len(e.Value) == 0:
		return missingField("value")
	}
	return nil
}

// Validate wants what the edit wants.
func (p *ConfigValueWriteParams) Validate() error { return p.ConfigEdit.Validate() }

// Validate wants what each edit wants.
func (p *ConfigBatchWriteParams) Validate() error {
	for _, e := range p.Edits {
		if err := e.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// MergeStrategy is what becomes of the members of a table that an edit does not
// name: they go (replace) or stay (upsert).
type MergeStrategy string

// The merge strategies.
const (
	MergeReplace MergeStrategy = "replace"
	MergeUpsert  MergeStrategy = "upsert"
)

// UnmarshalText refuses unknown strategies.
func (m *MergeStrategy) UnmarshalText(b []byte) error {
	return closedEnum(m, b, MergeReplace, MergeUpsert)
}

// ConfigWriteResponse answers config/value/write and config/batchWrite.
// OverriddenMetadata is null unless something stronger keeps what was written
// from taking effect.
type ConfigWriteResponse struct {
	Status             WriteStatus         `json:"status"`
	Version            string              `json:"version"`
	FilePath           string              `json:"filePath"`
	OverriddenMetadata *OverriddenMetadata `json:"overriddenMetadata"`
}

// WriteStatus is what came of a write.
type WriteStatus string

// The outcomes of a write: in force, or written and overridden.
const (
	WriteOK           WriteStatus = "ok"
	WriteOKOverridden WriteStatus = "okOverridden"
)

// OverriddenMetadata says what is in force instead of what was written.
type OverriddenMetadata struct {
	Message         string              `json:"message"`
	OverridingLayer ConfigLayerMetadata `json:"overridingLayer"`
	EffectiveValue  jsontext.Value      `json:"effectiveValue"`
}

// ConfigWriteErrorCode says why a write was refused. It stands in error.data
// under the name [ConfigWriteErrorKey].
type ConfigWriteErrorCode string

// ConfigWriteErrorKey is the member of error.data.
const ConfigWriteErrorKey = "config_write_error_code"

// The codes of refused writes.
const (
	WriteLayerReadonly   ConfigWriteErrorCode = "configLayerReadonly"
	WriteVersionConflict ConfigWriteErrorCode = "configVersionConflict"
	WriteValidationError ConfigWriteErrorCode = "configValidationError"
	WritePathNotFound    ConfigWriteErrorCode = "configPathNotFound"
)

// ConfigRequirementsReadResponse answers configRequirements/read. Requirements
// are null where there are none.
type ConfigRequirementsReadResponse struct {
	Requirements *ConfigRequirements `json:"requirements"`
}

// ConfigRequirements are an administrator's bounds on the settings. What is null
// is not bound. Hooks and Network are always null: this server runs no thread
// under such requirements.
type ConfigRequirements struct {
	AllowedApprovalPolicies   []ApprovalPolicy    `json:"allowedApprovalPolicies"`
	AllowedApprovalsReviewers []ApprovalsReviewer `json:"allowedApprovalsReviewers"`
	AllowedSandboxModes       []SandboxMode       `json:"allowedSandboxModes"`
	AllowedWebSearchModes     []string            `json:"allowedWebSearchModes"`
	FeatureRequirements       map[string]bool     `json:"featureRequirements"`
	Hooks                     *struct{}           `json:"hooks"`
	EnforceResidency          *string             `json:"enforceResidency"`
	Network                   *struct{}           `json:"network"`
}

// MarshalJSONTo writes null for what is not bound.
func (r ConfigRequirements) MarshalJSONTo(e *jsontext.Encoder) error {
	type plain ConfigRequirements
	return json.MarshalEncode(e, plain(r), json.FormatNilSliceAsNull(true), json.FormatNilMapAsNull(true))
}

// ConfigWarningNotification is configWarning: a setting could not be read.
type ConfigWarningNotification struct {
	Summary string     `json:"summary"`
	Details *string    `json:"details"`
	Path    *string    `json:"path,omitzero"`
	Range   *TextRange `json:"range,omitzero"`
}

// TextRange is a range in a text file.
type TextRange struct {
	Start TextPosition `json:"start"`
	End   TextPosition `json:"end"`
}

// TextPosition counts lines and columns from 1.
type TextPosition struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// WarningNotification is warning.
type WarningNotification struct {
	ThreadID *string `json:"threadId"`
	Message  string  `json:"message"`
}
