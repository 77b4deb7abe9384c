package main

import (
	"cmp"
	"context"
	"path/filepath"
	"strconv"

	"go.uber.org/zap"

	"app-server/internal/backend"
	"app-server/internal/config"
	"app-server/internal/git"
	"app-server/protocol"
)

// page cuts a list as the reference does for lists that do not change: the
// cursor is the index of the first entry. No limit means all; 0 counts as 1.
func page[T any](all []T, cursor *string, limit *uint32) ([]T, *string, error) {
	from := 0
	if cursor != nil {
		var err error
		if from, err = strconv.Atoi(*cursor); err != nil || from < 0 || from > len(all) {
			return nil, nil, protocol.Invalid(protocol.ReasonInvalidParams, "This is no cursor of this list")
		}
	}
	rest := all[from:]
	if limit == nil {
		return rest, nil, nil
	}
	if size := max(int64(*limit), 1); size < int64(len(rest)) {
		next := strconv.Itoa(from + int(size))
		return rest[:size], &next, nil
	}
	return rest, nil, nil
}

// current are the settings of a thread that works where the server does.
func (s *server) current() *config.Config { return s.settings.Current().In(s.cwd) }

// models handles model/list: the catalogue and the configured model. The default
// is what a thread gets where thread/start names none.
func (s *server) models(_ context.Context, p *protocol.ModelListParams) (protocol.ModelListResponse, error) {
	hidden := p.IncludeHidden != nil && *p.IncludeHidden
	configured := s.current().Model
	standard := cmp.Or(configured, backend.DefaultModel)
	all := []protocol.Model{}
	known := false
	for _, m := range backend.Models() {
		m.Hidden = m.Hidden && m.Slug != configured
		known = known || m.Slug == standard
		if hidden || !m.Hidden {
			all = append(all, wireModel(m, standard))
		}
	}
	if !known {
		m := backend.LookupModel(standard)
		m.DisplayName, m.Description, m.Hidden = standard, "The model that the configuration names.", false
		all = append([]protocol.Model{wireModel(m, standard)}, all...)
	}
	data, next, err := page(all, p.Cursor, p.Limit)
	return protocol.ModelListResponse{Data: data, NextCursor: next}, err
}

// wireModel is a model as the parent gets it.
func wireModel(m backend.ModelInfo, standard string) protocol.Model {
	out := protocol.Model{
		ID: m.Slug, Model: m.Slug, DisplayName: m.DisplayName, Description: m.Description, Hidden: m.Hidden,
		DefaultReasoningEffort: protocol.ReasoningEffort(m.DefaultEffort),
		InputModalities:        []protocol.InputModality{protocol.ModalityText, protocol.ModalityImage},
		SupportsPersonality:    m.Personality, AdditionalSpeedTiers: []string{}, IsDefault: m.Slug == standard,
	}
	if m.Fast {
		out.AdditionalSpeedTiers = append(out.AdditionalSpeedTiers, string(protocol.TierFast))
	}
	if m.Upgrade != "" {
		out.Upgrade, out.UpgradeInfo = &m.Upgrade, &protocol.ModelUpgradeInfo{Model: m.Upgrade}
	}
	for _, e := range m.Efforts {
		out.SupportedReasoningEfforts = append(out.SupportedReasoningEfforts, effort(protocol.ReasoningEffort(e)))
	}
	if !m.Reasoning {
		// Nothing about reasoning is sent to a model that is not known.
		out.DefaultReasoningEffort = protocol.EffortNone
		out.SupportedReasoningEfforts = []protocol.ReasoningEffortOption{effort(protocol.EffortNone)}
	}
	return out
}

// effort is an effort with a word for people.
func effort(e protocol.ReasoningEffort) protocol.ReasoningEffortOption {
	text := map[protocol.ReasoningEffort]string{
		protocol.EffortNone:    "No reasoning is asked for",
		protocol.EffortMinimal: "As little reasoning as possible",
		protocol.EffortLow:     "Quick answers, little reasoning",
		protocol.EffortMedium:  "A middle way for everyday tasks",
		protocol.EffortHigh:    "More reasoning for hard tasks",
		protocol.EffortXHigh:   "The most reasoning, for the hardest tasks",
	}[e]
	return protocol.ReasoningEffortOption{ReasoningEffort: e, Description: text}
}

// collaborationModes handles collaborationMode/list: the modes that turn/start
// knows, with the effort that the reference presets for plans.
func collaborationModes(context.Context, *protocol.CollaborationModeListParams) (protocol.CollaborationModeListResponse, error) {
	plan, standard, medium := protocol.ModePlan, protocol.ModeDefault, protocol.EffortMedium
	return protocol.CollaborationModeListResponse{Data: []protocol.CollaborationModeMask{
		{Name: "Plan", Mode: &plan, ReasoningEffort: &medium},
		{Name: "Default", Mode: &standard},
	}}, nil
}

// features handles experimentalFeature/list: the flags of the reference, with its
// stages and defaults, that switch something in this server or stand for what is
// always part of it.
func (s *server) features(_ context.Context, p *protocol.ExperimentalFeatureListParams) (protocol.ExperimentalFeatureListResponse, error) {
	flags := s.current().Features
	switched := func(name string, stage protocol.FeatureStage, standard bool) protocol.ExperimentalFeature {
		f := protocol.ExperimentalFeature{Name: name, Stage: stage, Enabled: standard, DefaultEnabled: standard}
		if on, set := flags[name]; set {
			f.Enabled = on
		}
		return f
	}
	always := func(name string, stage protocol.FeatureStage) protocol.ExperimentalFeature {
		return protocol.ExperimentalFeature{Name: name, Stage: stage, Enabled: true, DefaultEnabled: true}
	}
	data, next, err := page([]protocol.ExperimentalFeature{
		switched("shell_tool", protocol.FeatureStable, true),
		switched("unified_exec", protocol.FeatureStable, true),
		switched("web_search_request", protocol.FeatureDeprecated, false),
		switched("apply_patch_freeform", protocol.FeatureUnderDevelopment, false),
		switched("request_permissions_tool", protocol.FeatureUnderDevelopment, false),
		always("steer", protocol.FeatureRemoved),
		switched("default_mode_request_user_input", protocol.FeatureUnderDevelopment, false),
		always("collaboration_modes", protocol.FeatureRemoved),
		always("personality", protocol.FeatureStable),
		always("fast_mode", protocol.FeatureStable),
	}, p.Cursor, p.Limit)
	return protocol.ExperimentalFeatureListResponse{Data: data, NextCursor: next}, err
}

// mcpServers handles mcpServerStatus/list: what is configured. No server is run
// yet, so none has anything to offer.
func (s *server) mcpServers(_ context.Context, p *protocol.ListMCPServerStatusParams) (protocol.ListMCPServerStatusResponse, error) {
	all := []protocol.MCPServerStatus{}
	for _, m := range s.current().MCPServers() {
		status := protocol.MCPServerStatus{
			Name: m.Name, Resources: []struct{}{}, ResourceTemplates: []struct{}{},
			AuthStatus: protocol.MCPAuthUnsupported, RuntimeStatus: protocol.MCPNotStarted,
		}
		if m.BearerToken {
			status.AuthStatus = protocol.MCPAuthBearerToken
		}
		if !m.Enabled || m.Err != nil {
			status.RuntimeStatus = protocol.MCPDisabled
		}
		all = append(all, status)
	}
	data, next, err := page(all, p.Cursor, p.Limit)
	return protocol.ListMCPServerStatusResponse{Data: data, NextCursor: next}, err
}

// gitDiff handles gitDiffToRemote.
func (s *server) gitDiff(ctx context.Context, p *protocol.GitDiffToRemoteParams) (protocol.GitDiffToRemoteResponse, error) {
	cwd := p.Cwd
	if !filepath.IsAbs(cwd) {
		cwd = filepath.Join(s.cwd, cwd)
	}
	diff, err := git.DiffToRemote(ctx, cwd, s.getenv)
	switch {
	case ctx.Err() != nil:
		return protocol.GitDiffToRemoteResponse{}, ctx.Err()
	case err != nil:
		s.log.Debug("no diff to the remote", zap.Error(err))
		return protocol.GitDiffToRemoteResponse{}, protocol.Invalid(protocol.ReasonNoDiff, "There is no diff to a remote for this folder: %v", err)
	}
	return protocol.GitDiffToRemoteResponse{SHA: diff.SHA, Diff: diff.Text}, nil
}
