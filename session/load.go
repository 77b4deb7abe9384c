package session

import (
	"bytes"
	"cmp"
	"context"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/config"
	"app-server/internal/prompt"
	"app-server/internal/rollout"
	"app-server/internal/tools"
	"app-server/protocol"
)

// loadOptions are what a stored thread goes on with.
type loadOptions struct {
	// meta is the stored one, or that of a fork.
	meta     rollout.Meta
	cfg      *config.Config
	settings settings
}

// load makes a thread that goes on from what is stored: the next request begins
// with what the last one had. It is not taken in, and has no file yet.
func (m *Manager) load(ctx context.Context, log *rollout.Log, o loadOptions) (*thread, prompt.Docs, error) {
	dynamic, err := dynamicTools(&log.Meta)
	if err != nil {
		return nil, prompt.Docs{}, err
	}
	items, err := log.History(ctx)
	if err != nil {
		return nil, prompt.Docs{}, storageError(err, log.Meta.ID)
	}
	t := m.newThread(o.meta, o.cfg, o.settings, dynamic)
	found := prompt.ProjectDocs(docsOptions(o.cfg, o.settings.cwd))
	t.docs = docs{o.settings.cwd, found.Text}
	t.past, t.updated, t.spoken, t.preview = log, log.Updated, log.Spoken, cutPreview(log.Preview)
	if t.preview == "" {
		t.preview = cutPreview(firstWords(items))
	}
	t.conv = storedConversation(log, items, t.docs)
	t.tokens, t.settled = log.Usage, t.conv.fork()
	return t, found, nil
}

// dynamicTools are the tools of the parent that a thread began with.
func dynamicTools(meta *rollout.Meta) ([]protocol.DynamicToolSpec, error) {
	if len(meta.DynamicTools) == 0 {
		return nil, nil
	}
	var specs []protocol.DynamicToolSpec
	err := json.Unmarshal(meta.DynamicTools, &specs, rawOptions)
	if err == nil {
		err = tools.CheckDynamic(specs)
	}
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "The tools that the thread %s began with cannot be read", meta.ID)
	}
	return specs, nil
}

// storedConversation is what the model of a stored thread knows. here are the
// instruction files as they are now.
func storedConversation(log *rollout.Log, items []jsontext.Value, here docs) conversation {
	var c conversation
	var context, docs, aborted bool // whether the model was told of them
	skills := ""
	items = fitting(nil, items)
	for i, raw := range items {
		raw = forBackend(raw)
		items[i] = raw
		c.added += itemTokens(raw)
		m, ok := readMessage(raw)
		if !ok {
			continue
		}
		if m.Role == roleDeveloper {
			context, skills = true, m.skills(skills)
		}
		for _, text := range m.userTexts() {
			aborted = prompt.IsTurnAborted(text)
			docs = docs || here.text != "" && text == here.text
			if !prompt.IsContext(text) {
				c.words = append(c.words, text)
			}
		}
	}
	c.items = items
	c.window = log.Compactions()
	if log.Usage != nil {
		c.usage.total, c.usage.last = log.Usage.Total, log.Usage.Last
		if counted := log.Usage.Last.TotalTokens; counted > 0 {
			c.counted, c.added = counted, 0
		}
	}
	// A compaction of another server may have left nothing of it.
	if context {
		if c.told = toldBefore(log.Told); docs {
			c.told.docs = here
		}
		c.told.skills.text = skills // of no folder, so that they are looked for again
	}
	c.foreign = true
	c.interrupted = log.Unended() && !aborted
	return c
}

// toldBefore is what the model was told of its surroundings under these
// settings. The instruction files are not among them.
func toldBefore(s *rollout.Settings) told {
	if s == nil {
		return told{}
	}
	t := told{begun: true, date: s.Date, settings: prompt.Settings{
		Cwd: s.Cwd, Model: s.Model, Sandbox: s.Sandbox, Approval: s.Approval, Personality: s.Personality,
	}}
	if s.Mode != nil && s.Mode.Settings.DeveloperInstructions != nil {
		t.modeDeveloper = *s.Mode.Settings.DeveloperInstructions
	}
	return t
}

// readMessage reads an item that is a message.
func readMessage(raw jsontext.Value) (m message, ok bool) {
	if !bytes.Contains(raw, []byte(`"message"`)) {
		return m, false // without a look at all of an output
	}
	return m, json.Unmarshal(raw, &m, rawOptions) == nil && m.Type == itemMessage
}

// userTexts are the texts of a message of the user, but those around images.
func (m *message) userTexts() []string {
	if m.Role != roleUser {
		return nil
	}
	var out []string
	for _, p := range m.Content {
		if p.Text != "" && !isImageMark(p.Text) {
			out = append(out, p.Text)
		}
	}
	return out
}

// skills is the list of skills in a message to the model, else the one known.
func (m *message) skills(known string) string {
	for _, p := range m.Content {
		if prompt.IsSkills(p.Text) {
			known = p.Text
		}
	}
	return known
}

// firstWords are the first of the user's own words.
func firstWords(items []jsontext.Value) string {
	for _, raw := range items {
		m, _ := readMessage(raw)
		for _, text := range m.userTexts() {
			if !prompt.IsContext(text) {
				return text
			}
		}
	}
	return ""
}

// lastSettings are those that a stored thread goes on with where the parent says
// nothing else; what nobody has kept comes from the configuration.
type lastSettings struct {
	provider string
	cwd      string
	*rollout.Settings
}

func settingsOf(log *rollout.Log) lastSettings {
	l := lastSettings{log.Meta.ModelProvider, log.Meta.Cwd, log.Settings}
	if l.Settings != nil {
		l.cwd = cmp.Or(l.Settings.ThreadCwd, l.Settings.Cwd, l.cwd)
	}
	return l
}

// onto puts the settings of an earlier turn in the place of the configuration's. A
// provider that is not defined any more stays behind.
func (l *lastSettings) onto(s *settings, cfg *config.Config) {
	if _, ok := cfg.Providers[l.provider]; ok {
		s.provider = l.provider
	}
	last := l.Settings
	if last == nil {
		return
	}
	s.effort, s.tier = last.Effort, nil
	if last.Model != "" {
		s.model = last.Model
	}
	if last.Reviewer != "" {
		s.reviewer = last.Reviewer
	}
	if last.Summary == defaultSummary(last.Model, cfg) {
		s.summary = "" // nobody has chosen it, so another model may have another
	} else if last.Summary != "" {
		s.summary = last.Summary
	}
	if last.Personality != "" {
		s.personality = last.Personality
	}
	if last.Tier != "" {
		s.tier = &last.Tier
	}
	if last.Developer != nil {
		s.developer = *last.Developer
	}
	if mode := last.Mode; mode != nil {
		s.mode, s.modeDeveloper = mode.Mode, prompt.Mode(mode.Mode)
		override(&s.modeDeveloper, mode.Settings.DeveloperInstructions)
	}
	s.approval, s.sandbox = last.Approval, last.Sandbox
}

// adopt makes the configuration and the settings of a thread that goes on: the last
// ones, and what the parent says over them.
func (m *Manager) adopt(p *protocol.ThreadSettings, last lastSettings) (*config.Config, settings, error) {
	cwd := last.cwd
	if p.Cwd != nil || cwd == "" {
		cwd = m.cwd
		if p.Cwd != nil {
			cwd = config.Absolute(*p.Cwd, m.cwd)
		}
	}
	cfg, err := configure(m.config(), cwd, p.Config)
	if err != nil {
		return nil, settings{}, err
	}
	s, err := newSettings(cfg, p, cwd, &last)
	return cfg, s, err
}

// instructionsOf are the base instructions of a thread that goes on.
func instructionsOf(cfg *config.Config, given *string, meta *rollout.Meta) (string, error) {
	if given == nil {
		given = meta.Instructions
	}
	return baseInstructions(cfg, given)
}

// usageNote tells the tokens of a thread that was loaded, under its last turn.
func (m *Manager) usageNote(id string, turns []protocol.Turn, u *protocol.ThreadTokenUsage) {
	if u == nil {
		return
	}
	last := ""
	if n := len(turns); n > 0 {
		last = turns[n-1].ID
	}
	m.notify(m.base, protocol.MethodThreadTokenUsageUpdated, &protocol.ThreadTokenUsageUpdatedNotification{ThreadID: id, TurnID: last, TokenUsage: *u})
}
