package tools

import (
	"app-server/internal/sandbox"
	"app-server/protocol"
)

// confinement is the turn's sandbox policy as the sandbox takes it, with what the
// user granted on request. An external sandbox counts as full access: somebody
// else confines this server.
func (t *Turn) confinement() sandbox.Policy {
	s := t.Env.Sandbox
	p := sandbox.Policy{
		Mode: s.Mode(), Cwd: t.Env.Cwd, WritableRoots: s.WritableRoots, Network: s.NetworkAccess,
		NoTmpdir: s.ExcludeTmpdirEnvVar, NoSlashTmp: s.ExcludeSlashTmp,
	}
	return t.grants.widen(t.th.grants.widen(p))
}

// mayAsk reports whether the approval policy lets a question about leaving the
// sandbox be put to the user at all.
func (t *Turn) mayAsk() bool {
	switch a := t.Env.Approval; a.Mode {
	case protocol.ApprovalNever:
		return false
	case protocol.ApprovalGranular:
		return a.Granular != nil && a.Granular.SandboxApproval
	}
	return true
}
