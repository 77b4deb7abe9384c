// Package process runs commands and keeps every one of them in hand.
//
// A Manager starts processes and outlives none of them: Close ends them all.
// A command is an argv that is run as it is; which shell, which sandbox and
// which permission stand before it is decided elsewhere. A command goes on by
// itself; its output comes as it is written, or when it is asked for by Take.
//
// What belongs to a command dies with it. Each one leads a session and a
// process group of its own. When it ends, whatever it left behind in its group
// is killed. A descendant that moved to another session is known by a mark in
// its environment; it may outlive the command, as a service does that was
// started on purpose, but neither a Stop of the command nor a Close. On Linux
// the kernel kills a command whose server is killed, and for commands that run
// for a while a small watcher does the same for the whole group.
//
// Output passes through in pieces of at most 32 KiB. What is kept of it is
// bounded: the beginning and the end, with the middle left out. A callback
// that is slow makes the command wait, as a pipe does.
//
// The package knows no turns and no wire. Its children never see this
// process's own standard streams nor its environment: both are given for each
// command.
package process
