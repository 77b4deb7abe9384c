package account

import (
	"slices"

	"app-server/protocol"
)

// Policy is what the configuration says about sign-in. It fails closed: a
// restriction that could not be read refuses every login that it governs.
type Policy struct {
	// Workspaces are the account ids that a ChatGPT sign-in must be one of
	// (forced_chatgpt_workspace_id). Nil restricts nothing; empty but not nil
	// allows none.
	Workspaces []string
	// WorkspacesErr says why Workspaces could not be read.
	WorkspacesErr error
	// Method is forced_login_method: "chatgpt", "api", or "" for any.
	Method string
	// MethodErr says why Method could not be read.
	MethodErr error
	// Store is cli_auth_credentials_store: where a managed sign-in or an API key
	// is kept, a kind of oauth.StoreOptions. One that is not known is refused at
	// login: nothing goes to a place that the user did not choose.
	Store string
	// RequiresOpenAIAuth reports whether the provider in use needs this
	// sign-in. It is called for each account/read; nil stands for yes.
	RequiresOpenAIAuth func() bool
}

func (p *Policy) requiresAuth() bool {
	return p.RequiresOpenAIAuth == nil || p.RequiresOpenAIAuth()
}

// forcesWorkspace is true for an unreadable restriction, too.
func (p *Policy) forcesWorkspace() bool { return p.Workspaces != nil || p.WorkspacesErr != nil }

// checkWorkspace refuses an account, "" for none, that the policy does not
// allow.
func (p *Policy) checkWorkspace(accountID string) error {
	switch {
	case p.WorkspacesErr != nil:
		return unreadable("forced_chatgpt_workspace_id", p.WorkspacesErr)
	case p.Workspaces == nil || accountID != "" && slices.Contains(p.Workspaces, accountID):
		return nil
	case accountID == "":
		return protocol.Invalid(protocol.ReasonWorkspace, "forced_chatgpt_workspace_id is set and the tokens name no workspace")
	}
	return protocol.Invalid(protocol.ReasonWorkspace, "forced_chatgpt_workspace_id does not allow the workspace of these tokens")
}

// checkMethod refuses a kind of login that forced_login_method excludes.
func (p *Policy) checkMethod(t protocol.LoginType) error {
	var allowed bool
	switch {
	case p.MethodErr != nil:
		return unreadable("forced_login_method", p.MethodErr)
	case p.Method == "":
		return nil
	case p.Method == "api":
		allowed = t == protocol.LoginAPIKey
	case p.Method == "chatgpt":
		allowed = t != protocol.LoginAPIKey
	}
	if !allowed {
		return protocol.Invalid(protocol.ReasonLoginMethod, "forced_login_method %q does not allow this kind of login", p.Method)
	}
	return nil
}

// unreadable refuses what a restriction governs that could not be read. The
// text of err comes from the configuration and holds none of the tokens.
func unreadable(key string, err error) error {
	return protocol.Invalid(protocol.ReasonRestrictionBroken, "sign-in is refused because %s restricts it in an unknown way: %v", key, err)
}
