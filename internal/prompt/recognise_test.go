package prompt

import (
	"os"
	"path/filepath"
	"testing"

	"app-server/protocol"
)

func TestIsContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "AGENTS.md"), []byte("Be brief."), 0o600); err != nil {
		t.Fatal(err)
	}
	docs := ProjectDocs(DocsOptions{Cwd: dir, MaxBytes: 100})
	for _, text := range []string{
		Environment(Surroundings{Cwd: "/x"}), TurnAborted(), Summary("s"), Compaction(), Reviewed("h"), ReviewMissing("h"),
		docs.Text,
	} {
		if !IsContext(text) {
			t.Errorf("not recognised: %.40q", text)
		}
	}
	for _, text := range []string{"", "Hello", "<b>bold</b>", "what is <turn_aborted>?", ReviewTask(protocol.ReviewTarget{}, "")} {
		if IsContext(text) {
			t.Errorf("taken for context: %q", text)
		}
	}
	if !IsTurnAborted(TurnAborted()) || IsTurnAborted("no") {
		t.Error("IsTurnAborted")
	}
}
