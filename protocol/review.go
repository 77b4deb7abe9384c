package protocol

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ReviewTargetType is what a review looks at.
type ReviewTargetType string

// The targets of a review.
const (
	ReviewUncommitted ReviewTargetType = "uncommittedChanges"
	ReviewBaseBranch  ReviewTargetType = "baseBranch"
	ReviewCommit      ReviewTargetType = "commit"
	ReviewCustom      ReviewTargetType = "custom"
)

// UnmarshalText refuses unknown targets.
func (t *ReviewTargetType) UnmarshalText(b []byte) error {
	return closedEnum(t, b, ReviewUncommitted, ReviewBaseBranch, ReviewCommit, ReviewCustom)
}

// ReviewTarget is what a review looks at. Branch belongs to baseBranch, SHA and
// Title to commit, Instructions to custom.
type ReviewTarget struct {
	Type         ReviewTargetType
	Branch       string
	SHA          string
	Title        string
	Instructions string
}

// UnmarshalJSONFrom reads a target and checks that what its type needs is there.
func (r *ReviewTarget) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var in struct {
		Type         ReviewTargetType `json:"type"`
		Branch       *string          `json:"branch"`
		SHA          *string          `json:"sha"`
		Title        *string          `json:"title"`
		Instructions *string          `json:"instructions"`
	}
	if err := json.UnmarshalDecode(d, &in); err != nil {
		return err
	}
	*r = ReviewTarget{Type: in.Type}
	needed := map[ReviewTargetType]struct {
		name string
		from *string
		into *string
	}{
		ReviewBaseBranch: {"branch", in.Branch, &r.Branch},
		ReviewCommit:     {"sha", in.SHA, &r.SHA},
		ReviewCustom:     {"instructions", in.Instructions, &r.Instructions},
	}
	if in.Type == "" {
		return missingField("target.type")
	}
	if n, ok := needed[in.Type]; ok {
		if n.from == nil {
			return missingField("target." + n.name)
		}
		*n.into = *n.from
	}
	if in.Title != nil {
		r.Title = *in.Title
	}
	return nil
}

// ReviewDelivery is where a review runs.
type ReviewDelivery string

// The deliveries: in the thread itself, or in a new one.
const (
	ReviewInline   ReviewDelivery = "inline"
	ReviewDetached ReviewDelivery = "detached"
)

// UnmarshalText refuses unknown deliveries.
func (v *ReviewDelivery) UnmarshalText(b []byte) error {
	return closedEnum(v, b, ReviewInline, ReviewDetached)
}

// ReviewStartParams are those of review/start. No delivery means inline.
type ReviewStartParams struct {
	ThreadID string         `json:"threadId" required:"true"`
	Target   ReviewTarget   `json:"target" required:"true"`
	Delivery ReviewDelivery `json:"delivery,omitzero"`
}

// ReviewStartResponse answers review/start. ReviewThreadID is the thread in
// which the turn runs.
type ReviewStartResponse struct {
	Turn           Turn   `json:"turn"`
	ReviewThreadID string `json:"reviewThreadId"`
}

// ThreadCompactStartParams are those of thread/compact/start.
type ThreadCompactStartParams struct {
	ThreadID string `json:"threadId" required:"true"`
}

// ThreadCompactStartResponse answers thread/compact/start.
type ThreadCompactStartResponse struct{}

// ThreadShellCommandParams are those of thread/shellCommand: a command of the
// user's own.
type ThreadShellCommandParams struct {
	ThreadID string `json:"threadId" required:"true"`
	Command  string `json:"command" required:"true"`
}

// ThreadShellCommandResponse answers thread/shellCommand.
type ThreadShellCommandResponse struct{}

// ThreadBackgroundTerminalsCleanParams are those of
// thread/backgroundTerminals/clean.
type ThreadBackgroundTerminalsCleanParams struct {
	ThreadID string `json:"threadId" required:"true"`
}

// ExperimentalUse names the method, which is experimental as a whole.
func (ThreadBackgroundTerminalsCleanParams) ExperimentalUse() string {
	return MethodThreadBackgroundTerminalsClean
}

// ThreadBackgroundTerminalsCleanResponse answers
// thread/backgroundTerminals/clean.
type ThreadBackgroundTerminalsCleanResponse struct{}
