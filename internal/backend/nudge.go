package backend

import (
	"context"
	"net/http"

	"github.com/go-json-experiment/json"
)

// NudgeStatus is what became of a nudge.
type NudgeStatus string

// The outcomes of a nudge. The wire has the same words.
const (
	NudgeSent     NudgeStatus = "sent"
	NudgeCooldown NudgeStatus = "cooldown_active" // another one was sent not long ago
)

// NudgeCredits has the backend write to the owner of the workspace that credits
// are wanted. kind is the backend's word for what is used up. It goes under the
// same 401 rule as a model request and is not repeated otherwise: a second letter
// would be worse than none. An empty base URL is the default. It needs a ChatGPT
// sign-in; the error is an *[Error].
func (c *Client) NudgeCredits(ctx context.Context, chatGPTBaseURL, kind string) (NudgeStatus, error) {
	k := c.accountCall(http.MethodPost, chatGPTBaseURL, "/accounts/send_add_credits_nudge_email")
	k.header.Set("Content-Type", "application/json")
	body, err := json.Marshal(map[string]string{"credit_type": kind})
	if err != nil {
		return "", &Error{Kind: KindBadRequest, Message: "The kind of credits is not valid text", Err: err}
	}
	k.body = body
	a, fail := c.exchange(ctx, k)
	if fail != nil {
		if fail.Status == http.StatusTooManyRequests {
			return NudgeCooldown, nil
		}
		return "", fail
	}
	a.discard()
	return NudgeSent, nil
}
