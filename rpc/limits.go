package rpc

import "time"

// Defaults of [Limits].
const (
	// DefaultLine is the longest input line in bytes. Images travel inside
	// lines as data URLs, so it is large.
	DefaultLine = 128 << 20
	// DefaultRequests is how many requests may wait or run at once. A waiting
	// request costs some hundred bytes beside its parameters.
	DefaultRequests = 16384
	// DefaultRequestBytes is how many bytes of input lines the waiting and
	// running requests may hold together. One line alone is always taken.
	DefaultRequestBytes = 256 << 20
	// DefaultOutboxMark is the number of bytes of unwritten output above which
	// Notify waits: some seconds of many streaming turns.
	DefaultOutboxMark = 8 << 20
	// DefaultOutboxBound is the number of bytes of unwritten output above
	// which the parent counts as gone. It is far above the mark, because
	// replies do not wait and a single one may be tens of megabytes.
	DefaultOutboxBound = 256 << 20
	// DefaultGrace is how long handlers may go on at shutdown before their
	// contexts are cancelled.
	DefaultGrace = 500 * time.Millisecond
	// DefaultStop is how long they then have to return.
	DefaultStop = 250 * time.Millisecond
	// DefaultInterrupt is how long Options.Drain may take where the handlers have
	// used up their time. What they have not is its own as well: a command that
	// does not want to end takes nearly all of this.
	DefaultInterrupt = 500 * time.Millisecond
	// DefaultTotal is how long a whole shutdown may take, writing out the
	// outbox included. Parents wait 2 s before they kill.
	DefaultTotal = 1800 * time.Millisecond
)

// Limits bounds memory and the time of a shutdown. A zero field means its
// default.
type Limits struct {
	Line         int           // bytes of an input line, its ending apart
	Requests     int           // requests waiting or running
	RequestBytes int64         // bytes of the lines of these
	OutboxMark   int64         // bytes of unwritten output at which Notify waits
	OutboxBound  int64         // bytes of unwritten output at which the parent counts as gone
	Grace        time.Duration // shutdown: handlers go on undisturbed
	Stop         time.Duration // shutdown: handlers with cancelled contexts
	Interrupt    time.Duration // shutdown: Options.Drain
	Total        time.Duration // shutdown: all of it
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.Line, DefaultLine)
	orDefault(&l.Requests, DefaultRequests)
	orDefault(&l.RequestBytes, DefaultRequestBytes)
	orDefault(&l.OutboxMark, DefaultOutboxMark)
	orDefault(&l.OutboxBound, DefaultOutboxBound)
	orDefault(&l.Grace, DefaultGrace)
	orDefault(&l.Stop, DefaultStop)
	orDefault(&l.Interrupt, DefaultInterrupt)
	orDefault(&l.Total, DefaultTotal)
	return l
}

func orDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
