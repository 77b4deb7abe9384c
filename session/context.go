package session

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/config"
	"app-server/internal/prompt"
	"app-server/protocol"
)

// told is what the model has been told about its surroundings. The zero value
// is nothing.
type told struct {
	begun    bool
	settings prompt.Settings
	docs     docs
	// skills is the list of skills, as docs is what the instruction files say.
	skills docs
	// modeDeveloper is what the collaboration mode said.
	modeDeveloper string
	date          string
}

// docs is what the instruction files of a working directory say.
type docs struct{ cwd, text string }

// docsFor reads the instruction files of the turn's working directory, where it
// is another than the one they were read for.
func (u *turn) docsFor(known docs) docs {
	cwd := u.set.place()
	if known.cwd == cwd {
		return known
	}
	return docs{cwd, prompt.ProjectDocs(docsOptions(u.th.cfg, cwd)).Text}
}

func docsOptions(cfg *config.Config, cwd string) prompt.DocsOptions {
	return prompt.DocsOptions{Cwd: cwd, Home: cfg.Home, RootMarkers: cfg.ProjectRootMarkers, MaxBytes: cfg.ProjectDocMaxBytes, Fallback: cfg.ProjectDocFallbackFilenames}
}

// tellContext tells the model what it must know before the user's words: all of
// it in the first turn, later only what has changed. Nothing that was told is
// ever rewritten, so each request begins with the one before it, until a
// compaction, after which all of it is told again. It returns what it told.
func (u *turn) tellContext() []jsontext.Value {
	c, t, s := u.conv, u.th, u.set
	now := told{
		begun: true,
		settings: prompt.Settings{
			Cwd: s.place(), Model: s.model, Sandbox: s.sandbox, Approval: s.approval, Personality: s.personality,
		},
		modeDeveloper: s.modeDeveloper,
		date:          u.started.Format(time.DateOnly),
	}
	before := c.told
	if !before.begun {
		now.docs = u.docsFor(t.docs)
	} else {
		now.docs = u.docsFor(before.docs)
	}
	now.skills = u.skillsFor(before.skills)
	c.told = now
	var update prompt.Update
	if !before.begun {
		update = u.firstContext(now)
	} else {
		known := before.settings
		if t.cfg.OmitPermissions {
			known.Sandbox, known.Approval = now.settings.Sandbox, now.settings.Approval
		}
		if t.cfg.OmitEnvironment {
			known.Cwd, before.date = now.settings.Cwd, now.date
		}
		update = prompt.Changes(known, now.settings)
		switch {
		case now.modeDeveloper == before.modeDeveloper:
		case now.modeDeveloper == "":
			update.Developer = append(update.Developer, prompt.ModeOver())
		default:
			update.Developer = append(update.Developer, now.modeDeveloper)
		}
		switch {
		case now.skills.text == before.skills.text:
		case now.skills.text == "":
			update.Developer = append(update.Developer, prompt.NoSkills())
		default:
			update.Developer = append(update.Developer, now.skills.text)
		}
		if now.docs.text != before.docs.text && now.docs.text != "" {
			update.User = append([]string{now.docs.text}, update.User...)
		}
		if now.date != before.date && now.settings.Cwd == known.Cwd {
			update.User = append(update.User, prompt.Environment(prompt.Surroundings{Date: now.date}))
		}
	}
	from := len(c.items)
	for _, m := range []struct {
		role  string
		texts []string
	}{{roleDeveloper, update.Developer}, {roleUser, update.User}} {
		if len(m.texts) == 0 {
			continue
		}
		parts := make([]part, len(m.texts))
		for i, text := range m.texts {
			parts[i] = textPart(text)
		}
		c.add(messageItem(m.role, parts...))
	}
	return slices.Clip(c.items[from:])
}

// firstContext is all that the model is told at the beginning of a thread.
func (u *turn) firstContext(now told) prompt.Update {
	var up prompt.Update
	if !u.th.cfg.OmitPermissions {
		up.Developer = append(up.Developer, prompt.Permissions(now.settings.Sandbox, now.settings.Approval))
	}
	for _, text := range []string{u.set.developer, now.modeDeveloper, prompt.Personality(now.settings.Personality), now.skills.text} {
		if text != "" {
			up.Developer = append(up.Developer, text)
		}
	}
	if now.docs.text != "" {
		up.User = append(up.User, now.docs.text)
	}
	if u.th.cfg.OmitEnvironment {
		return up
	}
	shell := u.th.m.getenv("SHELL")
	if shell != "" {
		shell = filepath.Base(shell)
	}
	up.User = append(up.User, prompt.Environment(prompt.Surroundings{
		Cwd: now.settings.Cwd, Shell: shell, Date: now.date, Timezone: timezone(u.started),
	}))
	return up
}

// timezone is the name of the local one; empty where none is known.
func timezone(at time.Time) string {
	if zone := at.Location().String(); zone != "Local" { // as $TZ says
		return zone
	}
	link, _ := os.Readlink("/etc/localtime")
	return linkedZone(link)
}

// linkedZone is the zone that a link into the system's database names.
func linkedZone(link string) string {
	_, zone, _ := strings.Cut(link, "/zoneinfo/")
	return zone
}

// abortedNote tells the model that its last turn was interrupted.
func abortedNote() jsontext.Value { return messageItem(roleUser, textPart(prompt.TurnAborted())) }

// warn tells the parent something about a thread.
func (m *Manager) warn(threadID, message string) {
	m.notify(m.base, protocol.MethodWarning, &protocol.WarningNotification{ThreadID: &threadID, Message: message})
}

// warnAll does so with lists of messages.
func (m *Manager) warnAll(threadID string, lists ...[]string) {
	for _, message := range slices.Concat(lists...) {
		m.warn(threadID, message)
	}
}
