//go:build race

package rollout

// memoryFactor is how much more memory a test may take: the race detector keeps
// notes of all of it.
const memoryFactor = 5
