package session

import (
	"math"
	"slices"

	"app-server/internal/backend"
	"app-server/internal/rollout"
	"app-server/protocol"
)

// limits are the last rate limits told by the backend; nil while none were.
type limits struct{ last *backend.RateLimits }

// sawLimits takes in the limits of a response or of a failure, if there are any,
// and tells the parent. Credits stay known where only windows are told.
func (u *turn) sawLimits(l *backend.RateLimits) {
	if l == nil {
		return
	}
	known := &u.th.conv.limits
	now := *l
	if now.Credits == nil && known.last != nil {
		now.Credits = known.last.Credits
	}
	known.last = &now
	u.tellLimits()
	for i := range l.Additional {
		u.tellLimit(&l.Additional[i])
	}
}

// tellLimits tells what is known, which may be nothing: the reference does so
// after each response all the same, and parents wait for it.
func (u *turn) tellLimits() {
	l := u.th.conv.limits.last
	if l == nil {
		l = &backend.RateLimits{LimitID: limitID}
	}
	u.tellLimit(l)
}

// tellLimit sends account/rateLimits/updated.
func (u *turn) tellLimit(l *backend.RateLimits) {
	u.notify(protocol.MethodAccountRateLimitsUpdated, &protocol.AccountRateLimitsUpdatedNotification{RateLimits: RateLimitSnapshot(l)})
}

// limitID names the limit of this kind of client.
const limitID = "codex"

// RateLimitSnapshot is l as the wire tells it. The percentage is rounded, since
// the wire has whole ones; a plan that the wire does not know is unknown there, and
// a reached limit that it has no word for is none.
func RateLimitSnapshot(l *backend.RateLimits) protocol.RateLimitSnapshot {
	s := protocol.RateLimitSnapshot{
		LimitID: optional(l.LimitID), LimitName: optional(l.LimitName),
		Primary: window(l.Primary), Secondary: window(l.Secondary),
	}
	if slices.Contains(protocol.RateLimitReachedTypes, l.ReachedType) {
		s.RateLimitReachedType = &l.ReachedType
	}
	if l.Plan != "" {
		plan := protocol.WirePlan(l.Plan)
		s.PlanType = &plan
	}
	if c := l.Credits; c != nil {
		s.Credits = &protocol.CreditsSnapshot{HasCredits: c.HasCredits, Unlimited: c.Unlimited, Balance: optional(c.Balance)}
	}
	return s
}

func window(w *backend.Window) *protocol.RateLimitWindow {
	if w == nil {
		return nil
	}
	return &protocol.RateLimitWindow{UsedPercent: int64(math.Round(w.UsedPercent)), WindowDurationMins: w.Minutes, ResetsAt: w.ResetsAt}
}

// storedLimits is l in the form of the files; nil for nil.
func storedLimits(l *backend.RateLimits) *rollout.RateLimits {
	if l == nil {
		return nil
	}
	wire := RateLimitSnapshot(l)
	s := &rollout.RateLimits{
		LimitID: wire.LimitID, LimitName: wire.LimitName, Primary: storedWindow(l.Primary), Secondary: storedWindow(l.Secondary),
		PlanType: wire.PlanType, ReachedType: wire.RateLimitReachedType,
	}
	if c := wire.Credits; c != nil {
		s.Credits = &rollout.Credits{HasCredits: c.HasCredits, Unlimited: c.Unlimited, Balance: c.Balance}
	}
	return s
}

func storedWindow(w *backend.Window) *rollout.RateWindow {
	if w == nil {
		return nil
	}
	return &rollout.RateWindow{UsedPercent: w.UsedPercent, Minutes: w.Minutes, ResetsAt: w.ResetsAt}
}

// optional is nil for an empty text.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
