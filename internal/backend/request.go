package backend

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

const (
	// apiBaseURL is where API keys are used.
	apiBaseURL = "https://api.openai.com/v1"
	// defaultChatGPTBaseURL is where ChatGPT tokens are used unless
	// chatgpt_base_url says otherwise.
	defaultChatGPTBaseURL = "https://chatgpt.com/backend-api"
	// defaultIdleTimeout is stream_idle_timeout_ms of the reference.
	defaultIdleTimeout = 300 * time.Second
)

// Provider is where and how a request is sent.
type Provider struct {
	ID, Name string
	// BaseURL is what "/responses" is added to. Empty: by kind of credential,
	// the API for keys, ChatGPTBaseURL + "/codex" for ChatGPT tokens.
	BaseURL string
	// OpenAI marks the built-in provider, which always needs a credential.
	OpenAI bool
	// ChatGPTBaseURL is used where BaseURL is empty; empty is the default.
	ChatGPTBaseURL string
	// RequiresAuth is whether the provider gets the token of whoever is signed
	// in. One that does not never sees it.
	RequiresAuth bool
	// EnvKey names the environment variable with the provider's own key, Bearer
	// is that key itself. Either goes before the sign-in, EnvKey first.
	EnvKey string
	Bearer protocol.Secret
	// QueryParams and Headers are sent as they are. EnvHeaders maps a header to
	// the variable that holds its value; unset and empty ones are left out.
	QueryParams, Headers, EnvHeaders map[string]string
	// RequestMaxRetries is how often a request is repeated in silence after a
	// 5xx or a failed connection.
	RequestMaxRetries int
	// StreamMaxRetries is for the caller, who repeats whole streams.
	StreamMaxRetries int
	// StreamIdleTimeout is how long the backend may be silent, before the
	// headers as well as between bytes of the body; 0 is 300 s.
	StreamIdleTimeout time.Duration
}

// Reasoning is the request's member of that name. An empty field is left out.
type Reasoning struct{ Effort, Summary string }

// TurnState is what the requests of one turn share. The zero value is ready;
// make one for each turn. It is safe for concurrent use.
type TurnState struct {
	// TurnID and Sandbox go into x-codex-turn-metadata; without a TurnID that
	// header is not sent. Set them before the first request.
	TurnID, Sandbox string

	mu sync.Mutex
	// sticky is the first x-codex-turn-state that the backend sent. Sent back,
	// it brings the turn's later requests to the same machine.
	sticky string
}

func (t *TurnState) state() string {
	if t == nil {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sticky
}

func (t *TurnState) keep(value string) {
	if t == nil || value == "" || !isHeaderValue(value) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sticky == "" {
		t.sticky = value
	}
}

// Request is one call of the model.
type Request struct {
	Provider Provider
	ThreadID string
	// Window counts how often the thread's history was begun anew.
	Window int
	// Subagent says what a conversation is for that is not the user's own, such as
	// "review"; empty for the user's.
	Subagent string
	// Turn may be nil.
	Turn                *TurnState
	Model, Instructions string
	// Input, Tools and OutputSchema are valid JSON and are sent byte for byte.
	Input, Tools      []jsontext.Value
	ParallelToolCalls bool
	// Reasoning is nil for models that do not reason.
	Reasoning *Reasoning
	// ServiceTier and Verbosity are left out where empty. The tier "fast" is
	// called "priority" by the backend.
	ServiceTier, Verbosity string
	// OutputSchema is a JSON Schema for the answer; empty for none.
	OutputSchema jsontext.Value
	// Metadata becomes client_metadata; empty for none.
	Metadata map[string]string
}

// encode writes the body. It copies each raw value once and parses none, so
// that its cost is that of copying the history.
func (r *Request) encode() []byte {
	size := 1024 + len(r.Instructions) + len(r.Instructions)/16 + len(r.OutputSchema)
	for _, v := range r.Input {
		size += len(v) + 1
	}
	for _, v := range r.Tools {
		size += len(v) + 1
	}
	b := bodyWriter{buf: make([]byte, 0, size)}
	b.raw(`{"model":`).text(r.Model)
	if r.Instructions != "" {
		b.raw(`,"instructions":`).text(r.Instructions)
	}
	b.raw(`,"input":`).list(r.Input)
	b.raw(`,"tools":`).list(r.Tools)
	b.raw(`,"tool_choice":"auto","parallel_tool_calls":`)
	if r.ParallelToolCalls {
		b.raw(`true`)
	} else {
		b.raw(`false`)
	}
	include := `[]`
	if r.Reasoning == nil {
		b.raw(`,"reasoning":null`)
	} else {
		include = `["reasoning.encrypted_content"]`
		b.raw(`,"reasoning":`).object(member{"effort", r.Reasoning.Effort}, member{"summary", r.Reasoning.Summary})
	}
	b.raw(`,"store":false,"stream":true,"include":`).raw(include)
	if tier := wireTier(r.ServiceTier); tier != "" {
		b.raw(`,"service_tier":`).text(tier)
	}
	b.raw(`,"prompt_cache_key":`).text(r.ThreadID)
	r.encodeText(&b)
	if len(r.Metadata) > 0 {
		members := make([]member, 0, len(r.Metadata))
		for _, k := range slices.Sorted(maps.Keys(r.Metadata)) {
			members = append(members, member{k, r.Metadata[k]})
		}
		b.raw(`,"client_metadata":`).object(members...)
	}
	return b.raw(`}`).buf
}

func (r *Request) encodeText(b *bodyWriter) {
	schema := len(r.OutputSchema) > 0
	if r.Verbosity == "" && !schema {
		return
	}
	b.raw(`,"text":{`)
	if r.Verbosity != "" {
		b.raw(`"verbosity":`).text(r.Verbosity)
	}
	if schema {
		if r.Verbosity != "" {
			b.raw(`,`)
		}
		b.raw(`"format":{"type":"json_schema","name":"codex_output_schema","strict":true,"schema":`)
		b.buf = append(b.buf, r.OutputSchema...)
		b.raw(`}`)
	}
	b.raw(`}`)
}

// wireTier names a service tier as the backend does.
func wireTier(tier string) string {
	if tier == "fast" {
		return "priority"
	}
	return tier
}

type member struct{ name, value string }

// bodyWriter appends JSON to a buffer.
type bodyWriter struct{ buf []byte }

func (b *bodyWriter) raw(s string) *bodyWriter {
	b.buf = append(b.buf, s...)
	return b
}

// text appends a string. Bytes that are not UTF-8 become U+FFFD; the error that
// AppendQuote gives for them says nothing more.
func (b *bodyWriter) text(s string) *bodyWriter {
	b.buf, _ = jsontext.AppendQuote(b.buf, s)
	return b
}

func (b *bodyWriter) list(values []jsontext.Value) {
	b.raw(`[`)
	for i, v := range values {
		if i > 0 {
			b.raw(`,`)
		}
		b.buf = append(b.buf, v...)
	}
	b.raw(`]`)
}

// object appends the members that have a value.
func (b *bodyWriter) object(members ...member) {
	b.raw(`{`)
	first := true
	for _, m := range members {
		if m.value == "" {
			continue
		}
		if !first {
			b.raw(`,`)
		}
		first = false
		b.text(m.name).raw(`:`).text(m.value)
	}
	b.raw(`}`)
}
