package fake

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxShown is how much of one line a transcript shows, in bytes.
const maxShown = 2000

// entry is one event of a story.
type entry struct {
	at   time.Time
	text string
}

// transcript keeps what happened, for people who read a failure.
type transcript struct {
	start   time.Time
	secrets []secret

	mu      sync.Mutex
	entries []entry // guarded by mu
}

func (t *transcript) add(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = append(t.entries, entry{time.Now(), fmt.Sprintf(format, args...)})
}

// render writes the events, those of the backend among them, with secrets
// replaced by their names.
func (t *transcript) render(requests []Request) string {
	t.mu.Lock()
	entries := slices.Clone(t.entries)
	t.mu.Unlock()
	for _, r := range requests {
		who := ""
		if token := r.Bearer(); token != "" {
			who = " bearer " + token
		}
		entries = append(entries, entry{r.Time, fmt.Sprintf("backend %s %s%s: %d", r.Method, r.Path, who, r.Status)})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return a.at.Compare(b.at) })
	var out strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&out, "%9.3fs %s\n", e.at.Sub(t.start).Seconds(), clip(t.hide(e.text)))
	}
	return out.String()
}

// hide puts the names of secrets in place of their values.
func (t *transcript) hide(text string) string {
	for _, s := range t.secrets {
		text = strings.ReplaceAll(text, s.value, "${"+s.name+"}")
	}
	return text
}

func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(s[:maxShown], ""), len(s))
}
