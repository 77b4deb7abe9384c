package backend

import (
	"math"
	"net/http"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	for attempt, want := range map[int]time.Duration{-1: 200 * time.Millisecond, 0: 200 * time.Millisecond, 1: 200 * time.Millisecond, 2: 400 * time.Millisecond,
		5: 3200 * time.Millisecond, 9: 51200 * time.Millisecond, 10: time.Minute, 100: time.Minute} {
		for range 100 {
			if got := Backoff(attempt); got < want*9/10 || got > want*11/10 {
				t.Fatalf("Backoff(%d) is %v", attempt, got)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 25, 5, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		header, milliseconds, message string
		want                          time.Duration
	}{
		"none":            {"", "", "", 0},
		"seconds":         {"2", "", "", 2 * time.Second},
		"parts":           {" 1.5 ", "", "", 1500 * time.Millisecond},
		"date":            {"Wed, 25 Nov 2026 05:01:00 GMT", "", "", time.Minute},
		"date gone by":    {"Wed, 25 Nov 2026 04:00:00 GMT", "", "", 0},
		"negative":        {"-5", "", "", 0},
		"endless":         {"Inf", "", "", 365 * 24 * time.Hour},
		"not a number":    {"NaN", "", "", 0},
		"milliseconds":    {"9", "250", "", 250 * time.Millisecond},
		"words":           {"", "", "Rate limit reached. Please try again in 11.054s. Visit", 11054 * time.Millisecond},
		"words, ms":       {"", "", "try again in 28ms", 28 * time.Millisecond},
		"words, seconds":  {"", "", "Try again in 35 seconds", 35 * time.Second},
		"words, minutes":  {"", "", "try again in 2m", 2 * time.Minute},
		"words, no unit":  {"", "", "try again in 35 days", 0},
		"nonsense, words": {"soon", "", "try again in 1s", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			h.Set("Retry-After", test.header)
			h.Set("Retry-After-Ms", test.milliseconds)
			if got := retryAfter(h, test.message, now); got.Round(time.Microsecond) != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
	if seconds(math.MaxFloat64) < 0 {
		t.Error("overflow")
	}
}
