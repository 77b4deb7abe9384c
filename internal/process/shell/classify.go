package shell

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
)

// classify tells what one simple command does.
func classify(words []string, place Place) (Action, bool) {
	name, trusted := program(words[0])
	if !trusted {
		return Action{}, false
	}
	args := words[1:]
	a := Action{Kind: Unknown, Command: Quote(words)}
	switch name {
	case "ls":
		a.list(operands(args, "-I", "--ignore", "-w", "--width", "-T", "--tabsize", "--time-style", "--block-size", "--sort", "--time", "--hide"))
	case "tree", "eza", "exa", "du":
		a.list(operands(args, "-L", "--level", "-I", "-P", "--charset", "--ignore-glob", "--sort", "-s", "-d", "--max-depth", "--exclude"))
	case "find":
		a.find(args)
	case "fd", "fdfind":
		a.fd(args)
	case "rg", "rga", "ripgrep", "ag", "ack", "pt", "grep", "egrep", "fgrep":
		a.search(name, args)
	case "git":
		a.git(args)
	case "cat", "less", "more", "bat", "batcat", "head", "tail", "nl", "sed", "awk":
		a.read(name, args, place)
	}
	return a, a.Kind != Unknown
}

// operands returns the arguments that are not options. The flags named take a
// value of their own, which is left out as well.
func operands(args []string, valued ...string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--":
			return append(out, args[i+1:]...)
		case len(a) > 1 && a[0] == '-':
			if slices.Contains(valued, a) {
				i++
			}
		default:
			out = append(out, a)
		}
	}
	return out
}

func (a *Action) list(paths []string) {
	a.Kind = ListFiles
	if len(paths) > 0 {
		a.Path = shortened(paths[0])
	}
}

// look makes a search of the operands: what, then where.
func (a *Action) look(words []string) {
	a.Kind = Search
	if len(words) > 0 {
		a.Query = &words[0]
	}
	if len(words) > 1 {
		a.Path = shortened(words[1])
	}
}

func shortened(path string) *string {
	s := short(path)
	return &s
}

// searchFlags are the options with a value of rg, grep and their kin. Those
// that name the pattern are not among them.
var searchFlags = map[string][]string{
	"rg": {"-g", "--glob", "--iglob", "-t", "--type", "-T", "--type-not", "-A", "-B", "-C", "-m", "-d", "-E", "-j", "-M", "-r",
		"--after-context", "--before-context", "--context", "--max-count", "--max-depth", "--encoding", "--threads", "--max-columns",
		"--replace", "--sort", "--sortr", "--ignore-file", "--color", "--colors", "--engine", "--max-filesize", "--pre", "--hostname-bin"},
	"grep": {"-A", "-B", "-C", "-m", "-d", "-D", "--after-context", "--before-context", "--context", "--max-count"},
	"ag":   {"-A", "-B", "-C", "-m", "-G", "--ignore", "--ignore-dir", "--depth"},
}

func (a *Action) search(name string, args []string) {
	switch name {
	case "egrep", "fgrep", "git grep":
		name = "grep"
	case "ack", "pt":
		name = "ag"
	case "rga", "ripgrep":
		name = "rg"
	}
	flags := searchFlags[name]
	pattern, fromFile := "", false
	var rest []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		long, value, hasValue := strings.Cut(arg, "=")
		switch {
		case arg == "--":
			rest = append(rest, args[i:]...)
			i = len(args)
		case name == "rg" && arg == "--files":
			a.list(operands(args, flags...))
			return
		case (arg == "-e" || arg == "--regexp") && i+1 < len(args):
			i++
			pattern = cmp.Or(pattern, args[i]) // of several the first is told
		case long == "--regexp" && hasValue:
			pattern = cmp.Or(pattern, value)
		case (arg == "-f" || arg == "--file") && i+1 < len(args):
			i++
			fromFile = true
		default:
			rest = append(rest, arg)
			if slices.Contains(flags, arg) && i+1 < len(args) {
				i++
				rest = append(rest, args[i])
			}
		}
	}
	words := operands(rest, flags...)
	if pattern != "" || fromFile { // the operands are all places then
		words = append([]string{pattern}, words...)
	}
	a.look(words)
	if pattern == "" && fromFile {
		a.Query = nil
	}
}

func (a *Action) find(args []string) {
	if findActs(args) {
		return
	}
	var path *string
	var query *string
	for i, arg := range args {
		starts := strings.HasPrefix(arg, "-") || arg == "!" || arg == "("
		if path == nil && i == 0 && !starts {
			path = shortened(arg)
		}
		switch arg {
		case "-name", "-iname", "-path", "-ipath", "-regex", "-iregex":
			if query == nil && i+1 < len(args) {
				query = &args[i+1]
			}
		}
	}
	a.Kind, a.Path, a.Query = ListFiles, path, query
	if query != nil {
		a.Kind = Search
	}
}

func (a *Action) fd(args []string) {
	if slices.ContainsFunc(args, func(s string) bool {
		return s == "-x" || s == "-X" || strings.HasPrefix(s, "--exec")
	}) {
		return
	}
	words := operands(args, "-e", "--extension", "-t", "--type", "-E", "--exclude", "-d", "--max-depth", "--min-depth", "--exact-depth", "-c", "--color", "-j", "--threads", "-S", "--size")
	if len(words) == 0 {
		a.list(nil)
		return
	}
	a.look(words)
}

func (a *Action) git(args []string) {
	if len(args) == 0 {
		return
	}
	switch args[0] {
	case "grep":
		if !slices.ContainsFunc(args, func(s string) bool { return strings.HasPrefix(s, "-O") || strings.HasPrefix(s, "--open") }) {
			a.search("git grep", args[1:])
		}
	case "ls-files":
		a.list(operands(args[1:], "-x", "--exclude", "-X", "--exclude-from", "--exclude-per-directory"))
	}
}

// read makes a read of the command's file, when there is one. Several files
// of cat have no shape on the wire; of the others the first one counts.
func (a *Action) read(name string, args []string, place Place) {
	var files []string
	switch name {
	case "cat":
		if files = operands(args); len(files) > 1 {
			return
		}
	case "less":
		if slices.ContainsFunc(args, func(s string) bool { return strings.HasPrefix(s, "+") }) {
			return // less +5 FILE, where +5 is a command
		}
		files = operands(args, "-p", "-x", "-y", "-z", "-j")
	case "more", "bat", "batcat":
		if files = operands(args, "-l", "-r", "-H", "--theme", "--language", "--style", "--terminal-width", "--tabs",
			"--line-range", "--map-syntax", "--highlight-line"); len(files) > 1 {
			return // more +3 FILE
		}
	case "head", "tail":
		if slices.ContainsFunc(args, func(s string) bool {
			return name == "tail" && (s == "-F" || s == "--retry" || strings.HasPrefix(s, "-f") || strings.HasPrefix(s, "--follow"))
		}) {
			return // it waits for more; that is no reading
		}
		files = operands(args, "-n", "-c", "--lines", "--bytes")
	case "nl":
		files = operands(args, "-s", "-w", "-v", "-i", "-b", "-d", "-f", "-h", "-l", "-n")
	case "sed":
		files = sedFiles(args)
	case "awk":
		if slices.ContainsFunc(args, awkActs) {
			return
		}
		files = operands(args, "-F", "-v", "-f")
		if len(files) > 0 && !slices.ContainsFunc(args, func(s string) bool { return s == "-f" }) {
			files = files[1:] // the program
		}
	}
	if len(files) == 0 || files[0] == "-" {
		return
	}
	path := absolute(place, files[0])
	a.Kind, a.Name, a.Path = Read, short(filepath.ToSlash(files[0])), &path
}

// sedFiles returns the files of a sed that prints lines by number, and nothing
// for any other sed.
func sedFiles(args []string) []string {
	if len(args) < 3 || args[0] != "-n" {
		return nil
	}
	args = args[1:]
	if args[0] == "-e" {
		args = args[1:]
	}
	if len(args) < 2 || !lineRange(args[0]) {
		return nil
	}
	return operands(args[1:])
}

// awkActs tells whether an argument of awk could be a program that writes a
// file or starts another program. A comparison with > counts too; that errs
// to the side of showing the command as it is.
func awkActs(arg string) bool {
	arg = strings.NewReplacer(">=", "", "||", "").Replace(arg)
	return strings.ContainsAny(arg, ">|") || strings.Contains(arg, "system")
}
