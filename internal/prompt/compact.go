package prompt

// Compaction returns the user message that asks the model to sum up the
// conversation before it.
func Compaction() string {
	return `<compaction>
This conversation is about to be replaced by a summary, because it has become too long. Write that summary now, for a colleague who takes over the work and sees nothing else of what came before but the user's own messages.

Cover, as far as they apply:
- what the user wants, with every constraint, preference and correction that still holds
- what has been done so far: files that were created, changed or removed, commands that mattered and how they ended
- what was found out: causes, decisions and why they were taken, attempts that failed and need not be repeated
- what is unfinished, and the next steps in order
- names that the work cannot go on without: paths, symbols, commands, identifiers, error messages, sessions of commands that are still running

Write plain text, precise and short. Say what is certain and what is a guess. Do not call tools, do not answer earlier questions, and add no greeting or closing words.
</compaction>`
}

// Summary returns the user message that stands for the part of a conversation
// that a compaction took out. text is the model's own summary, and goes in as it
// is.
func Summary(text string) string {
	return `<conversation_summary>
An earlier part of this conversation was left out to make room. The messages of the user that came before this one are kept, the oldest of them perhaps shortened or left out; what was done and found out since then is summed up here. Go on from this state, and look at the files themselves before you rely on a detail.

` + text + `
</conversation_summary>`
}
