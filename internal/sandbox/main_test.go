package sandbox

import (
	"os"
	"testing"
)

// TestMain makes the test binary the sandbox's child, and the program that the
// tests run inside and outside of the sandbox.
func TestMain(m *testing.M) {
	args := os.Args[1:]
	if Is(args) {
		os.Exit(Run(args))
	}
	if len(args) > 1 && args[0] == attemptArg {
		os.Exit(runAttempt(args[1], args[2:]))
	}
	// With the race detector every program waits a second before it ends, and
	// hundreds are started here.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
