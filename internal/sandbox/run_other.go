//go:build !linux

package sandbox

import "errors"

// Run is the child's half, which exists on Linux only.
func Run([]string) int { return fail(errors.New("not on this system")) }
