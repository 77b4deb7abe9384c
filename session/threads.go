package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/config"
	"app-server/internal/plainfile"
	"app-server/internal/prompt"
	"app-server/internal/tools"
	"app-server/protocol"
)

// StartThread handles thread/start under the settings given. The func returned sends
// thread/started. It fails with a *protocol.Error for an override that cannot be used,
// an unknown provider, and settings that would not be enforced; then there is no
// thread.
func (m *Manager) StartThread(ctx context.Context, set *config.Config, p *protocol.ThreadStartParams) (protocol.ThreadStartResponse, func(), error) {
	var none protocol.ThreadStartResponse
	if err := tools.CheckDynamic(p.DynamicTools); err != nil {
		return none, nil, err
	}
	cwd := m.cwd
	if p.Cwd != nil {
		cwd = config.Absolute(*p.Cwd, m.cwd)
	}
	cfg, err := configure(set, cwd, p.Config)
	if err != nil {
		return none, nil, err
	}
	s, err := newSettings(cfg, &p.ThreadSettings, cwd, nil)
	if err != nil {
		return none, nil, err
	}
	s, err = s.in(p.Environments)
	if err == nil && p.PermissionProfile != nil {
		_, err = policyOf(p.PermissionProfile, s.place()) // need not be cwd, for which it was judged
	}
	if err != nil {
		return none, nil, err
	}
	base, err := baseInstructions(cfg, p.BaseInstructions)
	if err != nil {
		return none, nil, err
	}
	meta, err := m.newMeta(&s, base, p.DynamicTools)
	if err != nil {
		return none, nil, err
	}
	found := prompt.ProjectDocs(docsOptions(cfg, s.cwd))
	t := m.newThread(meta, cfg, s, p.DynamicTools)
	t.ephemeral, t.rawEvents = p.Ephemeral != nil && *p.Ephemeral, p.ExperimentalRawEvents
	t.docs = docs{s.cwd, found.Text}
	if err := t.create(ctx); err != nil {
		return none, nil, storageError(err, t.id)
	}
	response := startResponse(t.view(), s, found.Sources)
	if err := m.add(t); err != nil {
		t.discard()
		return none, nil, err
	}
	return response, func() {
		m.notify(m.base, protocol.MethodThreadStarted, &protocol.ThreadStartedNotification{Thread: response.Thread})
		m.warnAll(t.id, found.Warnings, s.overruled)
	}, nil
}

// configure makes the configuration of a thread: with the settings of the project
// that it works in, and under the overrides of the parent.
func configure(set *config.Config, cwd string, overrides map[string]jsontext.Value) (*config.Config, error) {
	cfg, err := set.In(cwd).With(overrides)
	if err != nil {
		return nil, protocol.Invalid(protocol.ReasonConfig, "%v", err)
	}
	if cfg.CompactPrompt == "" && cfg.CompactPromptFile != "" {
		own := *cfg
		text, err := instructionsFile("experimental_compact_prompt_file", cfg.CompactPromptFile)
		if err != nil {
			return nil, err
		}
		own.CompactPrompt = strings.TrimSpace(text)
		cfg = &own
	}
	return cfg, nil
}

// startResponse describes a thread. It looks at the disk, so it is nothing for the
// thread's goroutine.
func startResponse(v protocol.Thread, s settings, sources []string) protocol.ThreadStartResponse {
	r := protocol.ThreadStartResponse{
		Thread: v, Model: s.model, ModelProvider: s.provider, ServiceTier: s.tier, Cwd: s.cwd,
		InstructionSources: sources, ApprovalPolicy: s.approval, ApprovalsReviewer: s.reviewer,
		Sandbox: s.sandbox, PermissionProfile: profileOf(s.sandbox, s.cwd),
	}
	if s.effort != "" {
		r.ReasoningEffort = &s.effort
	}
	return r
}

// maxInstructionsFile bounds files of instructions to the model, in bytes.
const maxInstructionsFile = 1 << 20

// instructionsFile reads a file of instructions to the model that the configuration
// names. One that cannot be read is an error: to go on with other instructions than the
// user chose would be worse.
func instructionsFile(key, name string) (string, error) {
	text, more, err := plainfile.Read(name, maxInstructionsFile)
	if more {
		err = fmt.Errorf("it is larger than %d bytes", maxInstructionsFile)
	}
	if err == nil && len(bytes.TrimSpace(text)) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", protocol.Invalid(protocol.ReasonConfig, "%s %s cannot be read: %v", key, name, plainfile.Cause(err))
	}
	return string(text), nil
}

// baseInstructions are those of the parent, else of the configuration, else our
// own.
func baseInstructions(cfg *config.Config, given *string) (string, error) {
	switch {
	case given != nil:
		return *given, nil
	case cfg.ModelInstructionsFile != "":
		return instructionsFile("model_instructions_file", cfg.ModelInstructionsFile)
	}
	return prompt.Base(), nil
}
