// Command app-server is an agent server for a parent application: it speaks
// JSON-RPC over stdin and stdout, keeps threads and turns, calls a Responses
// API backend, and reports every step as a notification.
//
// This package only wires the others together: flags and signals (main.go,
// flags.go), logs (log.go), the handshake with the parent (handshake.go), the
// construction of the parts (wire.go), the method table (methods.go) and the
// mapping of errors to codes (errors.go). It holds no behaviour of its own.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"go.uber.org/zap"

	"app-server/internal/sandbox"
)

// process is all that the program takes from its surroundings, so that tests
// can run it without a process.
type process struct {
	// Args are the command line without the program's name.
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// Environ is the environment that commands inherit from.
	Environ []string
	// Cwd is the working directory, absolute.
	Cwd string
	// System is the folder of the settings that hold for all users; empty for none.
	System string
	// Transport carries requests to the backend; nil means the network.
	Transport http.RoundTripper
	// Listen opens the port of a browser login; nil means net.Listen.
	Listen func(network, address string) (net.Listener, error)
	// Signals deliver the wish to end: the first ends the server in good order,
	// the second at once.
	Signals <-chan os.Signal
}

// Exit codes of the process.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	if args := os.Args[1:]; sandbox.Is(args) {
		os.Exit(sandbox.Run(args)) // this process becomes a command
	}
	cwd, err := os.Getwd()
	if err != nil {
		fmt.Fprintf(os.Stderr, "app-server: working directory: %v\n", err)
		os.Exit(exitFailed)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// Caught and not looked at, so that writing to a parent that has gone is an
	// error, and the end is in good order. Ignoring it would be passed on to
	// the commands that are run.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(run(context.Background(), process{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Environ: os.Environ(), Cwd: cwd, System: systemFolder(os.Getenv), Signals: signals,
	}))
}

// run is the whole program: it returns the exit code once input has ended, a
// signal came or output broke, and everything has been flushed.
func run(ctx context.Context, p process) int {
	opts, err := parseArgs(p.Args, p.Getenv)
	if err != nil {
		fmt.Fprintf(p.Stderr, "app-server: %v\nTry 'app-server --help'.\n", err)
		return exitUsage
	}
	switch opts.action {
	case actionHelp:
		fmt.Fprint(p.Stdout, usage)
		return exitOK
	case actionVersion:
		fmt.Fprintln(p.Stdout, versionText())
		return exitOK
	}
	log := newLogger(p.Stderr, opts.logLevel, opts.logFormat)
	defer log.close()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	srv, err := newServer(p, opts, log.Logger)
	if err != nil {
		fmt.Fprintf(p.Stderr, "app-server: %v\n", err)
		return exitFailed
	}
	done := make(chan error, 1)
	go func() { done <- srv.run(ctx) }() // ends when input has ended, ctx is cancelled or output broke
	for stopping := false; ; {
		select {
		case err := <-done:
			if err != nil {
				log.Warn("connection to the parent broke", zap.Error(err))
			}
			return exitOK
		case <-p.Signals:
			if stopping {
				return exitFailed
			}
			stopping = true
			cancel()
		}
	}
}

// systemFolder is the reference's folder of settings that hold for all users.
func systemFolder(getenv func(string) string) string {
	if runtime.GOOS != "windows" {
		return "/etc/codex"
	}
	if data := getenv("ProgramData"); data != "" {
		return filepath.Join(data, "OpenAI", "Codex")
	}
	return ""
}
