package shell

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Shell is a program that takes a command text.
type Shell struct {
	// Path is the absolute path of the program, or its bare name where the
	// system finds it by name.
	Path string
}

// System is what Detect asks about the machine. The zero value asks the real
// one.
type System struct {
	Getenv func(string) string
	// Passwd is the file of the user database, in the format of passwd(5);
	// empty means /etc/passwd.
	Passwd string
	// UID picks the line of the user database; empty means the user who runs
	// this process.
	UID string
	// Runnable tells whether a path is a program that may be started.
	Runnable func(path string) bool
	// OS is a GOOS value; empty means the running one.
	OS string
}

// Detect returns the shell for command texts: the login shell of the user
// database, else $SHELL, else the first that exists of bash, zsh and sh. The
// order is the reference's: $SHELL is often left over from another program.
//
// Only shells that understand POSIX command texts count, because that is what
// a model writes; a user of fish gets bash. On Windows the answer is
// PowerShell, else cmd.exe.
func Detect(s System) Shell {
	if s.Getenv == nil {
		s.Getenv = os.Getenv
	}
	if s.Runnable == nil {
		s.Runnable = runnable
	}
	if s.OS == "" {
		s.OS = runtime.GOOS
	}
	if s.OS == "windows" {
		return detectWindows(s)
	}
	candidates := []string{loginShell(s), s.Getenv("SHELL")}
	if s.OS == "darwin" { // bash is an old one there, and zsh the default
		candidates = append(candidates, "/bin/zsh")
	}
	candidates = append(candidates, "/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", "/bin/zsh", "/usr/bin/zsh", "/bin/sh")
	for _, path := range candidates {
		if filepath.IsAbs(path) && posix(path) && s.Runnable(path) {
			return Shell{Path: path}
		}
	}
	return Shell{Path: "/bin/sh"}
}

func detectWindows(s System) Shell {
	root := s.Getenv("SystemRoot")
	if root == "" {
		root = `C:\Windows`
	}
	if path := root + `\System32\WindowsPowerShell\v1.0\powershell.exe`; s.Runnable(path) {
		return Shell{Path: path}
	}
	if path := s.Getenv("ComSpec"); path != "" {
		return Shell{Path: path}
	}
	return Shell{Path: "cmd.exe"}
}

// Named returns the shell that a name or a path stands for; an empty one stands
// for this shell, and so does this shell's own bare name.
func (s Shell) Named(name string) Shell {
	if name == "" || name == filepath.Base(s.Path) {
		return s
	}
	return Shell{Path: name}
}

// Login returns the argv that runs command as a login shell does, with the
// user's profile read first. The profile can be slow and can print.
func (s Shell) Login(command string) []string { return s.argv("-lc", command) }

// Plain returns the argv that runs command without the user's profile.
func (s Shell) Plain(command string) []string { return s.argv("-c", command) }

func (s Shell) argv(flag, command string) []string {
	switch s.name() {
	case "powershell", "pwsh":
		if flag == "-c" {
			return []string{s.Path, "-NoProfile", "-Command", command}
		}
		return []string{s.Path, "-Command", command}
	case "cmd":
		return []string{s.Path, "/c", command}
	}
	return []string{s.Path, flag, command}
}

// name is the program's name without folder and .exe, in lower case.
func (s Shell) name() string {
	name := s.Path[strings.LastIndexAny(s.Path, `/\`)+1:]
	return strings.TrimSuffix(strings.ToLower(name), ".exe")
}

// Script returns the command text of an argv that hands one to a POSIX shell,
// such as bash -lc TEXT. An argv with more than that is not such a one.
func Script(argv []string) (text string, ok bool) {
	if len(argv) != 3 || !posix(argv[0]) {
		return "", false
	}
	if argv[1] != "-c" && argv[1] != "-lc" {
		return "", false
	}
	return argv[2], true
}

// posix tells whether a path names a shell that reads POSIX command texts.
func posix(path string) bool {
	switch (Shell{Path: path}).name() {
	case "bash", "zsh", "sh", "dash", "ksh", "ash":
		return true
	}
	return false
}

// loginShell reads the last field of the user's line. Users that are not in
// the file, such as those of a directory service, have no answer here.
func loginShell(s System) string {
	path := s.Passwd
	if path == "" {
		path = "/etc/passwd"
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	uid := s.UID
	if uid == "" {
		uid = strconv.Itoa(os.Getuid())
	}
	return passwdShell(f, uid)
}

func passwdShell(r io.Reader, uid string) string {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) == 7 && fields[2] == uid {
			return strings.TrimSpace(fields[6])
		}
	}
	return ""
}

func runnable(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	return runtime.GOOS == "windows" || info.Mode()&0o111 != 0
}
