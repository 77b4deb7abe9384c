package backend

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

const (
	// apiBaseURL is where API keys are used.
	apiBaseURL = "https://api.openai.com/v1"
	// DefaultChatGPTBaseURL is where ChatGPT tokens are used unless
	// chatgpt_base_url says otherwise.
	DefaultChatGPTBaseURL = "https://chatgpt.com/backend-api"
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
	if t == nil || value == "" || !fitsHeader(value) {
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
	b.raw(`,"instructions":`).text(r.Instructions)
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

// call is a request in the shape that can be sent any number of times: all of
// it but the credential.
type call struct {
	method   string
	provider string
	source   keySource
	key      protocol.Secret // with source providerKey
	target   func(Token) (*url.URL, *Error)
	header   http.Header
	body     []byte
	// patience is how long the backend may be silent.
	patience time.Duration
	// wholly bounds everything from sending to the end of the body; 0 for no
	// bound.
	wholly  time.Duration
	retries int
	secrets redactor
}

// newCall prepares the POST of a model request.
func (c *Client) newCall(r *Request) (*call, *Error) {
	p := &r.Provider
	k := &call{method: http.MethodPost, provider: p.ID, patience: p.StreamIdleTimeout, retries: p.RequestMaxRetries}
	if k.patience <= 0 {
		k.patience = defaultIdleTimeout
	}
	switch {
	case p.EnvKey != "":
		value := c.getenv(p.EnvKey)
		if strings.TrimSpace(value) == "" {
			return nil, &Error{Kind: KindUnauthorized,
				Message: fmt.Sprintf("the environment variable %s, which holds the key of model provider %q, is not set", p.EnvKey, p.ID)}
		}
		k.source, k.key = providerKey, protocol.NewSecret(value)
	case !p.Bearer.IsEmpty():
		k.source, k.key = providerKey, p.Bearer
	case p.OpenAI || p.RequiresAuth:
		k.source = signedIn
	}
	if k.source == providerKey {
		k.secrets.add(k.key.Reveal())
	}
	k.target = func(t Token) (*url.URL, *Error) { return responsesURL(p, t) }
	for _, value := range p.QueryParams {
		k.secrets.add(value)
	}
	k.header = c.headers(r, &k.secrets)
	k.body = r.encode()
	return k, nil
}

// headers are all but the credential. What the provider's configuration sets
// goes over originator and user-agent, and under what the protocol needs.
func (c *Client) headers(r *Request, secrets *redactor) http.Header {
	h := c.identityHeaders()
	for name, value := range r.Provider.Headers {
		secrets.add(value)
		setHeader(h, name, value)
	}
	for name, variable := range r.Provider.EnvHeaders {
		if value := c.getenv(variable); strings.TrimSpace(value) != "" {
			secrets.add(value)
			setHeader(h, name, value)
		}
	}
	if r.Provider.OpenAI {
		setHeader(h, "Version", protocol.WireVersion)
	}
	setHeader(h, "Session_id", r.ThreadID)
	setHeader(h, "X-Client-Request-Id", r.ThreadID)
	// The number counts the windows that compaction has opened; there is one.
	setHeader(h, "X-Codex-Window-Id", r.ThreadID+":0")
	if t := r.Turn; t != nil && t.TurnID != "" {
		setHeader(h, "X-Codex-Turn-Metadata", turnMetadata(r.ThreadID, t))
	}
	if state := r.Turn.state(); state != "" {
		setHeader(h, "X-Codex-Turn-State", state)
	}
	h.Set("Accept", "text/event-stream")
	h.Set("Content-Type", "application/json")
	return h
}

// turnMetadata has the members of codex app-server 0.125.0.
func turnMetadata(thread string, t *TurnState) string {
	data, err := json.Marshal(struct {
		Session string `json:"session_id"`
		Source  string `json:"thread_source"`
		Turn    string `json:"turn_id"`
		Sandbox string `json:"sandbox,omitzero"`
	}{thread, "user", t.TurnID, t.Sandbox})
	if err != nil { // an id that is not UTF-8
		return ""
	}
	return string(data)
}

// identityHeaders tell who asks: the parent by its name, and this server.
func (c *Client) identityHeaders() http.Header {
	h := make(http.Header, 16)
	if c.identity != nil {
		id := c.identity()
		setHeader(h, "Originator", id.Originator)
		setHeader(h, "User-Agent", id.UserAgent)
	}
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "app-server") // or net/http would name itself
	}
	return h
}

// responsesURL is where model requests go with this token.
func responsesURL(p *Provider, t Token) (*url.URL, *Error) {
	base := p.BaseURL
	switch {
	case base != "":
	case t.ChatGPT:
		base = strings.TrimRight(orDefault(p.ChatGPTBaseURL, DefaultChatGPTBaseURL), "/") + "/codex"
	default:
		base = apiBaseURL
	}
	u, fail := joinURL(base, "/responses")
	if fail != nil {
		fail.Message = fmt.Sprintf("the base URL of model provider %q is not a valid http or https URL", p.ID)
		return nil, fail
	}
	if len(p.QueryParams) > 0 {
		q := u.Query()
		for name, value := range p.QueryParams {
			q.Set(name, value)
		}
		u.RawQuery = q.Encode()
	}
	return u, nil
}

// joinURL adds a path to a base URL and keeps its query. The error does not
// quote the URL, which may hold a password.
func joinURL(base, path string) (*url.URL, *Error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, &Error{Kind: KindOther, Message: "the base URL is not a valid http or https URL"}
	}
	u.Path = strings.TrimRight(u.Path, "/") + path
	u.RawPath, u.Fragment, u.RawFragment = "", "", ""
	return u, nil
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// setHeader leaves out what a header cannot carry, as the reference does, and
// what net/http decides by itself.
func setHeader(h http.Header, name, value string) {
	switch http.CanonicalHeaderKey(name) {
	case "", "Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer":
		return
	}
	if value != "" && isToken(name) && fitsHeader(value) {
		h.Set(name, value)
	}
}

// fitsHeader is whether a value may stand in a header: no control characters
// but the tab.
func fitsHeader(value string) bool {
	for i := range len(value) {
		if c := value[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return false
		}
	}
	return true
}

// isToken is whether a header may have that name (RFC 9110, section 5.6.2).
func isToken(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}
