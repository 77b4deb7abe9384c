package prompt

import (
	_ "embed"

	"app-server/protocol"
)

//go:embed plan.md
var planMode string

// Mode returns what the model is told of a collaboration mode for which the
// parent gives no instructions of its own; empty where nothing need be told.
func Mode(m protocol.ModeKind) string {
	if m == protocol.ModePlan {
		return "<collaboration_mode>\n" + planMode + "</collaboration_mode>"
	}
	return ""
}

// ModeOver says that nothing of an earlier collaboration mode holds any more.
func ModeOver() string {
	return "<collaboration_mode>\nThe instructions of the earlier collaboration mode no longer hold. Work as you would without them: carry out what the user asks for, within the permissions, and leave out the block for proposed plans.\n</collaboration_mode>"
}
