// Package prompt holds what the server itself tells the model: the base
// instructions, those of a reviewer and of plan mode, the rules of sandbox and
// approval, the environment, the project's AGENTS.md files, and the notes about
// changes between turns.
//
// All texts are this project's own. Functions return plain strings; which
// message or role carries them is the caller's business. Texts given to a
// function are put in as they are or escaped where the text is marked up, and
// the results are valid UTF-8 for any input.
//
// A conversation only grows: what was told once is never rewritten, so that
// every request begins with the one before it and the backend can reuse its
// work. When a setting changes between turns, [Changes] says what to add. Only a
// compaction begins anew: [Compaction] asks for a summary, [Summary] tells it.
//
// The package imports the protocol's enums and knows neither the backend nor
// threads. It does no work at start: the base instructions are embedded as they
// are.
package prompt
