package sandbox

import (
	"fmt"
	"os"
	"syscall"
)

// identity is of use on Linux only.
type identity struct{}

// sandboxExec is the system's own tool. A path, so that $PATH has no say.
const sandboxExec = "/usr/bin/sandbox-exec"

// probe looks for the system's tool.
func probe() Support {
	if _, err := os.Stat(sandboxExec); err != nil {
		return Support{Err: fmt.Errorf("sandbox-exec: %w", err)}
	}
	return Support{Seatbelt: true}
}

// launch puts sandbox-exec and a profile before argv.
func launch(_ Support, p plan, argv []string) (Command, error) {
	profile, err := seatbelt(p)
	if err != nil {
		return Command{}, err
	}
	return Command{
		Argv: append([]string{sandboxExec, "-p", profile, "--"}, argv...),
		Env:  []string{"CODEX_SANDBOX=seatbelt"},
		Attr: &syscall.SysProcAttr{},
	}, nil
}
