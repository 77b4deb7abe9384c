// Package shell finds the user's shell and reads the commands that are meant
// for it.
//
// It answers three questions about a command text, none of which runs it:
// which argv hands it to the shell (Shell.Login), what it does in the eyes of
// a parent application (Actions), and whether it is one of the commands that
// only look and never change anything (KnownSafe).
//
// The answers about safety are cautious. A text that is more than a plain list
// of simple commands with literal words is never called safe. A safe command
// spares the user a question; it must still run inside the sandbox, because
// even a harmless program reads configuration that a project can supply.
//
// The package knows no threads, no wire types and starts no process.
package shell
