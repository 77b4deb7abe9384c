package prompt

import (
	"strings"

	"app-server/protocol"
)

// Permissions returns the part of the developer message that says what
// commands may do and when the user is asked. It names the sandbox mode and the
// approval policy by their words on the wire.
func Permissions(s protocol.SandboxPolicy, a protocol.ApprovalPolicy) string {
	var b strings.Builder
	b.WriteString("<permissions>\n")
	sandbox(&b, s)
	b.WriteString("\n")
	approval(&b, a)
	b.WriteString("</permissions>")
	return b.String()
}

func sandbox(b *strings.Builder, s protocol.SandboxPolicy) {
	b.WriteString("Sandbox mode: `" + string(s.Mode()) + "`\n")
	switch {
	case s.Type == protocol.PolicyReadOnly:
		b.WriteString("- Commands can read every file and write none.\n")
	case s.Type == protocol.PolicyWorkspaceWrite:
		b.WriteString("- Commands can read every file. They can write in the working directory")
		if !s.ExcludeSlashTmp {
			b.WriteString(", in /tmp")
		}
		if !s.ExcludeTmpdirEnvVar {
			b.WriteString(", in the folder that $TMPDIR names")
		}
		if len(s.WritableRoots) == 0 {
			b.WriteString(", and nowhere else.\n")
		} else {
			b.WriteString(", in the folders listed here, and nowhere else:\n")
			for _, root := range s.WritableRoots {
				b.WriteString("  - " + oneLine(root) + "\n")
			}
		}
		b.WriteString("- The .git folder of the project is read-only for commands.\n")
	case s.Type == protocol.PolicyExternalSandbox:
		b.WriteString("- This server confines nothing itself; the environment around it may refuse reads, writes or connections.\n")
	default:
		b.WriteString("- Commands are not confined: they can read and write every file that the user can. Take the more care.\n")
		b.WriteString("- Commands can use the network.\n")
		return
	}
	if s.NetworkAccess {
		b.WriteString("- Commands can use the network.\n")
	} else {
		b.WriteString("- Commands have no network, not even to this machine itself.\n")
	}
}

// escalate is how a command asks to leave the sandbox.
const escalate = "set the escalation arguments of the command tool and give a one-sentence reason that the user can judge"

func approval(b *strings.Builder, a protocol.ApprovalPolicy) {
	mode := a.Mode
	if a.Granular != nil {
		mode = protocol.ApprovalGranular
	}
	b.WriteString("Approval policy: `" + oneLine(string(mode)) + "`\n")
	switch mode {
	case protocol.ApprovalNever:
		b.WriteString("- The user is never asked. Do not request approval. What the sandbox refuses cannot be done: find another way within the rules, or report it.\n")
	case protocol.ApprovalUntrusted:
		b.WriteString("- The user is asked before every command, except for a few that are known only to read. Send few and meaningful commands.\n")
	case protocol.ApprovalOnFailure:
		b.WriteString("- Commands run in the sandbox first. When one fails there, the user is asked whether to run it again outside of it.\n")
	case protocol.ApprovalOnRequest:
		b.WriteString("- The user is asked when you request it: " + escalate + ". Do so where the task needs a command that the sandbox would refuse, or one that has effects the user would want to know of first. All other commands run in the sandbox without a question.\n")
	case protocol.ApprovalGranular:
		granular(b, a.Granular)
	}
	if mode != protocol.ApprovalNever {
		b.WriteString("- When the user declines, do not try to reach the same by other means.\n")
	}
}

// granular lists which kinds of question may be put.
func granular(b *strings.Builder, g *protocol.GranularApproval) {
	if g == nil {
		return
	}
	b.WriteString("- Some questions are put to the user, all others are declined without one:\n")
	for _, q := range []struct {
		about string
		asked bool
	}{
		{"running a command outside the sandbox", g.SandboxApproval},
		{"commands that a rule wants to be confirmed", g.Rules},
		{"using a skill", g.SkillApproval},
		{"further permissions", g.RequestPermissions},
		{"input that an MCP server asks for", g.MCPElicitations},
	} {
		answer := "declined"
		if q.asked {
			answer = "asked"
		}
		b.WriteString("  - " + q.about + ": " + answer + "\n")
	}
	if g.SandboxApproval {
		b.WriteString("- To ask for a command outside the sandbox, " + escalate + ".\n")
	}
}

// oneLine keeps a name within its line and the text valid.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
