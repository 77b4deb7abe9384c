// Package rules reads and extends the user's rules about commands: the files
// rules/*.rules in the server's home. They are shared with the reference, which
// calls them execpolicy, and were measured on it.
//
// A rule gives a decision for all commands that begin with certain words:
//
//	prefix_rule(pattern=["git", ["pull", "fetch"]], decision="prompt", justification="uses the network")
//
// A part of the pattern is a word, or a list of words of which any fits. Where
// several rules fit a command, the strictest counts; the default decision is
// allow. Rules are compared with words: a command that comes under another name,
// from a variable or out of a script is not recognised.
//
// The files are in the language Starlark; this package reads the part of it that
// rules are written in: calls with named arguments, texts, lists, + and names for
// values. Calls other than prefix_rule say nothing about commands here and are
// passed over, and so are the examples in match and not_match.
package rules
