package backend

import (
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

	"app-server/internal/redact"
)

const (
	// maxErrorBody is how much of a refusal is read. Messages stand at its
	// front; the rest is of no use.
	maxErrorBody = 64 << 10
	// errorBodyTime bounds the reading of it.
	errorBodyTime = 10 * time.Second
)

// upstream is what a backend says about a failure, in any of the shapes that
// are seen.
type upstream struct {
	Code, Type, Message string
	ResetsAt            *int64 // unix seconds
	ResetsIn            *int64 // seconds
}

// lenient takes what other writers of JSON produce. Only our own output is
// held to more.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// text reads a string and gives "" for anything else.
func text(v jsontext.Value) string {
	var s string
	if v.Kind() != '"' || json.Unmarshal(v, &s, lenient) != nil {
		return ""
	}
	return s
}

// number reads a whole number and gives nil for anything else.
func number(v jsontext.Value) *int64 {
	var f float64
	if v.Kind() != '0' || json.Unmarshal(v, &f) != nil || f < -1<<53 || f > 1<<53 {
		return nil
	}
	n := int64(f)
	return &n
}

// members splits an object and gives nil for anything else.
func members(v jsontext.Value) map[string]jsontext.Value {
	var m map[string]jsontext.Value
	if v.Kind() != '{' || json.Unmarshal(v, &m, lenient) != nil {
		return nil
	}
	return m
}

// elements splits an array and gives nil for anything else.
func elements(v jsontext.Value) []jsontext.Value {
	var list []jsontext.Value
	if v.Kind() != '[' || json.Unmarshal(v, &list, lenient) != nil {
		return nil
	}
	return list
}

// readUpstream finds code and message in a body: {"error": {...}} as the API
// has it, {"detail": ...} as ChatGPT's backend, {"error": "text"} and
// {"message": "text"} as gateways. A short plain text is a message; HTML is
// not.
func readUpstream(body []byte) upstream {
	m := members(body)
	if m == nil {
		plain := strings.TrimSpace(string(body))
		if plain == "" || len(plain) > maxMessage || strings.ContainsAny(plain, "<{[") {
			return upstream{}
		}
		return upstream{Message: plain}
	}
	for _, name := range []string{"error", "detail", "response"} {
		if inner := members(m[name]); inner != nil {
			if deeper := members(inner["error"]); deeper != nil {
				inner = deeper
			}
			return upstreamOf(inner)
		}
		if s := text(m[name]); s != "" {
			return upstream{Message: s, Code: text(m["code"])}
		}
	}
	if list := elements(m["detail"]); len(list) > 0 {
		return upstream{Message: text(members(list[0])["msg"])}
	}
	return upstreamOf(m)
}

func upstreamOf(m map[string]jsontext.Value) upstream {
	return upstream{Code: text(m["code"]), Type: text(m["type"]), Message: text(m["message"]),
		ResetsAt: number(m["resets_at"]), ResetsIn: number(m["resets_in_seconds"])}
}

// statusError turns an answer that is no success into an error and ends it.
func (c *Client) statusError(ctx context.Context, k *call, a *answer, cred credential) *Error {
	timer := time.AfterFunc(errorBodyTime, func() { a.cancel(errSlowBody) })
	body, _ := io.ReadAll(io.LimitReader(a.body, maxErrorBody)) // what came before a fault is still worth reading
	timer.Stop()
	a.discard()
	if ctx.Err() != nil {
		return canceled(ctx)
	}
	secrets := k.secrets
	secrets.Add(cred.token.Bearer)
	h, status, now := a.response.Header, a.response.StatusCode, time.Now()
	up := readUpstream(body)
	up.Message = tidy(up.Message, secrets)

	e := &Error{Status: status, said: up.Message, Limits: limitsOf(h, secrets), Details: requestID(h, secrets)}
	colon := ""
	if up.Message != "" {
		colon = ": " + up.Message
	}
	told := fmt.Sprintf("The backend answered %s%s", statusText(status), colon)
	switch {
	case status == http.StatusUnauthorized:
		e.Kind, e.Message = KindUnauthorized, refusal(cred.source, k.provider)+" ("+statusText(status)+")"+colon
	case status >= 300 && status < 400:
		e.Kind, e.Message = KindOther, fmt.Sprintf("The backend at %s answered %s, a redirect that is not followed", a.url, statusText(status))
	case e.byCode(up, now): // filled in
		e.silent = e.Kind == KindOverloaded // a moment later there may be room
	case status == http.StatusTooManyRequests:
		e.Kind, e.Message, e.Retry = KindTooManyRequests, told, RetryStream
		e.askPause(retryAfter(h, up.Message, now))
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
		e.Kind, e.Message = KindBadRequest, "The backend refused the request ("+statusText(status)+")"+colon
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		e.Kind, e.Message, e.Retry, e.silent = KindServer, told, RetryStream, true
		e.askPause(retryAfter(h, up.Message, now))
	default:
		e.Kind, e.Message = KindOther, fmt.Sprintf("%s (%s)", told, a.url)
	}
	return e
}

// byCode fills in what the codes that mean the same with any status, and in
// any event, stand for. It reports whether it knew the code.
func (e *Error) byCode(up upstream, now time.Time) bool {
	colon := ""
	if up.Message != "" {
		colon = ": " + up.Message
	}
	for _, code := range []string{up.Code, up.Type} {
		switch code {
		case "context_length_exceeded":
			e.Kind, e.Message = KindContextWindow, "The conversation does not fit into the model's context window"+colon
		case "usage_limit_reached":
			e.Kind, e.Message = KindUsageLimit, "The usage limit is reached"+resetText(up, now)
		case "usage_not_included":
			e.Kind, e.Message = KindUsageLimit, "The plan of this account does not include this use"+colon
		case "insufficient_quota":
			e.Kind, e.Message = KindUsageLimit, "The quota of this account is used up"+colon
		case "server_is_overloaded", "slow_down":
			e.Kind, e.Message = KindOverloaded, "The model has no capacity left at the moment"+colon
		case "cyber_policy":
			e.Kind, e.Message = KindCyberPolicy, "The backend refused the request under its policy on cyber security"+colon
		case "invalid_prompt":
			e.Kind, e.Message = KindInvalidPrompt, "The backend refused the prompt"+colon
		default:
			continue
		}
		return true
	}
	return false
}

// resetText says when a limit ends, as a time that needs no zone of the reader
// and as a wait.
func resetText(up upstream, now time.Time) string {
	var at time.Time
	const farthest = 10 * 365 * 24 * 3600
	switch {
	case up.ResetsAt != nil && *up.ResetsAt > 0 && *up.ResetsAt < now.Unix()+farthest:
		at = time.Unix(*up.ResetsAt, 0)
	case up.ResetsIn != nil && *up.ResetsIn > 0 && *up.ResetsIn < farthest:
		at = now.Add(time.Duration(*up.ResetsIn) * time.Second)
	default:
		return ""
	}
	words := "; it resets at " + at.UTC().Format("2006-01-02 15:04 UTC")
	if wait := at.Sub(now).Round(time.Minute); wait >= time.Minute {
		words += " (in " + strings.TrimSuffix(wait.String(), "0s") + ")"
	}
	return words
}

func statusText(status int) string {
	if t := http.StatusText(status); t != "" {
		return fmt.Sprintf("%d %s", status, t)
	}
	return fmt.Sprint(status)
}

// requestID is what the backend's people need to find a request.
func requestID(h http.Header, secrets redact.Redactor) string {
	for _, name := range []string{"X-Request-Id", "X-Oai-Request-Id", "Cf-Ray"} {
		if id := h.Get(name); id != "" && len(id) <= 128 {
			return "request id " + tidy(id, secrets)
		}
	}
	return ""
}

// connectError words a failure before the headers were in. The texts of net
// and tls name addresses and causes. Those of net/http may quote what answered,
// which need not speak HTTP: an echo, for instance, with the query in it.
func (c *Client) connectError(ctx context.Context, k *call, cause, err error, a *answer) *Error {
	where := a.url
	secrets := k.secrets
	secrets.Add(a.credential.token.Bearer)
	var setup *setupError
	var refusal *proxyRefusal
	var op *net.OpError
	var dns *net.DNSError
	e := &Error{Details: tidy(err.Error(), secrets), Retry: RetryStream, Err: err}
	switch {
	case ctx.Err() != nil:
		return canceled(ctx)
	case errors.Is(cause, errIdle):
		e.Kind, e.Details, e.Err = KindStreamDisconnected, "", errIdle
		e.Message = fmt.Sprintf("The backend at %s sent no answer within %v", where, k.patience)
	case errors.As(err, &setup):
		e.Kind, e.Message, e.Details, e.Retry = KindConnectFailed, setup.Error(), "", RetryNever
	case errors.As(err, &refusal):
		e.Kind, e.Details, e.silent = KindConnectFailed, "", true
		e.Message = fmt.Sprintf("No connection to the backend at %s: %v", where, refusal)
		if refusal.status < http.StatusInternalServerError {
			e.Retry = RetryNever // it wants another configuration
		}
	case isCertificate(err):
		e.Kind, e.Retry = KindConnectFailed, RetryNever
		e.Message = fmt.Sprintf("The certificate of %s is not trusted", where)
	case errors.As(err, &dns), errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "socks connect"):
		e.Kind, e.silent = KindConnectFailed, true
		e.Message = fmt.Sprintf("No connection to the backend at %s", where)
		if op != nil && op.Op == "proxyconnect" {
			e.Message += " through the proxy"
		}
	default:
		e.Kind, e.silent = KindStreamDisconnected, true
		e.Message = fmt.Sprintf("The connection to the backend at %s broke before it answered", where)
	}
	return e
}
