package prompt

import (
	"slices"

	"app-server/protocol"
)

// Settings are those that the model has been told of or should know.
type Settings struct {
	Cwd, Model  string
	Sandbox     protocol.SandboxPolicy
	Approval    protocol.ApprovalPolicy
	Personality protocol.Personality
}

// Update is what to add to a conversation before the next turn. Both lists may
// be empty.
type Update struct {
	// Developer are parts of one developer message, User those of the user message
	// that follows it.
	Developer, User []string
}

// Changes says what the model must be told when settings change from before to
// now. What was told earlier stays as it is; the new texts say that they
// replace it.
func Changes(before, now Settings) Update {
	var u Update
	if before.Model != now.Model {
		u.Developer = append(u.Developer, "<model_change>\nThe model of this conversation is now "+escape(now.Model)+". Earlier answers came from "+escape(before.Model)+". Keep to what was agreed, and check earlier claims before you build on them.\n</model_change>")
	}
	if !samePolicy(before.Sandbox, now.Sandbox) || !before.Approval.Equal(now.Approval) {
		u.Developer = append(u.Developer, "The permissions have changed. These replace all earlier ones.\n"+Permissions(now.Sandbox, now.Approval))
	}
	if before.Personality != now.Personality {
		if text := Personality(now.Personality); text != "" {
			u.Developer = append(u.Developer, text)
		} else {
			u.Developer = append(u.Developer, "<personality>\nNo particular tone is wanted any more. Earlier personality notes no longer hold.\n</personality>")
		}
	}
	if before.Cwd != now.Cwd {
		u.User = append(u.User, Environment(Surroundings{Cwd: now.Cwd}))
	}
	return u
}

func samePolicy(a, b protocol.SandboxPolicy) bool {
	return a.Type == b.Type && a.NetworkAccess == b.NetworkAccess && a.ExcludeSlashTmp == b.ExcludeSlashTmp &&
		a.ExcludeTmpdirEnvVar == b.ExcludeTmpdirEnvVar && slices.Equal(a.WritableRoots, b.WritableRoots)
}
