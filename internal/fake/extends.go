package fake

import (
	"context"
	"fmt"
)

// twoRequests are two of those that ask the model, by their numbers.
func (r *runner) twoRequests(ctx context.Context, arg string) (a, b Request, err error) {
	var n, m int
	if _, err := fmt.Sscan(arg, &n, &m); err != nil {
		return a, b, fmt.Errorf("want the numbers of two requests: %w", err)
	}
	if min(n, m) < 1 {
		return a, b, fmt.Errorf("requests are counted from 1")
	}
	if err := r.waitRequests(ctx, max(n, m), ""); err != nil {
		return a, b, err
	}
	turns := r.turnRequests("")
	return turns[n-1], turns[m-1], nil
}

// extends wants the input of the longer request to begin with all of the
// shorter one's.
func extends(longer, shorter []byte) error {
	long, _ := mustDecodeOr(longer, nil).(map[string]any)
	short, _ := mustDecodeOr(shorter, nil).(map[string]any)
	more, _ := long["input"].([]any)
	less, _ := short["input"].([]any)
	if len(less) == 0 || len(more) < len(less) {
		return fmt.Errorf("inputs of %d and %d items", len(more), len(less))
	}
	for i, want := range less {
		if w, g := encodeJSON(want), encodeJSON(more[i]); w != g {
			return fmt.Errorf("item %d differs\n  had: %s\n  has: %s", i+1, clip(w), clip(g))
		}
	}
	return nil
}
