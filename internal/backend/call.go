package backend

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"app-server/internal/redact"
	"app-server/protocol"
)

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
	secrets redact.Redactor
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
				Message: fmt.Sprintf("The environment variable %s, which holds the key of model provider %q, is not set", p.EnvKey, p.ID)}
		}
		k.source, k.key = providerKey, protocol.NewSecret(value)
	case !p.Bearer.IsEmpty():
		k.source, k.key = providerKey, p.Bearer
	case p.OpenAI || p.RequiresAuth:
		k.source = signedIn
	}
	if k.source == providerKey {
		k.secrets.Add(k.key)
	}
	k.target = func(t Token) (*url.URL, *Error) { return responsesURL(p, t) }
	for name, value := range p.QueryParams {
		k.secrets.AddQuery(name, value)
	}
	k.secrets.AddURL(p.BaseURL)
	k.secrets.AddURL(p.ChatGPTBaseURL)
	k.header = c.headers(r, &k.secrets)
	k.body = r.encode()
	return k, nil
}

// headers are all but the credential. What the provider's configuration sets
// goes over originator and user-agent, and under what the protocol needs.
func (c *Client) headers(r *Request, secrets *redact.Redactor) http.Header {
	h := c.identityHeaders()
	residency := h.Get(residencyHeader)
	for name, value := range r.Provider.Headers {
		secrets.AddValue(value)
		setHeader(h, name, value)
	}
	for name, variable := range r.Provider.EnvHeaders {
		if value := c.getenv(variable); strings.TrimSpace(value) != "" {
			secrets.AddValue(value)
			setHeader(h, name, value)
		}
	}
	if residency != "" {
		h.Set(residencyHeader, residency) // which is not for the provider's settings to change
	}
	if r.Provider.OpenAI {
		setHeader(h, "Version", protocol.WireVersion)
	}
	setHeader(h, "Session_id", r.ThreadID)
	setHeader(h, "X-Client-Request-Id", r.ThreadID)
	setHeader(h, "X-Codex-Window-Id", r.ThreadID+":"+strconv.Itoa(r.Window))
	if t := r.Turn; t != nil && t.TurnID != "" {
		setHeader(h, "X-Codex-Turn-Metadata", turnMetadata(r, t))
	}
	if r.Subagent != "" {
		setHeader(h, "X-Openai-Subagent", r.Subagent)
	}
	if state := r.Turn.state(); state != "" {
		setHeader(h, "X-Codex-Turn-State", state)
	}
	h.Set("Accept", "text/event-stream")
	h.Set("Content-Type", "application/json")
	return h
}

// turnMetadata has the members of codex app-server 0.125.0.
func turnMetadata(r *Request, t *TurnState) string {
	source := "user"
	if r.Subagent != "" {
		source = "subagent"
	}
	data, err := json.Marshal(struct {
		Session string `json:"session_id"`
		Source  string `json:"thread_source"`
		Turn    string `json:"turn_id"`
		Sandbox string `json:"sandbox,omitzero"`
	}{r.ThreadID, source, t.TurnID, t.Sandbox})
	if err != nil { // an id that is not UTF-8
		return ""
	}
	return string(data)
}

// residencyHeader says where a request must be served.
const residencyHeader = "X-Openai-Internal-Codex-Residency"

// identityHeaders tell who asks: the parent by its name, and this server.
func (c *Client) identityHeaders() http.Header {
	h := make(http.Header, 16)
	if c.identity != nil {
		id := c.identity()
		setHeader(h, "Originator", id.Originator)
		setHeader(h, "User-Agent", id.UserAgent)
		if id.Residency != "" {
			setHeader(h, residencyHeader, id.Residency)
		}
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
		base = strings.TrimRight(cmp.Or(p.ChatGPTBaseURL, defaultChatGPTBaseURL), "/") + "/codex"
	default:
		base = apiBaseURL
	}
	u, fail := joinURL(base, "/responses")
	if fail != nil {
		fail.Message = fmt.Sprintf("The base URL of model provider %q is not a valid http or https URL", p.ID)
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
		return nil, &Error{Kind: KindOther, Message: "The base URL is not a valid http or https URL"}
	}
	u.Path = strings.TrimRight(u.Path, "/") + path
	u.RawPath, u.Fragment, u.RawFragment = "", "", ""
	return u, nil
}

// setHeader leaves out what a header cannot carry, as the reference does, and
// what net/http decides by itself.
func setHeader(h http.Header, name, value string) {
	switch http.CanonicalHeaderKey(name) {
	case "", "Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer":
		return
	}
	if value != "" && isHeaderName(name) && isHeaderValue(value) {
		h.Set(name, value)
	}
}

// isHeaderValue is whether a value may stand in a header: no control characters
// but the tab (RFC 9110, section 5.5). Credentials are held to more where they come
// in (package account).
func isHeaderValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return false
		}
	}
	return true
}

// isHeaderName is whether a header may have that name (section 5.6.2).
func isHeaderName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}
