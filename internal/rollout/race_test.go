//go:build race

package rollout

// underRace is whether the race detector is on, which takes memory of its own.
const underRace = true
