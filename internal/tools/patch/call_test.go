package patch

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestFindScript(t *testing.T) {
	const text = "*** Begin Patch\n*** Add File: x\n+$HOME `a` \\n 'q'\n*** End Patch"
	tests := []struct {
		name, script string
		dir          string
		found        bool
	}{
		{"quoted heredoc", "apply_patch <<'EOF'\n" + text + "\nEOF", "", true},
		{"newline behind", "apply_patch <<'EOF'\n" + text + "\nEOF\n", "", true},
		{"other name", "applypatch <<\"END\"\n" + text + "\nEND", "", true},
		{"heredoc that the shell would expand", "apply_patch <<EOF\n" + text + "\nEOF", "", true},
		{"tabs", "apply_patch <<-'EOF'\n\t" + text + "\n\tEOF", "", true},
		{"cd", "cd sub/dir && apply_patch <<'EOF'\n" + text + "\nEOF\n", "sub/dir", true},
		{"cd quoted", "cd 'a b'/\"c d\" &&\napply_patch <<'EOF'\n" + text + "\nEOF\n", "a b/c d", true},
		{"comment", "# change it\napply_patch <<'EOF'\n" + text + "\nEOF\n", "", true},
		{"argument", "apply_patch '*** Begin Patch\n*** End Patch'", "", true},
		{"argument that expands", "apply_patch \"*** Begin Patch\n$X\"", "", false},
		{"nothing but a patch", "\n" + text + "\n", "", true},
		{"no patch", "apply_patch", "", false},
		{"argument and heredoc", "apply_patch x <<'EOF'\n" + text + "\nEOF", "", false},
		{"two folders", "cd a && cd b && apply_patch <<'EOF'\n" + text + "\nEOF", "", false},
		{"cd back", "cd - && apply_patch <<'EOF'\n" + text + "\nEOF", "", false},
		{"cd home", "cd ~/x && apply_patch <<'EOF'\n" + text + "\nEOF", "", false},
		{"cd of a variable", "cd $D && apply_patch <<'EOF'\n" + text + "\nEOF", "", false},
		{"cd with semicolon", "cd a; apply_patch <<'EOF'\n" + text + "\nEOF", "", false},
		{"cd or", "cd a || apply_patch <<'EOF'\n" + text + "\nEOF", "", false},
		{"something behind", "apply_patch <<'EOF' && make\n" + text + "\nEOF", "", false},
		{"next line", "apply_patch <<'EOF'\n" + text + "\nEOF\nmake", "", false},
		{"pipe", "apply_patch <<'EOF' | cat\n" + text + "\nEOF", "", false},
		{"output", "apply_patch <<'EOF' > log\n" + text + "\nEOF", "", false},
		{"background", "apply_patch <<'EOF' &\n" + text + "\nEOF", "", false},
		{"negated", "! apply_patch <<'EOF'\n" + text + "\nEOF", "", false},
		{"assignment", "X=1 apply_patch <<'EOF'\n" + text + "\nEOF", "", false},
		{"other descriptor", "apply_patch 3<<'EOF'\n" + text + "\nEOF", "", false},
		{"subshell", "(apply_patch <<'EOF'\n" + text + "\nEOF\n)", "", false},
		{"echo", "echo apply_patch <<'EOF'\n" + text + "\nEOF", "", false},
		{"here string", "apply_patch <<< x", "", false},
		{"heredoc in the folder's name", "cd 'a <<b' && apply_patch <<'EOF'\n" + text + "\nEOF", "", false},
		{"broken", "apply_patch <<'EOF'\n" + text, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, found := FindScript(tt.script)
			if found != tt.found || found && c.Dir != tt.dir {
				t.Fatalf("got %+v, %v", c, found)
			}
			if !found {
				return
			}
			if tt.name == "argument" {
				if c.Patch != "*** Begin Patch\n*** End Patch" {
					t.Errorf("patch %q", c.Patch)
				}
				return
			}
			if strings.TrimPrefix(c.Patch, "\n") != text+"\n" {
				t.Errorf("patch %q", c.Patch)
			}
			if _, err := Parse(c.Patch); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFindCall(t *testing.T) {
	const script = "apply_patch <<'EOF'\np\nEOF"
	tests := []struct {
		argv []string
		want string
		ok   bool
	}{
		{[]string{"apply_patch", "p\n"}, "p\n", true},
		{[]string{"applypatch", "p\n"}, "p\n", true},
		{[]string{"bash", "-lc", script}, "p\n", true},
		{[]string{"/usr/bin/zsh", "-c", script}, "p\n", true},
		{[]string{`C:\Git\bin\bash.exe`, "-c", script}, "p\n", true},
		{[]string{"*** Begin Patch\n"}, "*** Begin Patch\n", true},
		{[]string{"bash", "-c", "*** Begin Patch\n"}, "*** Begin Patch\n", true},
		{[]string{"sh", "-x", script}, "", false},
		{[]string{"python", "-c", script}, "", false},
		{[]string{"apply_patch"}, "", false},
		{[]string{"apply_patch", "a", "b"}, "", false},
		{nil, "", false},
	}
	for _, tt := range tests {
		c, ok := FindCall(tt.argv)
		if ok != tt.ok || c.Patch != tt.want {
			t.Errorf("%q: got %+v, %v", tt.argv, c, ok)
		}
	}
}

func TestWorkdir(t *testing.T) {
	cwd := t.TempDir()
	abs := filepath.Join(cwd, "abs")
	for dir, want := range map[string]string{"": cwd, "a/../b": filepath.Join(cwd, "b"), abs: abs} {
		if got := (Call{Dir: dir}).Workdir(cwd); got != want {
			t.Errorf("%q: got %s, want %s", dir, got, want)
		}
	}
}

// TestDeepScript: a text that is nested as deep as a model can make it. A parser
// that went all the way down would end the whole server.
func TestDeepScript(t *testing.T) {
	deep := strings.Repeat("$(", 1<<20)
	if _, found := FindScript("apply_patch " + deep); found {
		t.Error("found a patch in nonsense")
	}
	if c, found := FindScript("apply_patch <<EOF\n" + deep + "\nEOF\n"); !found || c.Patch != deep+"\n" {
		t.Error("no patch found")
	}
	// Short enough, and one that nests nothing at all but is not worth a look.
	if _, found := FindScript("apply_patch '" + strings.Repeat("(", 32<<10) + "'"); found {
		t.Error("a text with so many brackets was read")
	}
}

func FuzzFindScript(f *testing.F) {
	f.Add("cd a && apply_patch <<'EOF'\nx\nEOF\n")
	f.Add("apply_patch <<-EOF\n\t$x ${y}\n\tEOF")
	f.Fuzz(func(t *testing.T, script string) {
		FindScript(script)
	})
}
