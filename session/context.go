package session

import (
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/prompt"
	"app-server/protocol"
)

// told is what the model has been told about its surroundings. The zero value
// is nothing.
type told struct {
	any      bool
	settings prompt.Settings
	// developer is what developerInstructions and the collaboration mode said.
	developer, modeDeveloper string
	date                     string
}

// tellContext tells the model what it must know before the user's words: all of
// it in the first turn, later only what has changed. Nothing that was told is
// ever rewritten, so each request begins with the one before it.
func (u *turn) tellContext() {
	c, t, s := &u.th.conv, u.th, u.set
	now := told{
		any: true,
		settings: prompt.Settings{
			Cwd: s.cwd, Model: s.model, Sandbox: s.sandbox, Approval: s.approval, Personality: s.personality,
		},
		developer: s.developer, modeDeveloper: s.modeDeveloper,
		date: u.started.Format(time.DateOnly),
	}
	before := c.told
	c.told = now
	var update prompt.Update
	if !before.any {
		update = u.firstContext(now)
	} else {
		update = prompt.Changes(before.settings, now.settings)
		if now.developer != before.developer && now.developer != "" {
			update.Developer = append(update.Developer, now.developer)
		}
		if now.modeDeveloper != before.modeDeveloper && now.modeDeveloper != "" {
			update.Developer = append(update.Developer, now.modeDeveloper)
		}
		if now.date != before.date && now.settings.Cwd == before.settings.Cwd {
			update.User = append(update.User, prompt.Environment(prompt.Surroundings{Date: now.date}))
		}
	}
	if len(update.Developer) > 0 {
		parts := make([]part, len(update.Developer))
		for i, text := range update.Developer {
			parts[i] = textPart(text)
		}
		t.conv.items = append(t.conv.items, messageItem(roleDeveloper, parts...))
	}
	for _, text := range update.User {
		t.conv.items = append(t.conv.items, messageItem(roleUser, textPart(text)))
	}
}

// firstContext is all that the model is told at the beginning of a thread.
func (u *turn) firstContext(now told) prompt.Update {
	up := prompt.Update{Developer: []string{prompt.Permissions(now.settings.Sandbox, now.settings.Approval)}}
	for _, text := range []string{now.developer, now.modeDeveloper, prompt.Personality(now.settings.Personality)} {
		if text != "" {
			up.Developer = append(up.Developer, text)
		}
	}
	if u.th.docs != "" {
		up.User = append(up.User, u.th.docs)
	}
	zone := u.started.Location().String()
	if zone == "Local" { // no name is known
		zone = ""
	}
	up.User = append(up.User, prompt.Environment(prompt.Surroundings{
		Cwd: now.settings.Cwd, Shell: filepath.Base(u.th.m.getenv("SHELL")), Date: now.date, Timezone: zone,
	}))
	return up
}

// abortedNote tells the model that its last turn was interrupted.
func abortedNote() jsontext.Value { return messageItem(roleUser, textPart(prompt.TurnAborted())) }

// warn tells the parent something about a thread.
func (m *Manager) warn(threadID, message string) {
	m.notify(m.base, protocol.MethodWarning, &protocol.WarningNotification{ThreadID: &threadID, Message: message})
}
