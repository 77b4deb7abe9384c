package backend

import (
	"slices"
	"strings"
)

const (
	// defaultWindow is the context window, in tokens, of every model of the
	// catalogue and of models that it does not know, as in the reference.
	defaultWindow = 272_000
	// effectivePercent is the share of the window that may be used; the rest is
	// room for what the backend adds.
	effectivePercent = 95
)

// ModelInfo is what requests to a model depend on.
type ModelInfo struct {
	// Slug is the name that was looked up.
	Slug string
	// Known is whether the catalogue has the model or its family.
	Known bool
	// ContextWindow is in tokens.
	ContextWindow int64
	// Reasoning is whether the request may have a reasoning member.
	Reasoning bool
	// DefaultEffort and DefaultSummary are sent where nothing was chosen; an
	// empty one is left out of the request.
	DefaultEffort, DefaultSummary string
	// Efforts are the reasoning efforts that the model takes.
	Efforts []string
	// ParallelToolCalls is the request's member of that name.
	ParallelToolCalls bool
	// Verbosity is whether text.verbosity may be sent, DefaultVerbosity what is
	// sent where nothing was chosen; empty for nothing.
	Verbosity        bool
	DefaultVerbosity string

	Tools ModelTools

	// The rest is what users choose a model by.

	// DisplayName and Description are for people.
	DisplayName, Description string
	// Listed is whether the model is offered at all, Hidden whether only those
	// who ask for everything see it.
	Listed, Hidden bool
	// Personality is whether the model was made to follow a tone, Fast whether
	// it has a faster service tier.
	Personality, Fast bool
	// Upgrade is the slug of the model that is to be used instead, or "".
	Upgrade string
}

// ModelTools says which tools a model is offered, and in which form.
type ModelTools struct {
	// FreeformPatch is apply_patch as a custom tool; ShellCommand is
	// shell_command in the place of shell, where exec_command is switched off.
	FreeformPatch, ShellCommand bool
	// Images is whether the model takes images at all, OriginalDetail at their
	// full size, SearchImages from the web search.
	Images, OriginalDetail, SearchImages bool
	// OutputTokens is how much of a tool's output the model is given.
	OutputTokens int
}

// How much of an output the newer models get, and all others, in tokens, as in
// the reference.
const (
	muchOutput = 10_000
	someOutput = 2_500
)

// DefaultModel is what a thread gets where nobody names a model.
const DefaultModel = "gpt-5.5"

// EffectiveWindow is the part of the context window, in tokens, that a
// conversation may fill.
func (m ModelInfo) EffectiveWindow() int64 { return m.ContextWindow * effectivePercent / 100 }

// Models lists the models that users can choose, best first, the hidden ones
// last. It is the caller's own copy.
func Models() []ModelInfo {
	return slices.DeleteFunc(catalogue(), func(m ModelInfo) bool { return !m.Listed })
}

// catalogue lists model families by prefix. The values of those that
// codex app-server 0.125.0 knows are the ones it sends and lists, in its order;
// gpt-5 and gpt-5.1 are older families of the same interface, which it no longer
// lists.
func catalogue() []ModelInfo {
	wide := []string{"low", "medium", "high", "xhigh"}
	old := []string{"minimal", "low", "medium", "high"}
	family := func(slug string, efforts []string, effort, summary, verbosity string) ModelInfo {
		return ModelInfo{Slug: slug, Known: true, ContextWindow: defaultWindow, Reasoning: true, DefaultEffort: effort,
			DefaultSummary: summary, Efforts: efforts, ParallelToolCalls: true, Verbosity: verbosity != "", DefaultVerbosity: verbosity,
			Tools: ModelTools{Images: true, OutputTokens: someOutput}}
	}
	patch := ModelTools{FreeformPatch: true, ShellCommand: true, Images: true, OutputTokens: someOutput}
	detail := patch
	detail.OriginalDetail, detail.OutputTokens = true, muchOutput
	all := detail
	all.SearchImages = true
	// offered makes a family a model that users can choose.
	offered := func(t ModelTools, m ModelInfo, name, description string, more func(*ModelInfo)) ModelInfo {
		m.Tools = t
		m.DisplayName, m.Description = name, description
		m.Listed, m.Personality = true, true
		if more != nil {
			more(&m)
		}
		return m
	}
	fast := func(m *ModelInfo) { m.Fast = true }
	hidden := func(m *ModelInfo) { m.Hidden = true }
	return []ModelInfo{
		offered(all, family("gpt-5.5", wide, "medium", "", "low"), "GPT-5.5", "For hard problems: large changes, research, long tasks.", fast),
		offered(all, family("gpt-5.4", wide, "xhigh", "", "low"), "gpt-5.4", "For everyday work on code.", fast),
		offered(all, family("gpt-5.4-mini", wide, "medium", "", "medium"), "GPT-5.4-Mini", "Small and quick, for simple tasks.", nil),
		offered(detail, family("gpt-5.3-codex", wide, "medium", "", "low"), "gpt-5.3-codex", "Made for code. Older.", func(m *ModelInfo) { m.Upgrade = "gpt-5.4" }),
		offered(patch, family("gpt-5.2", wide, "medium", "auto", "low"), "gpt-5.2", "For long tasks. Older.", func(m *ModelInfo) { m.Upgrade, m.Personality = "gpt-5.4", false }),
		offered(all, family("codex-auto-review", wide, "medium", "", "low"), "Codex Auto Review", "Reviews what other models want to do.", hidden),
		family("gpt-5.1-codex", []string{"low", "medium", "high"}, "medium", "auto", ""),
		family("gpt-5.1", []string{"low", "medium", "high"}, "medium", "auto", "low"),
		family("gpt-5-codex", []string{"low", "medium", "high"}, "medium", "auto", ""),
		family("gpt-5", old, "medium", "auto", "medium"),
	}
}

// LookupModel returns what is known of a model. The longest family whose name
// begins the slug counts, provided the slug goes on with a dash or ends there:
// gpt-5.2-2026-01 is a gpt-5.2, gpt-5.9 is not a gpt-5. An unknown model gets
// the most careful request: no reasoning, one tool call at a time. It is shown
// images, as in the reference.
func LookupModel(slug string) ModelInfo {
	best := ModelInfo{ContextWindow: defaultWindow, Tools: ModelTools{Images: true, OutputTokens: someOutput}}
	for _, m := range catalogue() {
		rest, ok := strings.CutPrefix(slug, m.Slug)
		if ok && (rest == "" || rest[0] == '-') && len(m.Slug) > len(best.Slug) {
			best = m
		}
	}
	best.Slug = slug
	best.Efforts = slices.Clone(best.Efforts)
	return best
}
