//go:build !race

package main

// raceEnabled tells that this test was built with the race detector.
const raceEnabled = false
