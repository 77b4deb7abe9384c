//go:build !linux && !darwin

package sandbox

import (
	"errors"
	"runtime"
)

// identity is of use on Linux only.
type identity struct{}

// probe says that nothing can be confined here.
func probe() Support {
	return Support{Err: errors.New("there is no sandbox for " + runtime.GOOS)}
}

// launch is never reached, since probe fails.
func launch(Support, plan, []string) (Command, error) { return Command{}, ErrUnsupported }
