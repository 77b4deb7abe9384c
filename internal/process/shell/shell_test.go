package shell

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDetect(t *testing.T) {
	t.Parallel()
	passwd := filepath.Join(t.TempDir(), "passwd")
	text := "root:x:0:0:root:/root:/bin/bash\nz:x:1:1::/home/z:/usr/bin/zsh\nf:x:2:2::/home/f:/usr/bin/fish\nn:x:3:3::/:/usr/sbin/nologin\nbroken\n"
	if err := os.WriteFile(passwd, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	all := []string{"/bin/bash", "/usr/bin/zsh", "/bin/zsh", "/usr/bin/fish", "/usr/sbin/nologin", "/bin/sh"}
	tests := []struct {
		name, os, uid, env string
		there              []string
		want               string
	}{
		{"user database", "linux", "1", "/bin/bash", all, "/usr/bin/zsh"},
		{"no such user", "linux", "9", "/bin/zsh", all, "/bin/zsh"},
		{"other language", "linux", "2", "/usr/bin/fish", all, "/bin/bash"},
		{"no login", "linux", "3", "", all, "/bin/bash"},
		{"not there", "linux", "1", "/bin/zsh", []string{"/bin/sh"}, "/bin/sh"},
		{"relative", "linux", "9", "bash", []string{"bash", "/bin/sh"}, "/bin/sh"},
		{"nothing there", "linux", "0", "", nil, "/bin/sh"},
		{"mac", "darwin", "9", "", all, "/bin/zsh"},
		{"windows", "windows", "", "", nil, "cmd.exe"},
		{"powershell", "windows", "", "", []string{`C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`}, `C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`},
	}
	for _, test := range tests {
		got := Detect(System{OS: test.os, UID: test.uid, Passwd: passwd,
			Getenv:   func(name string) string { return map[string]string{"SHELL": test.env}[name] },
			Runnable: func(path string) bool { return slices.Contains(test.there, path) }})
		if got.Path != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got.Path, test.want)
		}
	}
	if got := Detect(System{}); !runnable(got.Path) {
		t.Errorf("the real one: %s", got.Path)
	}
}

func TestArgv(t *testing.T) {
	t.Parallel()
	tests := []struct{ got, want []string }{
		{Shell{"/bin/bash"}.Login("ls"), []string{"/bin/bash", "-lc", "ls"}},
		{Shell{"/bin/zsh"}.Plain("ls"), []string{"/bin/zsh", "-c", "ls"}},
		{Shell{`C:\x\powershell.exe`}.Plain("ls"), []string{`C:\x\powershell.exe`, "-NoProfile", "-Command", "ls"}},
		{Shell{`C:\x\pwsh.exe`}.Login("ls"), []string{`C:\x\pwsh.exe`, "-Command", "ls"}},
		{Shell{"cmd.exe"}.Login("dir"), []string{"cmd.exe", "/c", "dir"}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Error(diff)
		}
	}
	if text, ok := Script([]string{"bash", "-lc", "x y"}); !ok || text != "x y" {
		t.Errorf("got %q, %v", text, ok)
	}
	for _, argv := range [][]string{nil, {"bash"}, {"bash", "-x", "a"}, {"python", "-c", "a"}, {"bash", "-c", "a", "b"}} {
		if _, ok := Script(argv); ok {
			t.Errorf("%q has a text", argv)
		}
	}
}

func TestNamed(t *testing.T) {
	t.Parallel()
	s := Shell{Path: "/bin/bash"}
	for name, want := range map[string]string{"": "/bin/bash", "bash": "/bin/bash", "zsh": "zsh", "/opt/bash": "/opt/bash"} {
		if got := s.Named(name); got.Path != want {
			t.Errorf("%q is %s, want %s", name, got.Path, want)
		}
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	tests := []struct {
		argv []string
		want string
	}{
		{[]string{"/bin/bash", "-lc", "ls -la"}, "/bin/bash -lc 'ls -la'"},
		{[]string{"ls", "--color=auto", ""}, "ls '--color=auto' ''"},
		{[]string{"cat", "it's"}, `cat "it's"`},
		{[]string{"echo", `a'$b`}, `echo "a'"'$b'`},
		{[]string{"echo", "it's^fine"}, `echo "it's"'^fine'`},
		{[]string{"echo", "^a^b", "a^b"}, `echo '^a''^b' a'^b'`},
		{[]string{"echo", `a\b`, `a\b"c`, `\$`}, `echo "a\\b" "a\\b\"c" "\\"'$'`},
		{[]string{"echo", "'!"}, `echo "'"'!'`},
	}
	for _, test := range tests {
		if got := Quote(test.argv); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// What is quoted is read back as the same words.
func FuzzQuote(f *testing.F) {
	f.Add("it's", `a"b\`)
	f.Add("$(x)", "{a,b}")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, c := range a + "|" + b {
			if c == 0 || c == '\r' || c == 0xfffd { // no argument holds these, or the parser alters them
				return
			}
		}
		argv := []string{"echo", a, b}
		got, ok := Words(Quote(argv))
		if !ok || len(got) != 1 || !slices.Equal(got[0], argv) {
			t.Errorf("%s read as %q", Quote(argv), got)
		}
	})
}
