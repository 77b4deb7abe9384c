package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// A method that is listed as not served must not be in the table as well: each
// of them is answered with the reason that says so.
func TestNotServedIsNotServed(t *testing.T) {
	var in strings.Builder
	in.WriteString(`{"id":"hello","method":"initialize","params":{"clientInfo":{"name":"t","version":"1"},"capabilities":{"experimentalApi":true}}}` + "\n")
	for method := range notServed {
		fmt.Fprintf(&in, `{"id":%q,"method":%q,"params":{}}`+"\n", method, method)
	}
	home := t.TempDir()
	var out, errs bytes.Buffer
	code := run(t.Context(), process{
		Stdin: strings.NewReader(in.String()), Stdout: &out, Stderr: &errs, Cwd: home,
		Getenv: func(name string) string { return map[string]string{"CODEX_HOME": home}[name] },
	})
	if code != exitOK || errs.Len() > 0 {
		t.Fatalf("exit %d, %s", code, errs.String())
	}
	var answered []string
	for line := range strings.Lines(out.String()) {
		var m struct {
			ID    string `json:"id"`
			Error struct {
				Data struct {
					Reason string `json:"reason"`
				} `json:"data"`
			} `json:"error"`
		}
		if err := json.Unmarshal([]byte(strings.TrimSpace(line)), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if m.ID == "hello" {
			continue
		}
		answered = append(answered, m.ID)
		if m.Error.Data.Reason != "methodNotServed" {
			t.Errorf("%s: %s", m.ID, line)
		}
	}
	slices.Sort(answered)
	if answered = slices.Compact(answered); len(answered) != len(notServed) {
		t.Errorf("%d of %d methods were answered", len(answered), len(notServed))
	}
}
