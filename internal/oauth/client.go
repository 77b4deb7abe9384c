package oauth

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"
	"golang.org/x/oauth2"

	"app-server/internal/redact"
	"app-server/protocol"
)

// The reference's provider and the identity that it is known under there.
const (
	defaultIssuer   = "https://auth.openai.com"
	defaultClientID = "app_EMoamEEZ73f0CkXaXp7hrann"
)

const (
	// exchangeTime bounds one request for tokens. A refresh token may be used
	// up by a request whose answer is not waited for, so it is generous.
	exchangeTime = 30 * time.Second
	// shortTime bounds requests that lose nothing when they are given up. The
	// reference waits as long for a revocation.
	shortTime = 10 * time.Second
	// maxAnswer is in bytes. A real answer has a few thousand.
	maxAnswer = 1 << 20
)

// Endpoints say where the provider is and who asks. Empty members stand for the
// defaults.
type Endpoints struct {
	// Issuer is the root of the provider, without a slash at its end.
	Issuer string
	// ClientID is this program's identity there.
	ClientID string
	// Token is the whole address for refreshes; the default lies under Issuer.
	Token string
	// Revoke is the whole address for revocations; the default lies under Issuer.
	Revoke string
}

// EndpointsFromEnv reads the variables that the reference reads.
func EndpointsFromEnv(getenv func(string) string) Endpoints {
	return Endpoints{
		Issuer:   getenv("CODEX_APP_SERVER_LOGIN_ISSUER"),
		ClientID: getenv("CODEX_APP_SERVER_LOGIN_CLIENT_ID"),
		Token:    getenv("CODEX_REFRESH_TOKEN_URL_OVERRIDE"),
		Revoke:   getenv("CODEX_REVOKE_TOKEN_URL_OVERRIDE"),
	}
}

// Identity is how the program names itself to the provider.
type Identity struct{ Originator, UserAgent string }

// Options are what a Client needs. All members may be zero.
type Options struct {
	Endpoints Endpoints
	// Transport sends the requests; nil is http.DefaultTransport.
	Transport http.RoundTripper
	// Listen opens the port of the browser's way back; nil is net.Listen.
	Listen func(network, address string) (net.Listener, error)
	// Identity is asked for each request; nil names nothing.
	Identity func() Identity
	Log      *zap.Logger
}

// Client talks to the provider. It keeps nothing and is safe for concurrent use.
type Client struct {
	at       Endpoints
	http     *http.Client
	listen   func(network, address string) (net.Listener, error)
	identity func() Identity
	log      *zap.Logger
}

// New makes a Client. It makes no request.
func New(o Options) *Client {
	at := o.Endpoints
	at.Issuer = cmp.Or(strings.TrimRight(at.Issuer, "/"), defaultIssuer)
	at.ClientID = cmp.Or(at.ClientID, defaultClientID)
	at.Token = cmp.Or(at.Token, at.Issuer+"/oauth/token")
	at.Revoke = cmp.Or(at.Revoke, at.Issuer+"/oauth/revoke")
	c := &Client{at: at, listen: o.Listen, identity: o.Identity, log: o.Log,
		// A redirect would carry a refresh token to a place that nobody named.
		http: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if c.listen == nil {
		c.listen = net.Listen
	}
	if c.identity == nil {
		c.identity = func() Identity { return Identity{} }
	}
	if c.log == nil {
		c.log = zap.NewNop()
	}
	next := o.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	c.http.Transport = identified{next, c.identity}
	return c
}

// identified names the program in each request.
type identified struct {
	next http.RoundTripper
	who  func() Identity
}

// RoundTrip implements http.RoundTripper.
func (t identified) RoundTrip(r *http.Request) (*http.Response, error) {
	if who := t.who(); who.UserAgent != "" { // the parent may have no name
		r = r.Clone(r.Context())
		r.Header.Set("Originator", who.Originator)
		r.Header.Set("User-Agent", who.UserAgent)
	}
	return t.next.RoundTrip(r)
}

// Tokens are one sign-in as the provider gives it. A member that an answer
// leaves out is empty.
type Tokens struct{ ID, Access, Refresh protocol.Secret }

// tokenAnswer is the answer of the token endpoint.
type tokenAnswer struct {
	ID      protocol.Secret `json:"id_token"`
	Access  protocol.Secret `json:"access_token"`
	Refresh protocol.Secret `json:"refresh_token"`
}

// Refresh trades a refresh token for new tokens. Members that the answer leaves
// out are empty and stay as they were. The error is a *Fault.
//
// A refresh token can be used once: where ctx ends while the request is under
// way the token may be gone.
func (c *Client) Refresh(ctx context.Context, token protocol.Secret) (Tokens, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	status, body, err := c.post(ctx, c.at.Token, map[string]string{
		"client_id": c.at.ClientID, "grant_type": "refresh_token", "refresh_token": token.Reveal(),
	})
	if err != nil {
		return Tokens{}, unreachable(err)
	}
	if status != http.StatusOK {
		return Tokens{}, refusedRefresh(status, body, redact.New(token))
	}
	var a tokenAnswer
	if decode(body, &a) != nil {
		return Tokens{}, &Fault{Reason: ReasonAnswer, Status: status, Message: "the token endpoint's answer is not a set of tokens"}
	}
	if a.Access.IsEmpty() && a.ID.IsEmpty() && a.Refresh.IsEmpty() {
		return Tokens{}, &Fault{Reason: ReasonAnswer, Status: status, Message: "the token endpoint's answer holds no token"}
	}
	return Tokens(a), nil
}

// Revoke makes a refresh token worthless. The error tells that the provider did
// not confirm it and holds no part of the token.
func (c *Client) Revoke(ctx context.Context, token protocol.Secret) error {
	ctx, cancel := context.WithTimeout(ctx, shortTime)
	defer cancel()
	status, _, err := c.post(ctx, c.at.Revoke, map[string]string{
		"token": token.Reveal(), "token_type_hint": "refresh_token", "client_id": c.at.ClientID,
	})
	switch {
	case err != nil:
		return unreachable(err)
	case status/100 != 2:
		return &Fault{Reason: ReasonUnavailable, Status: status, Message: fmt.Sprintf("the revocation endpoint answered with status %d", status)}
	}
	return nil
}

// exchange trades an authorization code for tokens. All three must come: without
// the ID token nobody is named, without the refresh token the sign-in would end
// within the hour.
func (c *Client) exchange(ctx context.Context, code, verifier protocol.Secret, redirect string) (Tokens, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	ctx = context.WithValue(ctx, oauth2.HTTPClient, c.http)
	t, err := c.config(redirect).Exchange(ctx, code.Reveal(), oauth2.VerifierOption(verifier.Reveal()))
	if err != nil {
		return Tokens{}, failedExchange(err, redact.New(code, verifier))
	}
	id, _ := t.Extra("id_token").(string)
	got := Tokens{ID: protocol.NewSecret(id), Access: protocol.NewSecret(t.AccessToken), Refresh: protocol.NewSecret(t.RefreshToken)}
	switch {
	case got.ID.IsEmpty():
		return Tokens{}, &Fault{Reason: ReasonAnswer, Message: "the provider sent no ID token; the scope openid was not granted"}
	case got.Refresh.IsEmpty():
		return Tokens{}, &Fault{Reason: ReasonAnswer, Message: "the provider sent no refresh token; the scope offline_access was not granted"}
	}
	return got, nil
}

// config is the provider as x/oauth2 knows it.
func (c *Client) config(redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: c.at.ClientID, RedirectURL: redirect, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: c.at.Issuer + "/oauth/authorize", TokenURL: c.at.Issuer + "/oauth/token", AuthStyle: oauth2.AuthStyleInParams},
	}
}

// post sends a JSON object and returns what came. The error holds nothing of
// the body.
func (c *Client) post(ctx context.Context, url string, members map[string]string) (status int, body []byte, err error) {
	raw, err := json.Marshal(members, json.Deterministic(true))
	if err != nil {
		return 0, nil, errors.New("the request is not valid text")
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(raw))
	if err != nil {
		return 0, nil, errors.New("the address of the provider cannot be used")
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "*/*")
	r, err := c.http.Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer r.Body.Close()
	body, err = io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	return r.StatusCode, body, err
}

// decode reads an answer. Providers add members as they like, so unknown ones
// are passed over.
func decode(body []byte, into any) error {
	return json.Unmarshal(body, into, jsontext.AllowDuplicateNames(true))
}
