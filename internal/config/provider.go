package config

import (
	"errors"
	"fmt"
	"time"

	"app-server/protocol"
)

// ProviderOpenAI is the id of the built-in provider.
const ProviderOpenAI = "openai"

// Defaults and bounds of a provider's patience, those of the reference.
const (
	defaultRequestRetries = 4
	defaultStreamRetries  = 5
	// maxRetries caps what is configured: with doubling waits, more would
	// never end.
	maxRetries        = 100
	defaultStreamIdle = 300 * time.Second
	// maxStreamIdle keeps milliseconds within a time.Duration.
	maxStreamIdle = 365 * 24 * time.Hour
)

// WireResponses is the one wire API that is served.
const WireResponses = "responses"

// Provider is a model provider. Its header and query values may be secrets, so
// it prints as its id alone.
type Provider struct {
	ID, Name, BaseURL, EnvKey, EnvKeyInstructions, WireAPI string

	BearerToken        protocol.Secret
	RequiresOpenAIAuth bool

	// QueryParams and HTTPHeaders are sent as they are; EnvHTTPHeaders maps a
	// header to the environment variable with its value.
	QueryParams, HTTPHeaders, EnvHTTPHeaders map[string]string

	// RequestMaxRetries and StreamMaxRetries are at most 100.
	RequestMaxRetries, StreamMaxRetries int
	// StreamIdleTimeout is how long a stream may be silent.
	StreamIdleTimeout time.Duration

	// Err says why the provider cannot be used. A turn that needs the provider
	// fails with it; others are not touched.
	Err error
}

// String returns the id.
func (p Provider) String() string { return p.ID }

// GoString returns the id.
func (p Provider) GoString() string { return fmt.Sprintf("config.Provider(%q)", p.ID) }

// MarshalText returns the id, for loggers that encode values by reflection.
func (p Provider) MarshalText() ([]byte, error) { return []byte(p.ID), nil }

// openAI is the built-in provider. Its empty BaseURL leaves the choice to the
// kind of sign-in, unless openai_base_url says otherwise.
func (r *reader) openAI() Provider {
	p := Provider{
		ID: ProviderOpenAI, Name: "OpenAI", WireAPI: WireResponses, RequiresOpenAIAuth: true,
		EnvHTTPHeaders: map[string]string{
			"OpenAI-Organization": "OPENAI_ORGANIZATION",
			"OpenAI-Project":      "OPENAI_PROJECT",
		},
		RequestMaxRetries: defaultRequestRetries, StreamMaxRetries: defaultStreamRetries, StreamIdleTimeout: defaultStreamIdle,
	}
	const key = "openai_base_url"
	var ok bool
	if p.BaseURL, ok = r.webURL(r.base.get(key), key, ""); !ok {
		// Falling back would send to the public endpoint what was meant for another.
		p.Err = fmt.Errorf("the setting %s could not be read", key)
	}
	return p
}

// providers reads model_providers.
func (r *reader) providers() map[string]Provider {
	out := map[string]Provider{ProviderOpenAI: r.openAI()}
	const key = "model_providers"
	t := r.base.get(key)
	if t == nil {
		return out
	}
	if t.kind != kindTable {
		r.wrong(t, key, "a table of providers")
		return out
	}
	for _, id := range t.names {
		full := joinKey(key, id)
		switch n := t.members[id]; {
		case id == ProviderOpenAI:
			r.wrong(n, full, "this id is that of the built-in provider; only openai_base_url changes it")
		case n.kind != kindTable:
			r.wrong(n, full, "a table")
			out[id] = Provider{ID: id, Name: id, Err: fmt.Errorf("the provider %s is no table", id)}
		default:
			out[id] = r.provider(id, full, n)
		}
	}
	return out
}

// provider reads one provider. What concerns where requests go and with which
// credentials must be right, or the provider is not used at all.
func (r *reader) provider(id, key string, t *node) Provider {
	p := Provider{ID: id, Name: id, WireAPI: WireResponses}
	must := func(name string, ok bool) {
		if !ok && p.Err == nil {
			p.Err = fmt.Errorf("the setting %s.%s could not be read", key, name)
		}
	}
	text := func(name string) (string, bool) {
		n := t.get(name)
		if n != nil && n.kind != kindText {
			r.wrong(n, key+"."+name, "a text")
			return "", false
		}
		return r.textOf(n, key+"."+name, ""), true
	}

	if name, _ := text("name"); name != "" {
		p.Name = name
	} else if t.get("name") == nil {
		r.missing(t, key, "this provider has no name; its id is used")
	}
	var ok bool
	if t.get("base_url") == nil {
		r.missing(t, key, "this provider has no base_url")
		p.Err = fmt.Errorf("the provider %s has no base_url", id)
	} else {
		p.BaseURL, ok = r.webURL(t.get("base_url"), key+".base_url", "")
		must("base_url", ok)
	}
	p.EnvKey, ok = text("env_key")
	must("env_key", ok)
	p.EnvKeyInstructions, _ = text("env_key_instructions")
	token, ok := text("experimental_bearer_token")
	must("experimental_bearer_token", ok)
	if token != "" {
		p.BearerToken = protocol.NewSecret(token)
	}
	if n := t.get("requires_openai_auth"); n != nil {
		if p.RequiresOpenAIAuth = n.flag; n.kind != kindBool {
			r.wrong(n, key+".requires_openai_auth", "true or false")
			must("requires_openai_auth", false)
		}
	}
	p.QueryParams, ok = r.textMap(t.get("query_params"), key+".query_params")
	must("query_params", ok)
	p.HTTPHeaders, ok = r.textMap(t.get("http_headers"), key+".http_headers")
	must("http_headers", ok)
	p.EnvHTTPHeaders, ok = r.textMap(t.get("env_http_headers"), key+".env_http_headers")
	must("env_http_headers", ok)

	if err := r.wireAPI(t.get("wire_api"), key+".wire_api"); err != nil && p.Err == nil {
		p.Err = err
	}
	for _, name := range [...]string{"auth", "aws"} {
		if n := t.get(name); n != nil {
			r.wrong(n, key+"."+name, "this kind of sign-in is not supported by this server")
			must(name, false)
		}
	}

	p.RequestMaxRetries = int(r.count(t.get("request_max_retries"), key+".request_max_retries", defaultRequestRetries, maxRetries))
	p.StreamMaxRetries = int(r.count(t.get("stream_max_retries"), key+".stream_max_retries", defaultStreamRetries, maxRetries))
	idle := r.count(t.get("stream_idle_timeout_ms"), key+".stream_idle_timeout_ms", defaultStreamIdle.Milliseconds(), maxStreamIdle.Milliseconds())
	p.StreamIdleTimeout = time.Duration(idle) * time.Millisecond
	return p
}

var errWireChat = errors.New("wire_api \"chat\" is not supported; use \"responses\"")

// wireAPI checks wire_api.
func (r *reader) wireAPI(n *node, key string) error {
	switch {
	case n == nil || n.kind == kindText && n.text == WireResponses:
		return nil
	case n.kind == kindText && n.text == "chat":
		r.wrong(n, key, "this wire API is not supported; use responses")
		return errWireChat
	case n.kind == kindText:
		r.wrong(n, key, "this is no wire API; use responses")
	default:
		r.wrong(n, key, "a text")
	}
	return fmt.Errorf("the setting %s could not be read", key)
}
