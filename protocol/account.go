package protocol

// AuthMode is how the user is signed in.
type AuthMode string

// The modes of sign-in; the wire says null for none.
const (
	AuthModeAPIKey            AuthMode = "apikey"
	AuthModeChatGPT           AuthMode = "chatgpt"
	AuthModeChatGPTAuthTokens AuthMode = "chatgptAuthTokens"
)

// PlanType is a ChatGPT plan as the wire knows it.
type PlanType string

// PlanUnknown stands on the wire for every plan that its enum lacks.
const PlanUnknown PlanType = "unknown"

// LoginType selects the kind of an account/login/start.
type LoginType string

// The kinds of login.
const (
	LoginAPIKey            LoginType = "apiKey"
	LoginChatGPT           LoginType = "chatgpt"
	LoginChatGPTDeviceCode LoginType = "chatgptDeviceCode"
	LoginChatGPTAuthTokens LoginType = "chatgptAuthTokens"
)

// UnmarshalText refuses unknown kinds.
func (t *LoginType) UnmarshalText(b []byte) error {
	return closedEnum(t, b, LoginAPIKey, LoginChatGPT, LoginChatGPTDeviceCode, LoginChatGPTAuthTokens)
}

// ExternalTokens are the tokens of a parent that owns the sign-in, in either of
// two shapes: idToken and accessToken (0.94), or accessToken, chatgptAccountId
// and an optional chatgptPlanType (0.125 and later). All members may come at
// once. Nil means absent or null.
type ExternalTokens struct {
	IDToken          *Secret `json:"idToken,omitzero"`
	AccessToken      *Secret `json:"accessToken,omitzero"`
	ChatGPTAccountID *string `json:"chatgptAccountId,omitzero"`
	ChatGPTPlanType  *string `json:"chatgptPlanType,omitzero"`
}

// LoginAccountParams are those of account/login/start. Which members must be
// there depends on Type.
type LoginAccountParams struct {
	Type   LoginType `json:"type" required:"true"`
	APIKey *Secret   `json:"apiKey,omitzero"`
	ExternalTokens
}

// Validate checks that the members that Type needs are there.
func (p *LoginAccountParams) Validate() error {
	switch p.Type {
	case LoginAPIKey:
		if p.APIKey == nil {
			return missingField("apiKey")
		}
	case LoginChatGPTAuthTokens:
		return p.ExternalTokens.Validate()
	}
	return nil
}

// Validate checks that one of the two shapes is whole.
func (t *ExternalTokens) Validate() error {
	switch {
	case t.AccessToken == nil:
		return missingField("accessToken")
	case t.IDToken == nil && t.ChatGPTAccountID == nil:
		return missingField("chatgptAccountId")
	}
	return nil
}

// ExperimentalUse marks the newer shape of external tokens, which the reference
// opens only to parents that asked for the experimental API. The older shape
// was never behind that gate.
func (p *LoginAccountParams) ExperimentalUse() string {
	if p.Type == LoginChatGPTAuthTokens && p.IDToken == nil {
		return "account/login/start.chatgptAuthTokens"
	}
	return ""
}

// LoginAccountResponse answers account/login/start. LoginID and AuthURL belong
// to the kind chatgpt; LoginID, VerificationURL and UserCode to
// chatgptDeviceCode.
type LoginAccountResponse struct {
	Type            LoginType `json:"type"`
	LoginID         string    `json:"loginId,omitzero"`
	AuthURL         string    `json:"authUrl,omitzero"`
	VerificationURL string    `json:"verificationUrl,omitzero"`
	UserCode        string    `json:"userCode,omitzero"`
}

// CancelLoginAccountParams are those of account/login/cancel.
type CancelLoginAccountParams struct {
	LoginID string `json:"loginId" required:"true"`
}

// CancelLoginAccountResponse answers account/login/cancel.
type CancelLoginAccountResponse struct {
	Status CancelLoginAccountStatus `json:"status"`
}

// CancelLoginAccountStatus is what became of a cancel.
type CancelLoginAccountStatus string

// The outcomes of a cancel.
const (
	CancelLoginCanceled CancelLoginAccountStatus = "canceled"
	CancelLoginNotFound CancelLoginAccountStatus = "notFound"
)

// LogoutAccountResponse answers account/logout.
type LogoutAccountResponse struct{}

// GetAccountParams are those of account/read.
type GetAccountParams struct {
	// RefreshToken asks for a refresh first; external and API key modes ignore it.
	RefreshToken bool `json:"refreshToken"`
}

// GetAccountResponse answers account/read. Account is null when logged out.
type GetAccountResponse struct {
	Account            *Account `json:"account"`
	RequiresOpenAIAuth bool     `json:"requiresOpenaiAuth"`
}

// Account is who is signed in. Email and PlanType belong to the type chatgpt;
// both are nil for apiKey and then absent.
type Account struct {
	Type     AccountType `json:"type"`
	Email    *string     `json:"email,omitzero"`
	PlanType *PlanType   `json:"planType,omitzero"`
}

// AccountType is the kind of an account.
type AccountType string

// The kinds of account.
const (
	AccountAPIKey  AccountType = "apiKey"
	AccountChatGPT AccountType = "chatgpt"
)

// GetAuthStatusParams are those of getAuthStatus.
type GetAuthStatusParams struct {
	IncludeToken *bool `json:"includeToken"`
	RefreshToken *bool `json:"refreshToken"`
}

// GetAuthStatusResponse answers getAuthStatus. AuthToken is the one place where
// a token leaves the server towards the parent, and only when asked for.
type GetAuthStatusResponse struct {
	AuthMethod         *AuthMode `json:"authMethod"`
	AuthToken          *string   `json:"authToken"`
	RequiresOpenAIAuth *bool     `json:"requiresOpenaiAuth"`
}

// AccountLoginCompletedNotification is account/login/completed.
type AccountLoginCompletedNotification struct {
	LoginID *string `json:"loginId"`
	Success bool    `json:"success"`
	Error   *string `json:"error"`
}

// AccountUpdatedNotification is account/updated.
type AccountUpdatedNotification struct {
	AuthMode *AuthMode `json:"authMode"`
	PlanType *PlanType `json:"planType"`
}

// RefreshReason is why new tokens are asked for.
type RefreshReason string

// RefreshUnauthorized is the one reason: the backend said 401.
const RefreshUnauthorized RefreshReason = "unauthorized"

// ChatgptAuthTokensRefreshParams are those of the server's request
// account/chatgptAuthTokens/refresh. Its answer is an [ExternalTokens].
type ChatgptAuthTokensRefreshParams struct {
	Reason            RefreshReason `json:"reason"`
	PreviousAccountID *string       `json:"previousAccountId"`
}

// GetAccountRateLimitsResponse answers account/rateLimits/read.
type GetAccountRateLimitsResponse struct {
	RateLimits          RateLimitSnapshot            `json:"rateLimits"`
	RateLimitsByLimitID map[string]RateLimitSnapshot `json:"rateLimitsByLimitId"`
}

// AccountRateLimitsUpdatedNotification is account/rateLimits/updated.
type AccountRateLimitsUpdatedNotification struct {
	RateLimits RateLimitSnapshot `json:"rateLimits"`
}

// SendAddCreditsNudgeEmailParams are those of account/sendAddCreditsNudgeEmail.
type SendAddCreditsNudgeEmailParams struct {
	CreditType AddCreditsNudgeCreditType `json:"creditType" required:"true"`
}

// AddCreditsNudgeCreditType is what is used up.
type AddCreditsNudgeCreditType string

// The kinds of credits that a nudge may be about.
const (
	NudgeCredits    AddCreditsNudgeCreditType = "credits"
	NudgeUsageLimit AddCreditsNudgeCreditType = "usage_limit"
)

// UnmarshalText refuses unknown kinds.
func (t *AddCreditsNudgeCreditType) UnmarshalText(b []byte) error {
	return closedEnum(t, b, NudgeCredits, NudgeUsageLimit)
}

// SendAddCreditsNudgeEmailResponse answers account/sendAddCreditsNudgeEmail.
type SendAddCreditsNudgeEmailResponse struct {
	Status AddCreditsNudgeEmailStatus `json:"status"`
}

// AddCreditsNudgeEmailStatus is what became of it: sent, or cooldown_active.
type AddCreditsNudgeEmailStatus string

// RateLimitReachedTypes are the words of RateLimitSnapshot.RateLimitReachedType.
var RateLimitReachedTypes = []string{
	"rate_limit_reached",
	"workspace_owner_credits_depleted", "workspace_member_credits_depleted",
	"workspace_owner_usage_limit_reached", "workspace_member_usage_limit_reached",
}

// RateLimitSnapshot is the use of one limit.
type RateLimitSnapshot struct {
	LimitID              *string          `json:"limitId"`
	LimitName            *string          `json:"limitName"`
	Primary              *RateLimitWindow `json:"primary"`
	Secondary            *RateLimitWindow `json:"secondary"`
	Credits              *CreditsSnapshot `json:"credits"`
	PlanType             *PlanType        `json:"planType"`
	RateLimitReachedType *string          `json:"rateLimitReachedType"`
}

// RateLimitWindow is one window of a limit. ResetsAt is in Unix seconds.
type RateLimitWindow struct {
	UsedPercent        int64  `json:"usedPercent"`
	WindowDurationMins *int64 `json:"windowDurationMins"`
	ResetsAt           *int64 `json:"resetsAt"`
}

// CreditsSnapshot is what is left of bought credits.
type CreditsSnapshot struct {
	HasCredits bool    `json:"hasCredits"`
	Unlimited  bool    `json:"unlimited"`
	Balance    *string `json:"balance"`
}
