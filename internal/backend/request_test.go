package backend

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

func TestEncode(t *testing.T) {
	for name, test := range map[string]struct {
		request Request
		want    string
	}{
		"least": {
			Request{ThreadID: "t", Model: "m"},
			`{"model":"m","input":[],"tools":[],"tool_choice":"auto","parallel_tool_calls":false,"reasoning":null,"store":false,"stream":true,"include":[],"prompt_cache_key":"t"}`,
		},
		"everything": {
			Request{
				ThreadID: "t", Model: "m", Instructions: "Say \"hi\"\n<&>",
				// Duplicate names, odd spacing and escapes pass as they are.
				Input:             []jsontext.Value{jsontext.Value(`{"b": 1, "a":2,"a":3}`), jsontext.Value(`"\u00e9 1.0e5"`)},
				Tools:             []jsontext.Value{jsontext.Value(`{"z":1.50,"y":{}}`)},
				ParallelToolCalls: true,
				Reasoning:         &Reasoning{Effort: "high", Summary: "auto"},
				ServiceTier:       "fast", Verbosity: "low",
				OutputSchema: jsontext.Value(`{"type":"object", "type":"object"}`),
				Metadata:     map[string]string{"b": "2", "a": "1"},
			},
			`{"model":"m","instructions":"Say \"hi\"\n<&>","input":[{"b": 1, "a":2,"a":3},"\u00e9 1.0e5"],"tools":[{"z":1.50,"y":{}}],"tool_choice":"auto","parallel_tool_calls":true,"reasoning":{"effort":"high","summary":"auto"},"store":false,"stream":true,"include":["reasoning.encrypted_content"],"service_tier":"priority","prompt_cache_key":"t","text":{"verbosity":"low","format":{"type":"json_schema","name":"codex_output_schema","strict":true,"schema":{"type":"object", "type":"object"}}},"client_metadata":{"a":"1","b":"2"}}`,
		},
		"effort alone, other tier, verbosity alone": {
			Request{ThreadID: "t", Model: "m", Reasoning: &Reasoning{Effort: "low"}, ServiceTier: "flex", Verbosity: "high"},
			`{"model":"m","input":[],"tools":[],"tool_choice":"auto","parallel_tool_calls":false,"reasoning":{"effort":"low"},"store":false,"stream":true,"include":["reasoning.encrypted_content"],"service_tier":"flex","prompt_cache_key":"t","text":{"verbosity":"high"}}`,
		},
		"bytes that are not UTF-8": {
			Request{ThreadID: "t", Model: "m", Instructions: "a\xffb"},
			`{"model":"m","instructions":"a` + "\ufffd" + `b","input":[],"tools":[],"tool_choice":"auto","parallel_tool_calls":false,"reasoning":null,"store":false,"stream":true,"include":[],"prompt_cache_key":"t"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(test.request.encode())
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if !jsontext.Value(got).IsValid(jsontext.AllowDuplicateNames(true)) {
				t.Error("not JSON")
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Codex-Turn-State", "sticky-1")
		good(w)
	})
	env := map[string]string{"ORG": "org-of-env", "EMPTY": ""}
	c := client(t, Options{
		Credentials: signedInAs(firstToken),
		Identity:    func() Identity { return Identity{Originator: "parent", UserAgent: "parent/0.125.0 (x)"} },
		Getenv:      func(name string) string { return env[name] },
	})
	r := s.request()
	r.Turn = &TurnState{TurnID: "turn-1", Sandbox: "none"}
	r.Provider.Headers = map[string]string{"X-Team": "blue", "Bad Name": "x", "X-Bad": "a\r\nb", "Accept": "nothing", "Host": "elsewhere"}
	r.Provider.EnvHeaders = map[string]string{"X-Org": "ORG", "X-Empty": "EMPTY", "X-Unset": "UNSET"}
	r.Provider.QueryParams = map[string]string{"api-version": "2026 01", "a": "&"}
	mustComplete(t, c, r)
	mustComplete(t, c, r)                     // the same turn
	r.Turn = &TurnState{TurnID: "turn-2"}     // the next one
	mustComplete(t, c, r)                     //
	r.Turn, r.Provider.QueryParams = nil, nil // and none
	mustComplete(t, c, r)
	r.Turn, r.Subagent = &TurnState{TurnID: "turn-3"}, "review"
	mustComplete(t, c, r)

	all := s.requests()
	if all[0].Method != "POST" || all[0].Path != "/v1/responses" || all[0].Query != "a=%26&api-version=2026+01" || all[3].Query != "" {
		t.Errorf("%s %s?%s, then ?%s", all[0].Method, all[0].Path, all[0].Query, all[3].Query)
	}
	got := map[string]string{}
	for name := range all[0].Header {
		got[strings.ToLower(name)] = all[0].Header.Get(name)
	}
	delete(got, "content-length")
	want := map[string]string{
		"authorization": "Bearer " + firstToken, "chatgpt-account-id": "org-a", "originator": "parent", "user-agent": "parent/0.125.0 (x)",
		"accept": "text/event-stream", "content-type": "application/json", "session_id": "thread-1", "x-client-request-id": "thread-1",
		"x-codex-window-id": "thread-1:0", "x-team": "blue", "x-org": "org-of-env",
		"x-codex-turn-metadata": `{"session_id":"thread-1","thread_source":"user","turn_id":"turn-1","sandbox":"none"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var states []string
	for _, q := range all {
		states = append(states, q.Header.Get("X-Codex-Turn-State"))
	}
	if diff := cmp.Diff([]string{"", "sticky-1", "", "", ""}, states); diff != "" {
		t.Error("turn state:", diff)
	}
	subagent := []string{all[4].Header.Get("X-Openai-Subagent"), all[4].Header.Get("X-Codex-Turn-Metadata")}
	if diff := cmp.Diff([]string{"review", `{"session_id":"thread-1","thread_source":"subagent","turn_id":"turn-3"}`}, subagent); diff != "" {
		t.Error("subagent:", diff)
	}
}

func TestCredentialByProvider(t *testing.T) {
	apiKey := &login{token: Token{Bearer: protocol.NewSecret("sk-signed-in"), AccountID: "org-a"}}
	noAccount := signedInAs(firstToken)
	noAccount.token.AccountID = ""
	for name, test := range map[string]struct {
		provider         Provider
		login            *login
		bearer, account  string
		kind             ErrorKind
		nothingRequested bool
	}{
		"chatgpt":                     {Provider{RequiresAuth: true}, signedInAs(firstToken), "Bearer " + firstToken, "org-a", "", false},
		"chatgpt, account unknown":    {Provider{RequiresAuth: true}, noAccount, "Bearer " + firstToken, "", "", false},
		"api key":                     {Provider{RequiresAuth: true}, apiKey, "Bearer sk-signed-in", "", "", false},
		"built in":                    {Provider{OpenAI: true}, signedInAs(firstToken), "Bearer " + firstToken, "org-a", "", false},
		"no auth asked":               {Provider{}, signedInAs(firstToken), "", "", "", false},
		"environment key":             {Provider{EnvKey: "KEY", RequiresAuth: true}, signedInAs(firstToken), "Bearer key-of-env", "", "", false},
		"environment key first":       {Provider{EnvKey: "KEY", Bearer: protocol.NewSecret("other")}, nil, "Bearer key-of-env", "", "", false},
		"environment key not set":     {Provider{EnvKey: "UNSET", RequiresAuth: true}, signedInAs(firstToken), "", "", KindUnauthorized, true},
		"bearer of the configuration": {Provider{Bearer: protocol.NewSecret("configured"), RequiresAuth: true}, signedInAs(firstToken), "Bearer configured", "", "", false},
		"bearer unfit for a header":   {Provider{Bearer: protocol.NewSecret("a\nb")}, nil, "", "", KindUnauthorized, true},
		"nobody signed in":            {Provider{RequiresAuth: true}, &login{err: ErrNotSignedIn}, "", "", KindNotSignedIn, true},
		"No credentials at all":       {Provider{OpenAI: true}, nil, "", "", KindNotSignedIn, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { good(w) })
			o := Options{Getenv: func(n string) string { return map[string]string{"KEY": "key-of-env"}[n] }}
			if test.login != nil {
				o.Credentials = test.login
			}
			r := s.request()
			test.provider.BaseURL, test.provider.ID = r.Provider.BaseURL, "mock"
			r.Provider = test.provider
			_, fail := collect(t, client(t, o), t.Context(), r)
			var kind ErrorKind
			if fail != nil {
				kind = fail.Kind
				if fail.Retry != RetryNever {
					t.Error("worth a retry")
				}
			}
			if kind != test.kind {
				t.Errorf("kind %q, want %q", kind, test.kind)
			}
			all := s.requests()
			if test.nothingRequested {
				if len(all) != 0 {
					t.Error("a request was sent")
				}
				return
			}
			if got := all[0].Header.Get("Authorization"); got != test.bearer {
				t.Errorf("authorization %q", got)
			}
			if _, there := all[0].Header["Chatgpt-Account-Id"]; all[0].Header.Get("Chatgpt-Account-Id") != test.account || there != (test.account != "") {
				t.Errorf("account %q", all[0].Header.Get("Chatgpt-Account-Id"))
			}
		})
	}
}

func TestResponsesURL(t *testing.T) {
	chatGPT := Token{ChatGPT: true}
	for name, test := range map[string]struct {
		provider Provider
		token    Token
		want     string
	}{
		"api key":                {Provider{OpenAI: true}, Token{}, "https://api.openai.com/v1/responses"},
		"chatgpt":                {Provider{OpenAI: true}, chatGPT, "https://chatgpt.com/backend-api/codex/responses"},
		"chatgpt base":           {Provider{OpenAI: true, ChatGPTBaseURL: "http://h/backend-api/"}, chatGPT, "http://h/backend-api/codex/responses"},
		"chatgpt base, api key":  {Provider{OpenAI: true, ChatGPTBaseURL: "http://h/x"}, Token{}, "https://api.openai.com/v1/responses"},
		"override wins":          {Provider{OpenAI: true, BaseURL: "http://o/v1/"}, chatGPT, "http://o/v1/responses"},
		"custom without a base":  {Provider{}, Token{}, "https://api.openai.com/v1/responses"},
		"query of the base kept": {Provider{BaseURL: "http://o/v1?x=1", QueryParams: map[string]string{"y": "2"}}, Token{}, "http://o/v1/responses?x=1&y=2"},
		"no scheme":              {Provider{BaseURL: "o/v1"}, Token{}, ""},
		"other scheme":           {Provider{BaseURL: "file:///etc"}, Token{}, ""},
		"not a URL":              {Provider{BaseURL: "http://user:hidden-password@[::1"}, Token{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			u, fail := responsesURL(&test.provider, test.token)
			switch {
			case fail != nil:
				if test.want != "" || strings.Contains(fail.Message, "hidden") || fail.Retry != RetryNever {
					t.Error(fail)
				}
			case u.String() != test.want:
				t.Errorf("%s, want %s", u, test.want)
			}
		})
	}
}

func TestBasicAuthOfTheBaseURL(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	r := s.request()
	r.Provider = Provider{ID: "mock", BaseURL: strings.Replace(s.URL, "http://", "http://me:hidden-password@", 1) + "/v1"}
	fail := mustFail(t, client(t, Options{}), r)
	if got := s.requests()[0].Header.Get("Authorization"); !strings.HasPrefix(got, "Basic ") {
		t.Errorf("authorization %q", got)
	}
	if strings.Contains(fail.Message+fail.Details, "hidden") || !strings.Contains(fail.Message, s.URL+"/v1/responses") {
		t.Error(fail.Message)
	}
}

func BenchmarkEncode(b *testing.B) {
	item, err := json.Marshal(map[string]string{"type": "message", "text": strings.Repeat("words ", 1000)})
	if err != nil {
		b.Fatal(err)
	}
	r := Request{ThreadID: "t", Model: "m", Instructions: strings.Repeat("instructions ", 1500)}
	for range 200 {
		r.Input = append(r.Input, item)
	}
	b.SetBytes(int64(len(r.encode())))
	b.ReportAllocs()
	for b.Loop() {
		r.encode()
	}
}
