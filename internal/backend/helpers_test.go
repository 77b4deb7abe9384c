package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"app-server/protocol"
)

const (
	firstToken  = "token-one-0123456789"
	secondToken = "token-two-0123456789"
)

// login is a Credentials with one person signed in.
type login struct {
	mu      sync.Mutex
	token   Token
	err     error // of Token
	refresh func(ctx context.Context, used Token) (Token, error)
	asked   int
}

func signedInAs(bearer string) *login {
	return &login{token: Token{Bearer: protocol.NewSecret(bearer), AccountID: "org-a", ChatGPT: true, Recoverable: true, Generation: 1}}
}

func (l *login) Token(context.Context) (Token, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.token, l.err
}

func (l *login) Refresh(ctx context.Context, used Token) (Token, error) {
	l.mu.Lock()
	l.asked++
	refresh := l.refresh
	l.mu.Unlock()
	if refresh == nil {
		return Token{}, errors.New("no refresh is expected here")
	}
	token, err := refresh(ctx, used)
	if err == nil {
		l.mu.Lock()
		l.token = token
		l.mu.Unlock()
	}
	return token, err
}

// seen is a request as the backend got it.
type seen struct {
	Method, Path, Query, Body string
	Header                    http.Header
}

// server answers the n-th request (from 0) with answer and keeps all of them.
type server struct {
	*httptest.Server
	mu   sync.Mutex
	seen []seen
}

func serve(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		n := len(s.seen)
		s.seen = append(s.seen, seen{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Header.Clone()})
		s.mu.Unlock()
		answer(n, w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) requests() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seen(nil), s.seen...)
}

func (s *server) request() *Request {
	return &Request{Provider: Provider{ID: "mock", BaseURL: s.URL + "/v1", RequiresAuth: true}, ThreadID: "thread-1", Model: "gpt-5.2", Instructions: "Be brief."}
}

// client has a transport of its own, closed with the test.
func client(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Transport == nil {
		transport, err := NewTransport(func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(transport.CloseIdleConnections)
		o.Transport = transport
	}
	return New(o)
}

// events writes a stream of the data given, each an event.
func events(w http.ResponseWriter, data ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, sseText(data...))
}

func sseText(data ...string) string {
	var b strings.Builder
	for _, d := range data {
		fmt.Fprintf(&b, "data: %s\n\n", d)
	}
	return b.String()
}

const (
	doneEvent  = `{"type":"response.completed","response":{"id":"resp-1","usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":15}}}`
	deltaEvent = `{"type":"response.output_text.delta","sequence_number":7,"item_id":"msg-1","output_index":0,"content_index":0,"delta":" w00001","logprobs":[],"obfuscation":"x7Qk2mZp"}`
)

func good(w http.ResponseWriter) { events(w, doneEvent) }

// collect ranges over a stream to its end.
func collect(t *testing.T, c *Client, ctx context.Context, r *Request) ([]Event, *Error) {
	t.Helper()
	var list []Event
	var fail *Error
	for e, err := range c.Stream(ctx, r) {
		if fail != nil {
			t.Fatal("something came after an error")
		}
		if err != nil {
			if !errors.As(err, &fail) {
				t.Fatalf("error of type %T", err)
			}
			continue
		}
		list = append(list, e)
	}
	return list, fail
}

func mustComplete(t *testing.T, c *Client, r *Request) []Event {
	t.Helper()
	list, fail := collect(t, c, t.Context(), r)
	if fail != nil {
		t.Fatalf("%s: %s (%s)", fail.Kind, fail.Message, fail.Details)
	}
	if n := len(list); n == 0 || list[n-1].Kind != EventCompleted {
		t.Fatalf("the stream did not complete: %+v", list)
	}
	return list
}

func mustFail(t *testing.T, c *Client, r *Request) *Error {
	t.Helper()
	_, fail := collect(t, c, t.Context(), r)
	if fail == nil {
		t.Fatal("no error")
	}
	return fail
}
