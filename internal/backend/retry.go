package backend

import (
	"context"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// firstPause and its doubling are the reference's.
	firstPause = 200 * time.Millisecond
	// maxPause keeps the doubling useful where a hundred retries are allowed.
	maxPause = time.Minute
	// maxSilentPause is the longest Retry-After that is waited out without a
	// word. A longer one goes to the caller, who tells the user.
	maxSilentPause = 10 * time.Second
	// maxRetryAfter is the longest pause that is worth waiting for at all: past
	// it a turn that fails with a reason serves the user better.
	maxRetryAfter = 10 * time.Minute
)

// Backoff is the pause before repeat number attempt (from 1) when the backend
// asks for none: 200 ms, doubled each time, at most a minute, spread by a
// tenth to both sides so that many clients do not come back in step.
func Backoff(attempt int) time.Duration {
	pause := maxPause
	if n := max(attempt, 1) - 1; n < 10 { // 200 ms << 9 is past a minute already
		pause = min(firstPause<<n, maxPause)
	}
	return time.Duration(float64(pause) * (0.9 + 0.2*rand.Float64()))
}

// pause waits, or returns early with the caller's end.
func pause(ctx context.Context, d time.Duration) *Error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return canceled(ctx)
	}
}

// retryAfter reads the pause that a refusal asks for: the header in seconds or
// as a date, else the words "try again in ..." of the message.
func retryAfter(h http.Header, message string, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(strings.TrimSpace(h.Get("Retry-After-Ms")), 64); err == nil {
		return seconds(ms / 1000)
	}
	value := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.ParseFloat(value, 64); err == nil {
		return seconds(s)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return wordedPause(message)
}

// againIn matches "try again in 11.054s", "in 28 ms", "in 35 seconds".
var againIn = regexp.MustCompile(`(?i)try again in\s*(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|sec|seconds?|m|min|minutes?)\b`)

func wordedPause(message string) time.Duration {
	m := againIn.FindStringSubmatch(message)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0
	}
	switch unit := strings.ToLower(m[2]); {
	case unit == "ms" || strings.HasPrefix(unit, "milli"):
		n /= 1000
	case strings.HasPrefix(unit, "m"):
		n *= 60
	}
	return seconds(n)
}

// seconds turns a number of the wire into a duration that cannot overflow. NaN
// and negative numbers are no pause.
func seconds(n float64) time.Duration {
	const most = 365 * 24 * 3600
	if !(n > 0) {
		return 0
	}
	return time.Duration(min(n, most) * float64(time.Second))
}

// askPause puts the pause that the backend asks for into a retryable failure.
func (e *Error) askPause(d time.Duration) {
	e.RetryAfter = d
	if d > maxRetryAfter {
		e.Retry, e.silent = RetryNever, false
	}
}
