package rpc

import "time"

// tick is how finely a patience is counted.
const tick = 10 * time.Millisecond

// patience is the time that a shutdown may still take. It is counted in ticks, so
// that one in which the whole process stood still, on a machine that is overrun or
// was asleep, is one tick: nothing could get ready in it, and what would have been
// written is not given up for it.
type patience struct{ left time.Duration }

// wait reports whether ch was closed within d and what is left.
func (p *patience) wait(ch <-chan struct{}, d time.Duration) bool {
	select { // first, so that what is done needs no timer
	case <-ch:
		return true
	default:
	}
	for d = min(d, p.left); d > 0; {
		step := min(d, tick)
		begin := time.Now()
		select {
		case <-ch:
			p.left -= min(step, time.Since(begin))
			return true
		case <-time.After(step):
		}
		d -= step
		p.left -= step
	}
	return false
}

// within reports whether ch was closed within d.
func within(ch <-chan struct{}, d time.Duration) bool {
	return (&patience{d}).wait(ch, d)
}
