// Package git asks the git program about a working directory. It only looks:
// nothing that it runs changes the user's files, index or branches, waits for a
// terminal, or starts what the repository's own configuration names. A missing
// program or repository is an error that callers are expected to live with.
package git
