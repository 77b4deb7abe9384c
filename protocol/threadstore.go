package protocol

import "github.com/go-json-experiment/json/jsontext"

// ThreadResumeParams are those of thread/resume. Path goes before the id, and
// History before both: then a new thread begins with these items.
type ThreadResumeParams struct {
	ThreadID string `json:"threadId" required:"true"`
	ThreadSettings
	Path    *string          `json:"path,omitzero"`
	History []jsontext.Value `json:"history,omitzero"`
	// ExcludeTurns leaves the turns out of the response.
	ExcludeTurns bool `json:"excludeTurns,omitzero"`
	// PersistExtendedHistory is taken and needs nothing: the whole history is kept.
	PersistExtendedHistory bool `json:"persistExtendedHistory,omitzero"`
}

// ExperimentalUse names the first experimental field in use.
func (p *ThreadResumeParams) ExperimentalUse() string {
	switch {
	case p.History != nil:
		return "thread/resume.history"
	case p.Path != nil:
		return "thread/resume.path"
	case p.PersistExtendedHistory:
		return "thread/resume.persistFullHistory"
	case p.ApprovalPolicy != nil && p.ApprovalPolicy.Granular != nil:
		return "askForApproval.granular"
	}
	return ""
}

// ThreadForkParams are those of thread/fork. Path goes before the id.
type ThreadForkParams struct {
	ThreadID string `json:"threadId" required:"true"`
	ThreadSettings
	Path *string `json:"path,omitzero"`
	// ExcludeTurns leaves the turns out of the response.
	ExcludeTurns bool `json:"excludeTurns,omitzero"`
	// PersistExtendedHistory is taken and needs nothing: the whole history is kept.
	PersistExtendedHistory bool `json:"persistExtendedHistory,omitzero"`
}

// ExperimentalUse names the first experimental field in use.
func (p *ThreadForkParams) ExperimentalUse() string {
	switch {
	case p.Path != nil:
		return "thread/fork.path"
	case p.PersistExtendedHistory:
		return "thread/fork.persistFullHistory"
	case p.ApprovalPolicy != nil && p.ApprovalPolicy.Granular != nil:
		return "askForApproval.granular"
	}
	return ""
}

// ThreadRollbackParams are those of thread/rollback.
type ThreadRollbackParams struct {
	ThreadID string `json:"threadId" required:"true"`
	// NumTurns is how many of the last turns are taken away.
	NumTurns uint32 `json:"numTurns" required:"true"`
}

// ThreadRollbackResponse answers thread/rollback with the turns that are left.
type ThreadRollbackResponse struct {
	Thread Thread `json:"thread"`
}

// ThreadTurnsListParams are those of thread/turns/list.
type ThreadTurnsListParams struct {
	ThreadID      string         `json:"threadId" required:"true"`
	Cursor        *string        `json:"cursor"`
	Limit         *uint32        `json:"limit"`
	SortDirection *SortDirection `json:"sortDirection"`
}

// ThreadTurnsListResponse answers thread/turns/list, newest first where nothing
// else was asked for.
type ThreadTurnsListResponse struct {
	Data            []Turn  `json:"data"`
	NextCursor      *string `json:"nextCursor"`
	BackwardsCursor *string `json:"backwardsCursor"`
}
