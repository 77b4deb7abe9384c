package process

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// Spec says what to run and how. Argv, Dir and Env are final.
type Spec struct {
	Argv []string
	// Dir is the working folder; empty means this process's own.
	Dir string
	// Env is the whole environment, as NAME=VALUE. Nothing is inherited. A
	// program without a folder in its name is looked up in this PATH.
	Env []string
	// Attr is what a sandbox wants at the start, nil for nothing. Session, group,
	// terminal and death signal are set on a copy of it.
	Attr *syscall.SysProcAttr
	// Owner names who the process belongs to, such as a thread; ids and the
	// limit count for each owner.
	Owner string
	// Terminal is the size of the terminal to run on; nil means a pipe,
	// and an input that is at its end.
	Terminal *Size
	// Timeout ends the command; 0 means never.
	Timeout time.Duration
	// Output, where not nil, is called with each piece of output, standard error
	// included, one call at a time, before Done is closed. A piece is valid UTF-8
	// with no rune split between two, and valid until the call returns. While it
	// runs the command may have to wait. It must return once its context is done,
	// which is so soon after Stop or Close.
	Output func(context.Context, []byte)
	// Ended, where not nil, is called when nothing of the command's group runs any
	// more, before Done is closed; not where the start fails.
	Ended func()
}

// Size is a terminal's size in characters.
type Size struct{ Rows, Cols uint16 }

// Cause is why a command ended.
type Cause int

// Exited is its own doing or another's, TimedOut the Spec's timeout, Stopped a
// call of Stop, CloseOwner or Close.
const (
	Exited Cause = iota
	TimedOut
	Stopped
)

// exitTimeout is the exit code of a command that ran out of time.
const exitTimeout = 124

// Result is the outcome of a command.
type Result struct {
	Output Text // standard output and standard error in the order written
	// ExitCode is the command's own, 128+n when signal n ended it, and
	// 124 when it ran out of time.
	ExitCode int
	Duration time.Duration
	Cause    Cause
}

// Errors that callers tell apart. They come wrapped.
var (
	ErrClosed   = errors.New("process: manager is closed")
	ErrFull     = errors.New("process: too many commands are running")
	ErrNoInput  = errors.New("process: command has no terminal")
	ErrEnded    = errors.New("process: command has ended")
	ErrNotFound = errors.New("process: program not found")
	ErrDir      = errors.New("process: working folder not usable")
)
