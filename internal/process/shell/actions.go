package shell

import (
	"path/filepath"
	"slices"
	"strings"
)

// Kind is what an action does. The values are the wire's.
type Kind string

// The kinds of actions.
const (
	Read      Kind = "read"
	ListFiles Kind = "listFiles"
	Search    Kind = "search"
	Unknown   Kind = "unknown"
)

// Action is one thing that a command does in the eyes of a parent, which may
// show "read main.go" in place of the command.
type Action struct {
	Kind Kind
	// Command is the part of the command text that the action stands for.
	Command string
	// Name is the short name of the file, for Read.
	Name string
	// Path is where the action looks: an absolute path for Read, a short name
	// for ListFiles and Search, nil where the command names none.
	Path *string
	// Query is what Search looks for, nil where the command names none.
	Query *string
}

// Place is where a command runs.
type Place struct {
	Cwd  string // absolute
	Home string // for a leading tilde; may be empty
}

// Actions tells what a command text does. A text that is not a plain list of
// commands, or that holds one with no known meaning, is a single Unknown
// action with the text as written: a parent must not be shown half of it. A
// text of cd alone has no action.
//
// The shapes and the small omissions (filters behind a pipe, a leading echo,
// true) are the reference's, measured.
func Actions(command string, place Place) []Action {
	unknown := []Action{{Kind: Unknown, Command: command}}
	list, ok := plainList(command)
	if !ok {
		return unknown
	}
	several := len(list) > 1
	var actions []Action
	for i, c := range list {
		if several && (filler(c.words) || c.piped && filter(c.words)) {
			continue
		}
		if c.words[0] == "echo" && several && len(actions) == 0 && i < len(list)-1 && !list[i+1].piped {
			continue
		}
		if c.words[0] == "cd" {
			place.Cwd = changeDir(place, c.words[1:])
			continue
		}
		action, ok := classify(c.words, place)
		if !ok {
			return unknown
		}
		actions = append(actions, action)
	}
	actions = slices.CompactFunc(actions, same)
	if len(actions) == 0 && !onlyCD(list) {
		return unknown
	}
	if len(actions) == 1 && actions[0].Kind == Read && linesOfPipe(list) {
		actions[0].Command = command // the part that picks the lines matters
	}
	return actions
}

// ActionsOf is Actions for an argv, which may hold a command text.
func ActionsOf(argv []string, place Place) []Action {
	if text, ok := Script(argv); ok {
		return Actions(text, place)
	}
	if len(argv) > 0 {
		if action, ok := classify(argv, place); ok {
			return []Action{action}
		}
	}
	return []Action{{Kind: Unknown, Command: Quote(argv)}}
}

func same(a, b Action) bool {
	return a.Kind == b.Kind && a.Command == b.Command && a.Name == b.Name && equal(a.Path, b.Path) && equal(a.Query, b.Query)
}

func equal(a, b *string) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// filler tells whether a command says nothing about what a list does.
func filler(words []string) bool {
	switch words[0] {
	case "true", "printf":
		return true
	}
	return false
}

// filter tells whether a command behind a pipe only shapes what it is given.
func filter(words []string) bool {
	args := words[1:]
	switch words[0] {
	case "wc", "tr", "cut", "column", "yes":
		return true
	case "sort":
		return !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "-o") || strings.HasPrefix(a, "--o") })
	case "uniq":
		return safeUniq(args) && len(operands(args, "-f", "-s", "-w")) == 0
	case "nl", "head", "tail":
		return len(operands(args, "-n", "-c", "-s", "-w", "-v", "-i", "-b")) == 0
	case "awk":
		return len(operands(args, "-F", "-v")) == 1 && !slices.ContainsFunc(args, func(a string) bool { return a == "-f" || awkActs(a) })
	case "sed":
		return len(operands(args)) == 1 && !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "-i") || strings.HasPrefix(a, "--in-place") })
	case "xargs":
		return len(args) == 0 || !strings.HasPrefix(args[0], "-") && KnownSafe(args)
	}
	return false
}

func onlyCD(list []simple) bool {
	return !slices.ContainsFunc(list, func(c simple) bool { return c.words[0] != "cd" })
}

// linesOfPipe tells whether a list is a pipe in which sed -n picks lines.
func linesOfPipe(list []simple) bool {
	piped, picks := false, false
	for _, c := range list {
		piped = piped || c.piped
		picks = picks || len(c.words) > 1 && c.words[0] == "sed" && c.words[1] == "-n"
	}
	return piped && picks
}

func changeDir(place Place, args []string) string {
	for _, a := range args {
		if a != "--" && a != "-P" && a != "-L" {
			return absolute(place, a)
		}
	}
	return place.Cwd
}

// absolute resolves a path the way the shell would, without looking at files.
func absolute(place Place, name string) string {
	if rest, ok := strings.CutPrefix(name, "~"); ok && place.Home != "" && (rest == "" || rest[0] == '/') {
		name = place.Home + rest
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(place.Cwd, name)
}

// short is how a parent names a path in a line: its last part that tells
// something.
func short(name string) string {
	name = strings.TrimRight(strings.ReplaceAll(name, `\`, "/"), "/")
	parts := strings.Split(name, "/")
	for _, part := range slices.Backward(parts) {
		switch part {
		case "", "build", "dist", "node_modules", "src":
		default:
			return part
		}
	}
	return name
}
