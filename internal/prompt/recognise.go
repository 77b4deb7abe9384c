package prompt

import "strings"

// contextTags begin the user messages that this package, the tools or the
// reference put into a conversation, and that no user has typed.
var contextTags = []string{
	"<environment_context>", "<project_instructions>", "<turn_aborted>", "<user_action>", "<user_shell_command>",
	"<conversation_summary>", "<compaction>", "<user_instructions>", "<subagent_notification>", "<skill>", "# AGENTS.md instructions",
}

// IsContext reports whether a user message of a stored conversation is context,
// not words of the user. It goes by how the message begins.
func IsContext(text string) bool {
	for _, tag := range contextTags {
		if strings.HasPrefix(text, tag) {
			return true
		}
	}
	return false
}

// IsTurnAborted reports whether a user message says that a turn was interrupted,
// in the words of this package or of the reference.
func IsTurnAborted(text string) bool { return strings.HasPrefix(text, "<turn_aborted>") }
