package protocol

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Turn is one exchange of a thread: the user's input and all that follows until
// the model is done. Items is filled only where turns are read back. Times are
// Unix seconds.
type Turn struct {
	ID          string       `json:"id"`
	Items       []ThreadItem `json:"items"`
	Status      TurnStatus   `json:"status"`
	Error       *TurnError   `json:"error"`
	StartedAt   *int64       `json:"startedAt"`
	CompletedAt *int64       `json:"completedAt"`
	DurationMS  *int64       `json:"durationMs"`
}

// TurnStatus is the state of a turn.
type TurnStatus string

// The states of a turn.
const (
	TurnInProgress  TurnStatus = "inProgress"
	TurnCompleted   TurnStatus = "completed"
	TurnInterrupted TurnStatus = "interrupted"
	TurnFailed      TurnStatus = "failed"
)

// TurnError is why a turn failed, or what is being retried.
type TurnError struct {
	Message           string          `json:"message"`
	CodexErrorInfo    *CodexErrorInfo `json:"codexErrorInfo"`
	AdditionalDetails *string         `json:"additionalDetails"`
}

// ErrorKind is the kind of a turn's failure.
type ErrorKind string

// The kinds of failure. Those of the second group are objects on the wire and
// carry an HTTP status; [KindActiveTurnNotSteerable] carries a turn kind.
const (
	KindContextWindowExceeded ErrorKind = "contextWindowExceeded"
	KindUsageLimitExceeded    ErrorKind = "usageLimitExceeded"
	KindServerOverloaded      ErrorKind = "serverOverloaded"
	KindCyberPolicy           ErrorKind = "cyberPolicy"
	KindInternalServerError   ErrorKind = "internalServerError"
	KindUnauthorized          ErrorKind = "unauthorized"
	KindBadRequest            ErrorKind = "badRequest"
	KindSandboxError          ErrorKind = "sandboxError"
	KindOther                 ErrorKind = "other"

	KindHTTPConnectionFailed           ErrorKind = "httpConnectionFailed"
	KindResponseStreamConnectionFailed ErrorKind = "responseStreamConnectionFailed"
	KindResponseStreamDisconnected     ErrorKind = "responseStreamDisconnected"
	KindResponseTooManyFailedAttempts  ErrorKind = "responseTooManyFailedAttempts"

	KindActiveTurnNotSteerable ErrorKind = "activeTurnNotSteerable"
)

// CodexErrorInfo is a kind of failure with what belongs to it.
type CodexErrorInfo struct {
	Kind ErrorKind
	// HTTPStatus is nil where there was none. Only the object kinds carry it.
	HTTPStatus *int
	// TurnKind belongs to KindActiveTurnNotSteerable.
	TurnKind string
}

// MarshalJSONTo writes a text, or an object with the kind as its one member.
func (i CodexErrorInfo) MarshalJSONTo(e *jsontext.Encoder) error {
	switch i.Kind {
	case KindHTTPConnectionFailed, KindResponseStreamConnectionFailed, KindResponseStreamDisconnected, KindResponseTooManyFailedAttempts:
		type status struct {
			HTTPStatusCode *int `json:"httpStatusCode"`
		}
		return json.MarshalEncode(e, map[ErrorKind]status{i.Kind: {i.HTTPStatus}})
	case KindActiveTurnNotSteerable:
		type turn struct {
			TurnKind string `json:"turnKind"`
		}
		return json.MarshalEncode(e, map[ErrorKind]turn{i.Kind: {i.TurnKind}})
	}
	return e.WriteToken(jsontext.String(string(i.Kind)))
}

// ErrorNotification is error. With WillRetry it is no end: the turn goes on.
type ErrorNotification struct {
	Error     TurnError `json:"error"`
	WillRetry bool      `json:"willRetry"`
	ThreadID  string    `json:"threadId"`
	TurnID    string    `json:"turnId"`
}

// TurnStartParams are those of turn/start. All but Input and OutputSchema hold
// for later turns as well.
type TurnStartParams struct {
	ThreadID          string                `json:"threadId" required:"true"`
	Input             []UserInput           `json:"input" required:"true"`
	Cwd               *string               `json:"cwd,omitzero"`
	ApprovalPolicy    *ApprovalPolicy       `json:"approvalPolicy,omitzero"`
	ApprovalsReviewer *ApprovalsReviewer    `json:"approvalsReviewer,omitzero"`
	SandboxPolicy     *SandboxPolicy        `json:"sandboxPolicy,omitzero"`
	PermissionProfile *PermissionProfile    `json:"permissionProfile,omitzero"`
	Model             *string               `json:"model,omitzero"`
	ServiceTier       Optional[ServiceTier] `json:"serviceTier,omitzero"`
	Effort            *ReasoningEffort      `json:"effort,omitzero"`
	Summary           *ReasoningSummary     `json:"summary,omitzero"`
	Personality       *Personality          `json:"personality,omitzero"`
	CollaborationMode *CollaborationMode    `json:"collaborationMode,omitzero"`
	OutputSchema      jsontext.Value        `json:"outputSchema,omitzero"`
	// Environments hold for this turn only; nil: the thread's.
	Environments       []TurnEnvironment `json:"environments,omitzero"`
	ResponsesAPIClient map[string]string `json:"responsesapiClientMetadata,omitzero"`
}

// LocalEnvironment is the id of the one environment that there is: the machine
// on which the server runs.
const LocalEnvironment = "local"

// TurnEnvironment is a place for the model to work in. Of a list the first one
// counts; an empty list means that the model has none.
type TurnEnvironment struct {
	EnvironmentID string `json:"environmentId" required:"true"`
	// Cwd is the working directory there, absolute.
	Cwd string `json:"cwd" required:"true"`
}

// ExperimentalUse names the first experimental field in use.
func (p *TurnStartParams) ExperimentalUse() string {
	switch {
	case p.Environments != nil:
		return "turn/start.environments"
	case p.CollaborationMode != nil:
		return "turn/start.collaborationMode"
	case p.ResponsesAPIClient != nil:
		return "turn/start.responsesapiClientMetadata"
	case p.ApprovalPolicy != nil && p.ApprovalPolicy.Granular != nil:
		return "askForApproval.granular"
	}
	return ""
}

// TurnStartResponse answers turn/start, before any notification of the turn.
type TurnStartResponse struct {
	Turn Turn `json:"turn"`
}

// TurnStartedNotification is turn/started.
type TurnStartedNotification struct {
	ThreadID string `json:"threadId"`
	Turn     Turn   `json:"turn"`
}

// TurnCompletedNotification is turn/completed: exactly one for each turn that
// was started.
type TurnCompletedNotification struct {
	ThreadID string `json:"threadId"`
	Turn     Turn   `json:"turn"`
}

// TurnInterruptParams are those of turn/interrupt.
type TurnInterruptParams struct {
	ThreadID string `json:"threadId" required:"true"`
	TurnID   string `json:"turnId" required:"true"`
}

// TurnInterruptResponse answers turn/interrupt.
type TurnInterruptResponse struct{}

// TurnSteerParams are those of turn/steer.
type TurnSteerParams struct {
	ThreadID           string            `json:"threadId" required:"true"`
	ExpectedTurnID     string            `json:"expectedTurnId" required:"true"`
	Input              []UserInput       `json:"input" required:"true"`
	ResponsesAPIClient map[string]string `json:"responsesapiClientMetadata,omitzero"`
}

// ExperimentalUse names the first experimental field in use.
func (p *TurnSteerParams) ExperimentalUse() string {
	if p.ResponsesAPIClient != nil {
		return "turn/steer.responsesapiClientMetadata"
	}
	return ""
}

// TurnSteerResponse answers turn/steer.
type TurnSteerResponse struct {
	TurnID string `json:"turnId"`
}

// InputType is the kind of a piece of user input.
type InputType string

// The kinds of input.
const (
	InputText       InputType = "text"
	InputImage      InputType = "image"
	InputLocalImage InputType = "localImage"
	InputSkill      InputType = "skill"
	InputMention    InputType = "mention"
)

// UnmarshalText refuses unknown kinds.
func (t *InputType) UnmarshalText(b []byte) error {
	return closedEnum(t, b, InputText, InputImage, InputLocalImage, InputSkill, InputMention)
}

// UserInput is one piece of what the user sends. Text and TextElements belong
// to text, URL to image, Path to localImage, Name and Path to skill and mention.
type UserInput struct {
	Type         InputType
	Text         string
	TextElements []TextElement
	URL          string
	Path         string
	Name         string
}

// TextElement marks a span of a text that the parent shows in its own way.
type TextElement struct {
	ByteRange   ByteRange `json:"byteRange" required:"true"`
	Placeholder *string   `json:"placeholder"`
}

// ByteRange is a half-open range of bytes.
type ByteRange struct {
	Start uint64 `json:"start" required:"true"`
	End   uint64 `json:"end" required:"true"`
}

type (
	inputText struct {
		Type         InputType     `json:"type"`
		Text         string        `json:"text"`
		TextElements []TextElement `json:"text_elements"`
	}
	inputImage struct {
		Type InputType `json:"type"`
		URL  string    `json:"url"`
	}
	inputLocalImage struct {
		Type InputType `json:"type"`
		Path string    `json:"path"`
	}
	inputNamed struct {
		Type InputType `json:"type"`
		Name string    `json:"name"`
		Path string    `json:"path"`
	}
)

// MarshalJSONTo writes the members that belong to the type.
func (u UserInput) MarshalJSONTo(e *jsontext.Encoder) error {
	switch u.Type {
	case InputImage:
		return json.MarshalEncode(e, inputImage{u.Type, u.URL})
	case InputLocalImage:
		return json.MarshalEncode(e, inputLocalImage{u.Type, u.Path})
	case InputSkill, InputMention:
		return json.MarshalEncode(e, inputNamed{u.Type, u.Name, u.Path})
	}
	return json.MarshalEncode(e, inputText{u.Type, u.Text, u.TextElements})
}

// UnmarshalJSONFrom reads one piece and checks that what its type needs is
// there.
func (u *UserInput) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var in struct {
		Type         InputType     `json:"type"`
		Text         *string       `json:"text"`
		TextElements []TextElement `json:"text_elements"`
		URL          *string       `json:"url"`
		Path         *string       `json:"path"`
		Name         *string       `json:"name"`
	}
	if err := json.UnmarshalDecode(d, &in); err != nil {
		return err
	}
	need := func(name string, v *string, into *string) error {
		if v == nil {
			return missingField("input." + name)
		}
		*into = *v
		return nil
	}
	*u = UserInput{Type: in.Type, TextElements: in.TextElements}
	switch in.Type {
	case InputText:
		return need("text", in.Text, &u.Text)
	case InputImage:
		return need("url", in.URL, &u.URL)
	case InputLocalImage:
		return need("path", in.Path, &u.Path)
	case InputSkill, InputMention:
		if err := need("name", in.Name, &u.Name); err != nil {
			return err
		}
		return need("path", in.Path, &u.Path)
	}
	return missingField("input.type")
}
