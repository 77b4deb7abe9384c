package rollout

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

var update = flag.Bool("update", false, "write the expected outlines of the samples anew")

const samples = "../../testdata/rollouts"

// summary is what a test looks at of a file.
type summary struct {
	Thread   protocol.Thread
	Settings *Settings
	Usage    *protocol.ThreadTokenUsage
	History  []string
	Turns    []protocol.Turn
}

func summarize(t *testing.T, l *Log) summary {
	t.Helper()
	s := summary{Thread: l.Thread(), Settings: l.Settings, Usage: l.Usage}
	path := filepath.Base(*s.Thread.Path)
	s.Thread.Path, s.Thread.UpdatedAt = &path, 0
	history, err := l.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range history {
		s.History = append(s.History, fmt.Sprintf("%s %s %s", memberText(h, "type"), memberText(h, "role"), said(h)))
	}
	if s.Turns, err = l.Turns(t.Context(), 0, l.Len()); err != nil {
		t.Fatal(err)
	}
	return s
}

// said is the text of an item of the history.
func said(h jsontext.Value) string {
	if c := userText(member(h, "content")); c != "" {
		return c
	}
	return memberText(h, "name") + memberText(h, "output")
}

// TestSamples reads files that the reference has written, of three generations,
// and compares with what was seen to be right.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob(samples + "/*/*sessions/**/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	deep, err := filepath.Glob(samples + "/*/sessions/*/*/*/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, deep...)
	if len(files) < 10 {
		t.Fatalf("%d samples", len(files))
	}
	for _, f := range files {
		home, _ := filepath.Rel(samples, f)
		version := filepath.Dir(home)
		for filepath.Dir(version) != "." {
			version = filepath.Dir(version)
		}
		id, ok := parseName(filepath.Base(f))
		if !ok {
			t.Fatal(f)
		}
		t.Run(version+"/"+id.segment, func(t *testing.T) {
			l, err := New(filepath.Join(samples, version)).ReadFile(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if l.Unreadable != 0 || l.Torn != 0 {
				t.Errorf("unreadable %d, torn %d", l.Unreadable, l.Torn)
			}
			raw, err := jsonv2.Marshal(summarize(t, l), lenient, jsontext.WithIndent(" "), jsonv2.Deterministic(true))
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "samples", version+"-"+id.segment+".json")
			if *update {
				if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, append(raw, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(raw)+"\n"); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAgreesWithReference compares the turns of files that the reference has
// written with what it said of them itself, in thread/read of the same thread.
func TestAgreesWithReference(t *testing.T) {
	for version, id := range map[string]string{
		"0.125.0":          "01a2119e-a725-7640-b953-bf99e3999ca3",
		"0.125.0-extended": "01a2119e-bc50-7893-82a4-65020f853587",
		"0.169.0":          "01a2119e-a744-7150-b66e-7a3d70c679d5",
		"0.169.0-reverted": "01a211bd-786c-77d0-9bc1-d2ac6b686211",
		"0.94.0":           "01a2119e-b252-7f03-a940-0838303063e1",
	} {
		t.Run(version, func(t *testing.T) {
			home := filepath.Join(samples, version)
			l, err := New(home).Read(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			turns, err := l.Turns(t.Context(), 0, l.Len())
			if err != nil {
				t.Fatal(err)
			}
			mine, err := jsonv2.Marshal(map[string]any{"turns": turns}, lenient)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := os.ReadFile(filepath.Join(home, "read.json"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(simple(t, theirs), simple(t, mine)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// simple is a list of turns without what may differ: ids that the reference
// makes up, and members that only one generation has.
func simple(t *testing.T, raw []byte) []string {
	t.Helper()
	var in struct {
		Turns []struct {
			ID, Status  string
			Error       any
			CompletedAt any
			DurationMs  any
			Items       []map[string]any
		}
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, u := range in.Turns {
		if e, ok := u.Error.(map[string]any); ok {
			delete(e, "misalignment")
		}
		out = append(out, fmt.Sprintf("%s %v %v %v", u.Status, u.Error, u.CompletedAt, u.DurationMs))
		for _, i := range u.Items {
			for _, k := range []string{"startedAtMs", "completedAtMs", "moderation", "delivery", "questions", "clientId", "pluginId", "scriptPath", "results"} {
				delete(i, k)
			}
			for _, k := range []string{"phase", "memoryCitation"} { // not in 0.94.0
				if i[k] == nil {
					delete(i, k)
				}
			}
			if id, _ := i["id"].(string); strings.HasPrefix(id, "item-") {
				delete(i, "id")
			}
			out = append(out, fmt.Sprint("  ", i))
		}
		// The review that follows is one turn here. The reference makes two of it,
		// one of them of the thread that reviews.
		if strings.Contains(out[len(out)-1], "proposed_plan") {
			break
		}
	}
	return out
}
