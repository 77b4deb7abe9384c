package sandbox

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
)

// hiddenArg as the first argument makes the binary the sandbox's child.
const hiddenArg = "__sandbox"

// plan is what the parent tells the child, as JSON in the second argument. It
// holds folders only and nothing secret, since arguments can be seen by others
// until the command replaces them.
type plan struct {
	Folders Folders `json:"folders"`
	Network bool    `json:"network,omitzero"`
	// Outside names the namespaces of the parent, by kind, where the child was
	// started in others. The child checks that before it changes a mount. Empty:
	// no namespaces.
	Outside map[string]string `json:"outside,omitzero"`
	// Landlock says that Landlock must hold; without it the child fails.
	Landlock bool `json:"landlock,omitzero"`
	// KeepFileCaps leaves a root user the power over other users' files.
	KeepFileCaps bool `json:"keepFileCaps,omitzero"`
	// Probe ends the child after everything was set up.
	Probe bool `json:"probe,omitzero"`
}

// args is the command line of the child after the program's name.
func (p plan) args(argv []string) ([]string, error) {
	b, err := json.Marshal(p, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("sandbox: plan: %w", err)
	}
	return append([]string{hiddenArg, string(b)}, argv...), nil
}

// parseArgs is the inverse of args.
func parseArgs(args []string) (plan, []string, error) {
	var p plan
	if len(args) < 2 || args[0] != hiddenArg {
		return p, nil, errors.New("no plan given")
	}
	if err := json.Unmarshal([]byte(args[1]), &p, json.RejectUnknownMembers(true)); err != nil {
		return p, nil, fmt.Errorf("plan: %w", err)
	}
	if len(args) == 2 && !p.Probe {
		return p, nil, errors.New("no command given")
	}
	return p, args[2:], nil
}

// Is tells whether the arguments of the process, without the program's name, are
// those of the sandbox's child. If so, main must call [Run] and nothing else.
func Is(args []string) bool { return len(args) > 0 && args[0] == hiddenArg }
