package rollout

import (
	"time"

	"app-server/protocol"
)

// Log is the outline of a thread's file as it was when it was read. It is not
// changed afterwards; its methods may be called by any goroutine, and read the
// file again where they need to. That may have grown, but not been moved.
type Log struct {
	Meta Meta
	// Preview is the first thing the user said, which may be empty; Spoken is
	// whether there was any.
	Preview string
	Spoken  bool
	// Name is the last name that the file tells, or nil. What [Store.Name] says
	// comes before it.
	Name *string
	// Updated is when the file was written last.
	Updated time.Time
	// Settings are those of the last turn; nil where there are none, or where
	// their policies cannot be read. Told are those of the last turn that was not
	// rolled back, which is what the model knows of.
	Settings, Told *Settings
	// Usage is the last count of tokens, or nil.
	Usage *protocol.ThreadTokenUsage
	// Torn is how many bytes of a last line were not whole. Continue has cut them
	// off.
	Torn int64
	// Unreadable is how many other lines were no JSON. They are passed over and
	// left in the file.
	Unreadable int

	files []string // the thread's own file first, then those of its ancestors
	// before is what precedes the first turn.
	before []span
	turns  []turnRef
	// bases are the compactions, the last one last.
	bases []base
	size  int64 // of the own file, torn bytes not counted
	// nextOrdinal is the number of the own file's next line, or -1: see
	// [parsed].
	nextOrdinal int64
	unended     bool // the last line is whole but for its newline
}

// turnRef is where a turn is.
type turnRef struct {
	id string
	// other is a second id that lines of the turn may have, or empty.
	other string
	// spans are from the turn's first line to the next turn's; late are items of
	// it among the lines of a later one, as the reference 0.125.0 writes them.
	spans, late []span
	context     *span // the last turn_context line, or nil
	// explicit is whether the turn had a start of its own, not just a user message.
	explicit, spoken, ended bool
	// ours is whether the turn was started by this program: then what the user
	// says in it has the app_server member.
	ours bool
}

// base is a compacted line.
type base struct {
	span span
	turn int // index of the turn it is in; -1 before the first
}

// Len is the number of turns.
func (l *Log) Len() int { return len(l.turns) }

// Unended reports whether the last turn has begun and not ended: it runs, or
// died with the program that ran it.
func (l *Log) Unended() bool {
	n := len(l.turns)
	return n > 0 && l.turns[n-1].explicit && !l.turns[n-1].ended
}

// Compactions is how often the history was replaced by a summary.
func (l *Log) Compactions() int { return len(l.bases) }

// TurnIDs returns the ids of all turns, oldest first.
func (l *Log) TurnIDs() []string {
	ids := make([]string, len(l.turns))
	for i := range l.turns {
		ids[i] = l.turns[i].id
	}
	return ids
}

// live are the parts of the files that count, in order: those of the first
// turns, or of all with turns < 0, and what precedes them.
func (l *Log) live(turns int) []span {
	if turns < 0 || turns > len(l.turns) {
		turns = len(l.turns)
	}
	out := append([]span(nil), l.before...)
	for i := range turns {
		out = append(out, l.turns[i].spans...)
	}
	return out
}
