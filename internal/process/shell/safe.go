package shell

import (
	"path"
	"slices"
	"strings"
)

// maxNesting bounds how deep a shell inside a shell is looked into.
const maxNesting = 3

// KnownSafe tells whether an argv is a command that only looks: it changes no
// file, starts no other program of the project's choice and opens no
// connection. bash -c TEXT is safe when TEXT is a plain list of safe commands.
//
// The list is the reference's, measured with the approval policy "untrusted",
// less the holes that were found in it: programs of the same name in other
// folders, uniq with an output file, and braces or patterns that expand to
// options.
func KnownSafe(argv []string) bool { return knownSafe(argv, maxNesting) }

func knownSafe(argv []string, depth int) bool {
	if len(argv) == 0 || depth == 0 {
		return false
	}
	if text, ok := Script(argv); ok {
		_, trusted := program(argv[0])
		return trusted && safeText(text, depth-1)
	}
	return safeSimple(simple{words: argv})
}

func safeText(command string, depth int) bool {
	list, ok := plainList(command)
	if !ok {
		return false
	}
	for _, c := range list {
		if text, ok := Script(c.words); ok && !c.loose {
			_, trusted := program(c.words[0])
			if !trusted || depth <= 1 || !safeText(text, depth-1) {
				return false
			}
			continue
		}
		if !safeSimple(c) {
			return false
		}
	}
	return true
}

// program returns the bare name of a program. A name with a folder is trusted
// only in the system's own: ./ls is the project's, not the system's.
func program(arg0 string) (name string, trusted bool) {
	switch dir, base := path.Split(arg0); dir {
	case "", "/bin/", "/usr/bin/":
		return base, true
	default:
		return base, false
	}
}

func safeSimple(c simple) bool {
	name, trusted := program(c.words[0])
	if !trusted {
		return false
	}
	args := c.words[1:]
	switch name {
	case "cat", "cd", "cut", "echo", "expr", "false", "grep", "head", "id", "ls", "nl", "numfmt", "paste", "pwd",
		"rev", "seq", "stat", "tac", "tail", "tr", "true", "uname", "wc", "which", "whoami":
		return true // no option of theirs does harm, so patterns may stand for some
	}
	if c.loose {
		return false
	}
	switch name {
	case "base64":
		return !slices.ContainsFunc(args, func(a string) bool {
			return strings.HasPrefix(a, "--o") || strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.Contains(a, "o")
		})
	case "find":
		return !findActs(args)
	case "git":
		return safeGit(args)
	case "rg":
		return !slices.ContainsFunc(args, rgStarts)
	case "sed":
		return safeSed(args)
	case "uniq":
		return safeUniq(args)
	}
	return false
}

// findActs tells whether find would do more than name what it found.
func findActs(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		switch a {
		case "-exec", "-execdir", "-ok", "-okdir", "-delete", "-fls", "-fprint", "-fprint0", "-fprintf":
			return true
		}
		return false
	})
}

// rgStarts tells whether an option makes rg start another program. Short
// options can stand together, as in -nz.
func rgStarts(a string) bool {
	for _, long := range []string{"--pre", "--hostname-bin"} {
		if a == long || strings.HasPrefix(a, long+"=") {
			return true
		}
	}
	if a == "--search-zip" {
		return true
	}
	return strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.Contains(a, "z")
}

// safeSed allows only printing of lines by number: sed -n 5p or 5,9p of at
// most one file. Any other sed script can write files or run programs.
func safeSed(args []string) bool {
	if len(args) < 2 || len(args) > 3 || args[0] != "-n" || !lineRange(args[1]) {
		return false
	}
	return len(args) == 2 || !strings.HasPrefix(args[2], "-")
}

// lineRange tells whether a sed script is Np or N,Mp.
func lineRange(s string) bool {
	s, ok := strings.CutSuffix(s, "p")
	if !ok {
		return false
	}
	from, to, ranged := strings.Cut(s, ",")
	return digits(from) && (!ranged || digits(to))
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// safeUniq refuses a second operand, which is a file to write. An option with
// a value of its own is taken for an operand too; that errs to the safe side.
func safeUniq(args []string) bool {
	files := 0
	for i, a := range args {
		if a == "--" { // all that follow are files, those with a dash too
			files += len(args) - i - 1
			break
		}
		if !strings.HasPrefix(a, "-") || a == "-" {
			files++
		}
	}
	return files <= 1
}

// safeGit allows the subcommands that read, without the options that write a
// file, start a program or change the configuration.
func safeGit(args []string) bool {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch {
		case args[0] == "--no-pager":
			args = args[1:]
		case args[0] == "-C" && len(args) > 1:
			args = args[2:]
		default:
			return false
		}
	}
	if len(args) == 0 {
		return false
	}
	switch rest := args[1:]; args[0] {
	case "status", "log", "diff", "show":
		return !slices.ContainsFunc(rest, gitActs)
	case "branch":
		return safeBranch(rest)
	}
	return false
}

// gitActs tells whether an option makes a reading subcommand write a file or
// start a program. git takes every unique beginning of a long option.
func gitActs(a string) bool {
	name, _, _ := strings.Cut(a, "=")
	if len(name) <= len("--") {
		return false
	}
	for _, long := range []string{"--output", "--ext-diff", "--textconv", "--exec"} {
		if strings.HasPrefix(long, name) {
			return true
		}
	}
	return false
}

// safeBranch allows listing. Every operand makes, moves or deletes a branch,
// unless --list comes first.
func safeBranch(args []string) bool {
	list := false
	for _, a := range args {
		switch a {
		case "--list", "-l":
			list = true
		case "-a", "--all", "-r", "--remotes", "-v", "-vv", "--verbose", "--show-current", "--no-color":
		default:
			if strings.HasPrefix(a, "--format=") || strings.HasPrefix(a, "--sort=") || strings.HasPrefix(a, "--color=") {
				continue
			}
			if !list || strings.HasPrefix(a, "-") {
				return false
			}
		}
	}
	return true
}
