package protocol

// GitDiffToRemoteParams are those of gitDiffToRemote.
type GitDiffToRemoteParams struct {
	Cwd string `json:"cwd" required:"true"`
}

// GitDiffToRemoteResponse answers gitDiffToRemote: a git patch from the newest
// commit that a remote has to the files as they are.
type GitDiffToRemoteResponse struct {
	SHA  string `json:"sha"`
	Diff string `json:"diff"`
}
