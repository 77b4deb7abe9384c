package session

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// items makes calls (in lower case) and their outputs (in upper case) out of
// letters, which are their ids.
func items(letters string) (out []jsontext.Value) {
	for _, r := range letters {
		if kind := "function_call"; strings.ToLower(string(r)) == string(r) {
			out = append(out, jsontext.Value(`{"type":"`+kind+`","call_id":"`+string(r)+`"}`))
		} else {
			out = append(out, jsontext.Value(`{"type":"`+kind+`_output","call_id":"`+strings.ToLower(string(r))+`"}`))
		}
	}
	return out
}

// letters is the way back.
func letters(items []jsontext.Value) (out string) {
	for _, raw := range items {
		kind, id := callOf(raw)
		if strings.HasSuffix(kind, "_output") {
			id = strings.ToUpper(id)
		}
		out += id
	}
	return out
}

// A backend may give several calls one id.
func TestCallsWithOneID(t *testing.T) {
	t.Run("unanswered", func(t *testing.T) {
		for conversation, want := range map[string]string{
			"": "", "aA": "", "ab": "AB", "abA": "B", "aAa": "A", "aaA": "A", "aaAA": "", "aAbaB": "A",
		} {
			if diff := cmp.Diff(want, letters(unanswered(items(conversation)))); diff != "" {
				t.Error(conversation, diff)
			}
		}
	})
	t.Run("without the oldest", func(t *testing.T) {
		// One item or two are a fifth of these.
		for conversation, want := range map[string]string{
			"abAB": "bB", "aAaA": "aA", "aaAA": "aA", "aAbBcCdDeE": "bBcCdDeE", "aaAAbBcCdD": "bBcCdD",
		} {
			if diff := cmp.Diff(want, letters(withoutOldest(items(conversation)))); diff != "" {
				t.Error(conversation, diff)
			}
		}
	})
}
