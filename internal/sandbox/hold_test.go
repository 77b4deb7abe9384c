package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"app-server/protocol"
)

// TestHold: a missing .codex is there and kept while commands run, and only then.
func TestHold(t *testing.T) {
	cwd, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	named := filepath.Join(cwd, "named", heldName) // a root that the user named, whatever its name is
	for _, dir := range []string{"extra", "has/" + heldName, "named/" + heldName} {
		if err := os.MkdirAll(filepath.Join(cwd, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := New(Options{})
	p := Policy{Mode: protocol.SandboxWorkspaceWrite, Cwd: cwd, WritableRoots: []string{"extra", "has", "named", named, "missing"}, NoTmpdir: true, NoSlashTmp: true}
	hold := func(p Policy) (Folders, func()) {
		f, err := s.Folders(p)
		if err != nil {
			t.Fatal(err)
		}
		release := s.holds.hold(f.held(p), &f)
		return f, release
	}
	there := func(dir string) bool {
		_, err := os.Lstat(filepath.Join(cwd, dir, heldName))
		return err == nil
	}

	f, first := hold(p)
	want := []string{filepath.Join(cwd, heldName), filepath.Join(cwd, "extra", heldName), filepath.Join(cwd, "has", heldName), filepath.Join(named, heldName)}
	if !slices.Equal(f.Kept, want) || !there(".") || !there("extra") {
		t.Errorf("kept %q, want %q", f.Kept, want)
	}
	f, second := hold(p)
	if !slices.Equal(f.Kept, want) {
		t.Errorf("beside another command: kept %q, want %q", f.Kept, want)
	}
	first()
	first() // counts once
	if !there(".") || !there("extra") {
		t.Error("gone while a command needs them")
	}
	if err := os.WriteFile(filepath.Join(cwd, "extra", heldName, "config.toml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second()
	if there(".") || !there("extra") || !there("has") || !there("named") {
		t.Error("after the commands: the empty folder stays, or the user's does not")
	}

	p.Mode = protocol.SandboxReadOnly
	f, release := hold(p)
	release()
	if len(f.Kept) != 0 || there(".") {
		t.Errorf("read-only: kept %q", f.Kept)
	}
}
