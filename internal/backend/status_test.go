package backend

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"app-server/internal/redact"
)

func TestStatus(t *testing.T) {
	resets := time.Now().Add(10 * time.Minute).Unix()
	for name, test := range map[string]struct {
		status  int
		header  map[string]string
		body    string
		kind    ErrorKind
		retry   RetryClass
		after   time.Duration
		sent    int // requests, with two silent repeats allowed
		message string
	}{
		"400":                     {400, nil, `{"error":{"message":"Your widget is broken","type":"invalid_request_error"}}`, KindBadRequest, RetryNever, 0, 1, "The backend refused the request (400 Bad Request): Your widget is broken"},
		"400, detail":             {400, nil, `{"detail":"Unsupported model"}`, KindBadRequest, RetryNever, 0, 1, "The backend refused the request (400 Bad Request): Unsupported model"},
		"400, detail list":        {422, nil, `{"detail":[{"loc":["body"],"msg":"field required"}]}`, KindBadRequest, RetryNever, 0, 1, "The backend refused the request (422 Unprocessable Entity): field required"},
		"400, plain text":         {400, nil, "no such tool\n", KindBadRequest, RetryNever, 0, 1, "The backend refused the request (400 Bad Request): no such tool"},
		"400, JSON of no meaning": {400, nil, `{"a":{"b":1}}`, KindBadRequest, RetryNever, 0, 1, "The backend refused the request (400 Bad Request)"},
		"400, broken JSON":        {400, nil, `{"error":{"mess`, KindBadRequest, RetryNever, 0, 1, "The backend refused the request (400 Bad Request)"},
		"400, context length":     {400, nil, `{"error":{"code":"context_length_exceeded","message":"too long"}}`, KindContextWindow, RetryNever, 0, 1, ""},
		"400, invalid prompt":     {400, nil, `{"error":{"code":"invalid_prompt","message":"no"}}`, KindInvalidPrompt, RetryNever, 0, 1, ""},
		"400, lone surrogate":     {400, nil, `{"error":{"message":"cut \ud83d"}}`, KindBadRequest, RetryNever, 0, 1, "The backend refused the request (400 Bad Request): cut \ufffd"},
		"403":                     {403, nil, `<html>forbidden</html>`, KindOther, RetryNever, 0, 1, "The backend answered 403 Forbidden (URL/v1/responses)"},
		"404":                     {404, nil, `{"error":"not here"}`, KindOther, RetryNever, 0, 1, "The backend answered 404 Not Found: not here (URL/v1/responses)"},
		"redirect":                {307, map[string]string{"Location": "http://127.0.0.1:9/"}, ``, KindOther, RetryNever, 0, 1, "The backend at URL/v1/responses answered 307 Temporary Redirect, a redirect that is not followed"},
		"429":                     {429, nil, `{"error":{"message":"slow"}}`, KindTooManyRequests, RetryStream, 0, 1, "The backend answered 429 Too Many Requests: slow"},
		"429, Retry-After":        {429, map[string]string{"Retry-After": "3"}, ``, KindTooManyRequests, RetryStream, 3 * time.Second, 1, ""},
		"429, words":              {429, nil, `{"error":{"code":"rate_limit_exceeded","message":"Please try again in 1.5s."}}`, KindTooManyRequests, RetryStream, 1500 * time.Millisecond, 1, ""},
		"429, for hours":          {429, map[string]string{"Retry-After": "7200"}, ``, KindTooManyRequests, RetryNever, 2 * time.Hour, 1, ""},
		"429, usage limit":        {429, nil, fmt.Sprintf(`{"error":{"type":"usage_limit_reached","message":"limit","resets_at":%d}}`, resets), KindUsageLimit, RetryNever, 0, 1, "The usage limit is reached; it resets at " + time.Unix(resets, 0).UTC().Format("2006-01-02 15:04 UTC") + " (in 10m)"},
		"429, usage limit, in":    {429, nil, `{"error":{"type":"usage_limit_reached","resets_in_seconds":7200}}`, KindUsageLimit, RetryNever, 0, 1, ""},
		"429, not included":       {429, nil, `{"error":{"type":"usage_not_included"}}`, KindUsageLimit, RetryNever, 0, 1, ""},
		"429, quota":              {429, nil, `{"error":{"code":"insufficient_quota","message":"pay"}}`, KindUsageLimit, RetryNever, 0, 1, ""},
		"500":                     {500, nil, `{"error":{"message":"boom"}}`, KindServer, RetryStream, 0, 3, "The backend answered 500 Internal Server Error: boom"},
		"529":                     {529, nil, ``, KindServer, RetryStream, 0, 3, "The backend answered 529"},
		"503, long Retry-After":   {503, map[string]string{"Retry-After": "60"}, ``, KindServer, RetryStream, time.Minute, 1, ""},
		"503, overloaded":         {503, nil, `{"error":{"code":"server_is_overloaded","message":"full"}}`, KindOverloaded, RetryNever, 0, 3, ""},
		"503, slow down":          {503, nil, `{"error":{"code":"slow_down"}}`, KindOverloaded, RetryNever, 0, 3, ""},
		"204":                     {204, map[string]string{"Content-Type": "text/plain"}, ``, KindOther, RetryStream, 0, 1, "The backend at URL/v1/responses sent text/plain instead of an event stream"},
		"200, HTML":               {200, map[string]string{"Content-Type": "text/html; charset=utf-8"}, `<html>log in</html>`, KindOther, RetryStream, 0, 1, "The backend at URL/v1/responses sent text/html instead of an event stream"},
		"200, error as JSON":      {200, map[string]string{"Content-Type": "application/json"}, `{"error":{"code":"insufficient_quota"}}`, KindUsageLimit, RetryNever, 0, 1, ""},
		"200, words as JSON":      {200, map[string]string{"Content-Type": "application/json"}, `{"error":{"message":"try later"}}`, KindOther, RetryStream, 0, 1, "The backend at URL/v1/responses sent application/json instead of an event stream: try later"},
		"503, unknown encoding":   {503, map[string]string{"Content-Encoding": "odd"}, `x`, KindServer, RetryStream, 0, 3, "The backend answered 503 Service Unavailable"},
		"unknown encoding":        {200, map[string]string{"Content-Type": "text/event-stream", "Content-Encoding": "br"}, `x`, KindOther, RetryNever, 0, 1, `The backend's answer cannot be read: the content encoding "br" is not supported`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				for name, value := range test.header {
					w.Header().Set(name, value)
				}
				w.Header().Set("X-Codex-Primary-Used-Percent", "100")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			r := s.request()
			r.Provider.RequestMaxRetries = 2
			r.Provider.QueryParams = map[string]string{"q": "query-secret"}
			fail := mustFail(t, client(t, Options{Credentials: signedInAs(firstToken)}), r)
			if fail.Kind != test.kind || fail.Retry != test.retry || fail.RetryAfter != test.after || fail.Status != test.status {
				t.Errorf("%+v", fail)
			}
			if n := len(s.requests()); n != test.sent {
				t.Errorf("%d requests, want %d", n, test.sent)
			}
			if want := strings.ReplaceAll(test.message, "URL", s.URL); want != "" && fail.Message != want {
				t.Errorf("message %q, want %q", fail.Message, want)
			}
			if strings.Contains(fail.Message+fail.Details, "query-secret") || strings.ContainsAny(fail.Message, "{<") {
				t.Error(fail.Message)
			}
			if !strings.Contains(test.header["Content-Encoding"], "br") && (fail.Limits == nil || fail.Limits.Primary.UsedPercent != 100) {
				t.Error("no limits")
			}
		})
	}
}

func TestErrorBodiesAreBounded(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		for range 64 { // 64 MiB, of which nobody wants more than the front
			if _, err := w.Write([]byte(strings.Repeat("x", 1<<20))); err != nil {
				return
			}
		}
	})
	if fail := mustFail(t, client(t, Options{Credentials: signedInAs(firstToken)}), s.request()); len(fail.Message) > 2*maxMessage {
		t.Errorf("%d bytes", len(fail.Message))
	}
	long := strings.Repeat("\u00e9", maxMessage)
	if got := tidy(long, redact.Redactor{}); len(got) > maxMessage+len("…") || !strings.HasSuffix(got, "\u00e9…") {
		t.Errorf("%d bytes, %q", len(got), got[len(got)-8:])
	}
	if got := tidy("a\x00b\r\nc", redact.Redactor{}); got != "a b  c" {
		t.Errorf("%q", got)
	}
}

// Whatever a backend echoes, no error may hold a secret.
func TestNoSecretInErrors(t *testing.T) {
	secrets := []string{firstToken, "header-secret", "environment-secret", "query-secret"}
	echo := strings.Join(secrets, " and ")
	for _, answer := range []func(w http.ResponseWriter){
		func(w http.ResponseWriter) { http.Error(w, echo, 400) },
		func(w http.ResponseWriter) { http.Error(w, `{"error":{"message":"`+echo+`"}}`, 500) },
		func(w http.ResponseWriter) { http.Error(w, `{"detail":"`+echo+`"}`, http.StatusUnauthorized) },
		func(w http.ResponseWriter) { w.Header().Set("X-Request-Id", echo); w.WriteHeader(404) },
		func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/"+firstToken); w.WriteHeader(200) },
		func(w http.ResponseWriter) {
			events(w, `{"type":"response.failed","response":{"error":{"code":"`+firstToken+`","message":"`+echo+`"}}}`)
		},
		func(w http.ResponseWriter) {
			events(w, `{"type":"response.incomplete","response":{"incomplete_details":{"reason":"`+echo+`"}}}`)
		},
		func(w http.ResponseWriter) { events(w, `{"type":"error","message":"`+echo+`"}`) },
	} {
		s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { answer(w) })
		l := signedInAs(firstToken)
		l.token.Recoverable = false
		r := s.request()
		r.Provider.Headers = map[string]string{"X-A": secrets[1]}
		r.Provider.EnvHeaders = map[string]string{"X-B": "B"}
		r.Provider.QueryParams = map[string]string{"q": secrets[3]}
		fail := mustFail(t, client(t, Options{Credentials: l, Getenv: func(string) string { return secrets[2] }}), r)
		all := fmt.Sprintf("%v %+v %#v %s %v", fail, *fail, *fail, fail.Details, fail.Err)
		for _, secret := range secrets {
			if strings.Contains(all, secret) {
				t.Errorf("%s in %s", secret, all)
			}
		}
	}
}
