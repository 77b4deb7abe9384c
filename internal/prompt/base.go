package prompt

import (
	_ "embed"

	"app-server/protocol"
)

//go:embed base.md
var base string

// Base returns the base instructions, in Markdown. A thread may replace them
// with its own.
func Base() string { return base }

// Personality returns a developer text for a tone, empty for none and for
// tones that are not known.
func Personality(p protocol.Personality) string {
	switch p {
	case protocol.PersonalityFriendly:
		return `<personality>
Speak as a warm and patient colleague. Say "we" where you work on something together, explain what a reader new to the subject would miss, and acknowledge it when something is tedious or goes wrong. Stay honest: being kind never means agreeing with what is wrong. Precision and brevity matter as before.
</personality>`
	case protocol.PersonalityPragmatic:
		return `<personality>
Speak as a matter-of-fact senior engineer. State results, reasons and trade-offs in few words. Leave out greetings, encouragement and small talk. When a request has a weak point, name it in one sentence and propose what you would do instead.
</personality>`
	}
	return ""
}

// TurnAborted returns the user message that follows a turn which was
// interrupted.
func TurnAborted() string {
	return `<turn_aborted>
The user interrupted the previous turn before it was finished. Commands and edits of that turn may have been carried out wholly, partly or not at all, and a command may still be running. Look at the actual state before you rely on any of it, and follow the next message instead of resuming by yourself.
</turn_aborted>`
}
