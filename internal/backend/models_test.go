package backend

import "testing"

func TestLookupModel(t *testing.T) {
	for slug, want := range map[string]struct {
		known              bool
		effort, summary, v string
	}{
		"gpt-5.2":             {true, "medium", "auto", "low"},
		"gpt-5.2-codex":       {true, "medium", "auto", "low"},
		"gpt-5.2-2026-01-01":  {true, "medium", "auto", "low"},
		"gpt-5.4":             {true, "xhigh", "", "low"},
		"gpt-5.4-mini":        {true, "medium", "", "medium"},
		"gpt-5.5":             {true, "medium", "", "low"},
		"gpt-5.3-codex":       {true, "medium", "", "low"},
		"gpt-5.1-codex-max":   {true, "medium", "auto", ""},
		"gpt-5.1":             {true, "medium", "auto", "low"},
		"gpt-5-codex":         {true, "medium", "auto", ""},
		"gpt-5":               {true, "medium", "auto", "medium"},
		"gpt-5-mini":          {true, "medium", "auto", "medium"},
		"gpt-5.9":             {},
		"gpt-50":              {},
		"mock-model":          {},
		"":                    {},
		"openai/gpt-5.2":      {},
		"GPT-5.2":             {},
		"gpt-5.2codex":        {},
		"codex-auto-review":   {true, "medium", "", "low"},
		"gpt-5.4-mini-latest": {true, "medium", "", "medium"},
	} {
		m := LookupModel(slug)
		if m.Slug != slug || m.Known != want.known || m.Reasoning != want.known || m.ParallelToolCalls != want.known ||
			m.DefaultEffort != want.effort || m.DefaultSummary != want.summary || m.DefaultVerbosity != want.v || m.Verbosity != (want.v != "") {
			t.Errorf("%q: %+v", slug, m)
		}
		if m.ContextWindow != 272_000 || m.EffectiveWindow() != 258_400 || (len(m.Efforts) > 0) != want.known {
			t.Errorf("%q: %+v", slug, m)
		}
	}
}

// What is offered can be looked up again under its own name, and the default is
// among it.
func TestModelsAreKnown(t *testing.T) {
	defaults := 0
	for i, m := range Models() {
		known := LookupModel(m.Slug)
		if known.Slug != m.Slug || known.DefaultEffort != m.DefaultEffort || known.DisplayName == "" || known.Description == "" {
			t.Errorf("%s: %+v", m.Slug, known)
		}
		if m.Upgrade != "" && !LookupModel(m.Upgrade).Listed {
			t.Errorf("%s: the upgrade %s is not offered", m.Slug, m.Upgrade)
		}
		if m.Hidden && i < len(Models())-1 {
			t.Errorf("%s is hidden and not last", m.Slug)
		}
		if m.Slug == DefaultModel && !m.Hidden {
			defaults++
		}
	}
	if defaults != 1 {
		t.Errorf("%d defaults", defaults)
	}
}

func TestModelTools(t *testing.T) {
	for slug, want := range map[string]ModelTools{
		"mock-model":          {Images: true, OutputTokens: 2500},
		"gpt-5.1":             {Images: true, OutputTokens: 2500},
		"gpt-5.2-codex":       {FreeformPatch: true, ShellCommand: true, Images: true, OutputTokens: 2500},
		"gpt-5.3-codex-spark": {FreeformPatch: true, ShellCommand: true, Images: true, OriginalDetail: true, OutputTokens: 10_000},
		"gpt-5.4-mini":        {FreeformPatch: true, ShellCommand: true, Images: true, OriginalDetail: true, SearchImages: true, OutputTokens: 10_000},
	} {
		if got := LookupModel(slug).Tools; got != want {
			t.Errorf("%s: %+v", slug, got)
		}
	}
}
