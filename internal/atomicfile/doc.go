// Package atomicfile replaces files in one step: a reader sees the old content
// or the new one, and so does whoever looks after a crash. It knows nothing of
// what the files hold and keeps no state.
package atomicfile

// newMode is the mode of a file that was not there before: the files of this
// server may hold tokens and keys.
const newMode = 0o600
