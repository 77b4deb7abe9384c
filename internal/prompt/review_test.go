package prompt

import (
	"strings"
	"testing"
	"unicode/utf8"

	"app-server/protocol"
)

func TestReview(t *testing.T) {
	s := Review()
	if len(s) < 2000 || !utf8.ValidString(s) {
		t.Errorf("review instructions of %d bytes", len(s))
	}
	for _, name := range []string{"findings", "title", "body", "confidence_score", "priority", "code_location", "absolute_file_path", "line_range", "start", "end", "overall_correctness", "overall_explanation", "overall_confidence_score"} {
		if !strings.Contains(s, `"`+name+`"`) {
			t.Errorf("the reviewer is not asked for %s", name)
		}
	}
}

func TestReviewTask(t *testing.T) {
	tests := []struct {
		name       string
		target     protocol.ReviewTarget
		base       string
		hint, task string
	}{
		{"uncommitted", protocol.ReviewTarget{Type: protocol.ReviewUncommitted}, "", "uncommitted changes", "not committed"},
		{"branch", protocol.ReviewTarget{Type: protocol.ReviewBaseBranch, Branch: "main"}, "abc", "changes since main", "`git diff abc`"},
		{"branch alone", protocol.ReviewTarget{Type: protocol.ReviewBaseBranch, Branch: "main"}, "", "changes since main", "`git merge-base`"},
		{"commit", protocol.ReviewTarget{Type: protocol.ReviewCommit, SHA: "0123456789"}, "", "commit 0123456", "commit 0123456789 made"},
		{"commit with title", protocol.ReviewTarget{Type: protocol.ReviewCommit, SHA: "01", Title: "T"}, "", "commit 01: T", `commit 01 ("T")`},
		{"custom", protocol.ReviewTarget{Type: protocol.ReviewCustom, Instructions: "a\nb"}, "", "a\nb", "a\nb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ReviewTarget(tt.target); got != tt.hint {
				t.Errorf("ReviewTarget = %q, want %q", got, tt.hint)
			}
			if got := ReviewTask(tt.target, tt.base); !strings.Contains(got, tt.task) {
				t.Errorf("ReviewTask = %q, which lacks %q", got, tt.task)
			}
		})
	}
	for _, note := range []string{Reviewed("HINT"), ReviewMissing("HINT")} {
		if !strings.Contains(note, "HINT") {
			t.Errorf("%q does not say what was reviewed", note)
		}
	}
}

func TestMode(t *testing.T) {
	if s := Mode(protocol.ModePlan); !strings.Contains(s, "\n<proposed_plan>\n") || !strings.Contains(s, "\n</proposed_plan>\n") || !utf8.ValidString(s) {
		t.Errorf("plan mode is told as %q", s)
	}
	if s := Mode(protocol.ModeDefault); s != "" {
		t.Errorf("the default mode is told as %q", s)
	}
	if ModeOver() == "" {
		t.Error("the end of a mode is not told")
	}
}
