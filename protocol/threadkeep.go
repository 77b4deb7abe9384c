package protocol

import "github.com/go-json-experiment/json/jsontext"

// ThreadArchiveParams are those of thread/archive.
type ThreadArchiveParams struct {
	ThreadID string `json:"threadId" required:"true"`
}

// ThreadArchiveResponse answers thread/archive.
type ThreadArchiveResponse struct{}

// ThreadArchivedNotification is thread/archived.
type ThreadArchivedNotification struct {
	ThreadID string `json:"threadId"`
}

// ThreadUnarchiveParams are those of thread/unarchive.
type ThreadUnarchiveParams struct {
	ThreadID string `json:"threadId" required:"true"`
}

// ThreadUnarchiveResponse answers thread/unarchive with the thread, which is not
// loaded.
type ThreadUnarchiveResponse struct {
	Thread Thread `json:"thread"`
}

// ThreadUnarchivedNotification is thread/unarchived.
type ThreadUnarchivedNotification struct {
	ThreadID string `json:"threadId"`
}

// ThreadUnsubscribeParams are those of thread/unsubscribe.
type ThreadUnsubscribeParams struct {
	ThreadID string `json:"threadId" required:"true"`
}

// ThreadUnsubscribeStatus says what thread/unsubscribe has found.
type ThreadUnsubscribeStatus string

// What thread/unsubscribe may find.
const (
	Unsubscribed  ThreadUnsubscribeStatus = "unsubscribed"
	NotSubscribed ThreadUnsubscribeStatus = "notSubscribed" // it was unsubscribed already
	NotLoaded     ThreadUnsubscribeStatus = "notLoaded"
)

// ThreadUnsubscribeResponse answers thread/unsubscribe.
type ThreadUnsubscribeResponse struct {
	Status ThreadUnsubscribeStatus `json:"status"`
}

// ThreadClosedNotification is thread/closed: the thread was unloaded.
type ThreadClosedNotification struct {
	ThreadID string `json:"threadId"`
}

// ThreadSetNameParams are those of thread/name/set.
type ThreadSetNameParams struct {
	ThreadID string `json:"threadId" required:"true"`
	Name     string `json:"name" required:"true"`
}

// ThreadSetNameResponse answers thread/name/set.
type ThreadSetNameResponse struct{}

// ThreadNameUpdatedNotification is thread/name/updated.
type ThreadNameUpdatedNotification struct {
	ThreadID   string  `json:"threadId"`
	ThreadName *string `json:"threadName"`
}

// ThreadMetadataUpdateParams are those of thread/metadata/update.
type ThreadMetadataUpdateParams struct {
	ThreadID string         `json:"threadId" required:"true"`
	GitInfo  *GitInfoUpdate `json:"gitInfo"`
}

// GitInfoUpdate changes what is known of a thread's repository: an absent member
// stays as it is, null clears it.
type GitInfoUpdate struct {
	SHA       Optional[string] `json:"sha,omitzero"`
	Branch    Optional[string] `json:"branch,omitzero"`
	OriginURL Optional[string] `json:"originUrl,omitzero"`
}

// ThreadMetadataUpdateResponse answers thread/metadata/update.
type ThreadMetadataUpdateResponse struct {
	Thread Thread `json:"thread"`
}

// ThreadInjectItemsParams are those of thread/inject_items.
type ThreadInjectItemsParams struct {
	ThreadID string `json:"threadId" required:"true"`
	// Items are items of the backend's own form.
	Items []jsontext.Value `json:"items" required:"true"`
}

// ThreadInjectItemsResponse answers thread/inject_items.
type ThreadInjectItemsResponse struct{}

// GetConversationSummaryParams are those of getConversationSummary: one of the
// two members. A relative path begins at CODEX_HOME.
type GetConversationSummaryParams struct {
	ConversationID *string `json:"conversationId,omitzero"`
	RolloutPath    *string `json:"rolloutPath,omitzero"`
}

// GetConversationSummaryResponse answers getConversationSummary.
type GetConversationSummaryResponse struct {
	Summary ConversationSummary `json:"summary"`
}

// ConversationSummary is a stored thread in an older form. Times are RFC 3339
// texts in UTC.
type ConversationSummary struct {
	ConversationID string  `json:"conversationId"`
	Path           string  `json:"path"`
	Preview        string  `json:"preview"`
	Timestamp      *string `json:"timestamp"`
	UpdatedAt      *string `json:"updatedAt"`
	ModelProvider  string  `json:"modelProvider"`
	Cwd            string  `json:"cwd"`
	CLIVersion     string  `json:"cliVersion"`
	// Source is as the thread's file has it.
	Source  jsontext.Value       `json:"source"`
	GitInfo *ConversationGitInfo `json:"gitInfo"`
}

// ConversationGitInfo is a [GitInfo] in the older form.
type ConversationGitInfo struct {
	SHA       *string `json:"sha"`
	Branch    *string `json:"branch"`
	OriginURL *string `json:"origin_url"`
}
