//go:build !race

package rollout

// memoryFactor is how much more memory a test may take.
const memoryFactor = 1
