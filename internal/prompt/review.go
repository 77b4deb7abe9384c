package prompt

import (
	_ "embed"
	"fmt"

	"app-server/protocol"
)

//go:embed review.md
var review string

// Review returns the base instructions of a reviewer, in Markdown. They ask for
// an answer in JSON, with members named as the reference's reviewer does.
func Review() string { return review }

// ReviewTarget says in a few words what is reviewed. A parent shows it to the
// user.
func ReviewTarget(t protocol.ReviewTarget) string {
	switch t.Type {
	case protocol.ReviewBaseBranch:
		return "changes since " + t.Branch
	case protocol.ReviewCommit:
		hint := "commit " + t.SHA[:min(len(t.SHA), 7)]
		if t.Title != "" {
			hint += ": " + t.Title
		}
		return hint
	case protocol.ReviewCustom:
		return t.Instructions
	}
	return "uncommitted changes"
}

// ReviewTask tells a reviewer what to review. mergeBase is the commit at which a
// base branch was left; empty where it is not known.
func ReviewTask(t protocol.ReviewTarget, mergeBase string) string {
	switch t.Type {
	case protocol.ReviewBaseBranch:
		if mergeBase == "" {
			return fmt.Sprintf("Review all changes of the current branch since it left the branch %q. First find the commit at which it did, with `git merge-base` and, where there is one, the upstream of that branch; then look at `git diff` from that commit on.", t.Branch)
		}
		return fmt.Sprintf("Review all changes of the current branch since it left the branch %q. It did so at commit %s: `git diff %s` shows the changes.", t.Branch, mergeBase, mergeBase)
	case protocol.ReviewCommit:
		if t.Title != "" {
			return fmt.Sprintf("Review the changes that commit %s (%q) made to its parent.", t.SHA, t.Title)
		}
		return fmt.Sprintf("Review the changes that commit %s made to its parent.", t.SHA)
	case protocol.ReviewCustom:
		return t.Instructions
	}
	return "Review all changes in the working directory that are not committed: staged ones, unstaged ones, and files that git does not know yet."
}

// Reviewed returns the user message that tells the model of a review which was
// done beside its conversation. The reviewer's answer follows as a message of
// the model. hint is what [ReviewTarget] says.
func Reviewed(hint string) string {
	return "<user_action>\nThe user had a review done by a separate reviewer, of this: " + hint + "\nThe next message is the reviewer's answer. The user may ask for some of its findings to be mended.\n</user_action>"
}

// ReviewMissing returns the user message about a review that came to no answer.
func ReviewMissing(hint string) string {
	return "<user_action>\nThe user had a review done by a separate reviewer, of this: " + hint + "\nIt ended without an answer. If the user asks for its findings, say that there are none and that the review can be started again.\n</user_action>"
}

// NoReview is what stands in the place of a review that came to no answer.
func NoReview() string { return "The review ended without an answer. It can be started again." }
