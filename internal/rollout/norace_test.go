//go:build !race

package rollout

// underRace is whether the race detector is on.
const underRace = false
