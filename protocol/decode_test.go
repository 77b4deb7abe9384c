package protocol

import (
	"errors"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name, in string
		into     any
		want     string
	}{
		{"absent params", ``, new(ThreadReadParams), "Invalid request: params are missing"},
		{"null params", `null`, new(GetAccountParams), "Invalid request: params are missing"},
		{"params of another kind", `[]`, new(GetAccountParams), "Invalid request: params have a wrong type"},
		{"required member absent", `{}`, new(ThreadReadParams), "Invalid request: missing field `threadId`"},
		{"required member null", `{"threadId":null}`, new(ThreadReadParams), "Invalid request: missing field `threadId`"},
		{"required member of a member", `{"clientInfo":{"name":"x"}}`, new(InitializeParams), "Invalid request: missing field `clientInfo.version`"},
		{"the outer one is named before the inner", `{}`, new(InitializeParams), "Invalid request: missing field `clientInfo`"},
		{"names match by case", `{"threadID":"x"}`, new(ThreadReadParams), "Invalid request: missing field `threadId`"},
		{"wrong type", `{"threadId":7}`, new(ThreadReadParams), "Invalid request: field `threadId` has a wrong type or value"},
		{"wrong enum value", `{"sandbox":"zzz"}`, new(ThreadStartParams), "Invalid request: unknown value, expected one of `read-only`, `workspace-write`, `danger-full-access`"},
		{"enum of another kind", `{"sandbox":7}`, new(ThreadStartParams), "Invalid request: field `sandbox` has a wrong type or value"},
		{"enum of another case", `{"effort":"HIGH","threadId":"x","input":[]}`, new(TurnStartParams), "Invalid request: unknown value, expected one of `none`, `minimal`, `low`, `medium`, `high`, `xhigh`"},
		{"login without type", `{}`, new(LoginAccountParams), "Invalid request: missing field `type`"},
		{"login with a number as type", `{"type":1}`, new(LoginAccountParams), "Invalid request: field `type` has a wrong type or value"},
		{"api key absent", `{"type":"apiKey"}`, new(LoginAccountParams), "Invalid request: missing field `apiKey`"},
		{"api key of another kind", `{"type":"apiKey","apiKey":5}`, new(LoginAccountParams), "Invalid request: field `apiKey` has a wrong type or value"},
		{"external tokens without access token", `{"type":"chatgptAuthTokens","idToken":"x"}`, new(LoginAccountParams), "Invalid request: missing field `accessToken`"},
		{"external tokens without account", `{"type":"chatgptAuthTokens","accessToken":"x"}`, new(LoginAccountParams), "Invalid request: missing field `chatgptAccountId`"},
		{"input without type", `{"threadId":"x","input":[{"text":"a"}]}`, new(TurnStartParams), "Invalid request: missing field `input.type`"},
		{"input without text", `{"threadId":"x","input":[{"type":"text"}]}`, new(TurnStartParams), "Invalid request: missing field `input.text`"},
		{"sandbox policy of an unknown type", `{"threadId":"x","input":[],"sandboxPolicy":{"type":"open"}}`, new(TurnStartParams), "Invalid request: unknown value, expected one of `dangerFullAccess`, `readOnly`, `workspaceWrite`, `externalSandbox`"},
		{"read access that would not be enforced", `{"threadId":"x","input":[],"sandboxPolicy":{"type":"readOnly","access":{"type":"restricted"}}}`, new(TurnStartParams), "Invalid request: restricted read access is not supported by this server"},
		{"required member of an embedded struct", `{"value":1,"mergeStrategy":"replace"}`, new(ConfigValueWriteParams), "Invalid request: missing field `keyPath`"},
		{"edit without a value", `{"keyPath":"a","mergeStrategy":"replace"}`, new(ConfigValueWriteParams), "Invalid request: missing field `value`"},
		{"edit of a batch without a strategy", `{"edits":[{"keyPath":"a","value":null}]}`, new(ConfigBatchWriteParams), "Invalid request: missing field `edits.mergeStrategy`"},
		{"required member in a list", `{"edits":[{"keyPath":"a","value":1,"mergeStrategy":"upsert"},{"value":1,"mergeStrategy":"upsert"}]}`, new(ConfigBatchWriteParams), "Invalid request: missing field `edits.keyPath`"},
		{"required member in a map", `{"answers":{"a":{"answers":[]},"b":{}}}`, new(ToolRequestUserInputResponse), "Invalid request: missing field `answers.answers`"},
		{"granular policy without a member", `{"approvalPolicy":{"granular":{"rules":true}}}`, new(ThreadStartParams), "Invalid request: missing field `granular.sandbox_approval`"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Decode(jsontext.Value(c.in), c.into)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if e.Code != CodeInvalidRequest || e.Message != c.want {
				t.Errorf("got %d %q, want %q", e.Code, e.Message, c.want)
			}
		})
	}
}

func TestDecodeTakes(t *testing.T) {
	for _, c := range []struct {
		name, in string
		into     any
	}{
		{"no params where none are needed", ``, new(NoParams)},
		{"params where none are needed", `{"a":1}`, new(NoParams)},
		{"empty params", `{}`, new(GetAccountParams)},
		{"unknown members", `{"threadId":"x","someday":{"a":[1]}}`, new(ThreadReadParams)},
		{"duplicate names", `{"threadId":"x","threadId":"y"}`, new(ThreadReadParams)},
		{"nulls for optional members", `{"model":null,"cwd":null,"sandbox":null,"approvalPolicy":null,"config":null}`, new(ThreadStartParams)},
		{"opt outs that are null", `{"clientInfo":{"name":"x","version":"1"},"capabilities":{"optOutNotificationMethods":null}}`, new(InitializeParams)},
		{"a working directory as text", `{"cwd":"/x"}`, new(ThreadListParams)},
		{"working directories as list", `{"cwd":["/x","/y"]}`, new(ThreadListParams)},
		{"a policy that is only a type", `{"threadId":"x","input":[],"sandboxPolicy":{"type":"readOnly"}}`, new(TurnStartParams)},
		{"an external sandbox", `{"threadId":"x","input":[],"sandboxPolicy":{"type":"externalSandbox","networkAccess":"enabled"}}`, new(TurnStartParams)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := Decode(jsontext.Value(c.in), c.into); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestThreeStates(t *testing.T) {
	for in, want := range map[string]Optional[ServiceTier]{
		`{}`:                     {},
		`{"serviceTier":null}`:   Null[ServiceTier](),
		`{"serviceTier":"flex"}`: Some(TierFlex),
	} {
		var p ThreadStartParams
		if err := Decode(jsontext.Value(in), &p); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p.ServiceTier); diff != "" {
			t.Errorf("%s: %s", in, diff)
		}
	}
}

func TestEncoding(t *testing.T) {
	pro := PlanType("pro")
	mail := "u@example.com"
	mode := AuthModeAPIKey
	status := 401
	for _, c := range []struct {
		name string
		v    any
		want string
	}{
		{"logged out", GetAccountResponse{RequiresOpenAIAuth: true}, `{"account":null,"requiresOpenaiAuth":true}`},
		{"api key", GetAccountResponse{Account: &Account{Type: AccountAPIKey}}, `{"account":{"type":"apiKey"},"requiresOpenaiAuth":false}`},
		{"chatgpt", GetAccountResponse{Account: &Account{AccountChatGPT, &mail, &pro}}, `{"account":{"type":"chatgpt","email":"u@example.com","planType":"pro"},"requiresOpenaiAuth":false}`},
		{"login answer", LoginAccountResponse{Type: LoginChatGPTAuthTokens}, `{"type":"chatgptAuthTokens"}`},
		{"login completed", AccountLoginCompletedNotification{Success: true}, `{"loginId":null,"success":true,"error":null}`},
		{"account updated", AccountUpdatedNotification{AuthMode: &mode}, `{"authMode":"apikey","planType":null}`},
		{"refresh question", ChatgptAuthTokensRefreshParams{Reason: RefreshUnauthorized}, `{"reason":"unauthorized","previousAccountId":null}`},
		{"limits without numbers", AccountRateLimitsUpdatedNotification{}, `{"rateLimits":{"limitId":null,"limitName":null,"primary":null,"secondary":null,"credits":null,"planType":null,"rateLimitReachedType":null}}`},
		{"idle status", ThreadStatus{Type: StatusIdle}, `{"type":"idle"}`},
		{"active status", ThreadStatus{Type: StatusActive, ActiveFlags: []ThreadActiveFlag{}}, `{"type":"active","activeFlags":[]}`},
		{"full access", SandboxPolicy{Type: PolicyDangerFullAccess}, `{"type":"dangerFullAccess"}`},
		{"read only", SandboxPolicy{Type: PolicyReadOnly}, `{"type":"readOnly","access":{"type":"fullAccess"},"networkAccess":false}`},
		{"workspace", SandboxPolicy{Type: PolicyWorkspaceWrite}, `{"type":"workspaceWrite","writableRoots":[],"readOnlyAccess":{"type":"fullAccess"},"networkAccess":false,"excludeTmpdirEnvVar":false,"excludeSlashTmp":false}`},
		{"external sandbox", SandboxPolicy{Type: PolicyExternalSandbox, NetworkAccess: true}, `{"type":"externalSandbox","networkAccess":"enabled"}`},
		{"approval text", ApprovalPolicy{Mode: ApprovalNever}, `"never"`},
		{"approval object", ApprovalPolicy{Mode: ApprovalGranular, Granular: &GranularApproval{Rules: true}}, `{"granular":{"sandbox_approval":false,"rules":true,"skill_approval":false,"request_permissions":false,"mcp_elicitations":false}}`},
		{"plain failure", CodexErrorInfo{Kind: KindUnauthorized}, `"unauthorized"`},
		{"failure with status", CodexErrorInfo{Kind: KindResponseStreamDisconnected, HTTPStatus: &status}, `{"responseStreamDisconnected":{"httpStatusCode":401}}`},
		{"failure without status", CodexErrorInfo{Kind: KindHTTPConnectionFailed}, `{"httpConnectionFailed":{"httpStatusCode":null}}`},
		{"text input", UserInput{Type: InputText, Text: "<a & b>"}, `{"type":"text","text":"<a & b>","text_elements":[]}`},
		{"image input", UserInput{Type: InputImage, URL: "data:x"}, `{"type":"image","url":"data:x"}`},
		{"agent message", NewAgentMessage("m", "hi", nil), `{"type":"agentMessage","id":"m","text":"hi","phase":null,"memoryCitation":null}`},
		{"reasoning", NewReasoning("r", nil, nil), `{"type":"reasoning","id":"r","summary":[],"content":[]}`},
		{"search", NewWebSearch("w", "q", &WebSearchAction{Type: "search", Query: Some("q"), Queries: Null[[]string]()}), `{"type":"webSearch","id":"w","query":"q","action":{"type":"search","query":"q","queries":null}}`},
		{"turn in progress", Turn{ID: "t", Status: TurnInProgress}, `{"id":"t","items":[],"status":"inProgress","error":null,"startedAt":null,"completedAt":null,"durationMs":null}`},
		{"warning of a file", ConfigWarningNotification{Summary: "s", Range: &TextRange{Start: TextPosition{1, 2}}}, `{"summary":"s","details":null,"range":{"start":{"line":1,"column":2},"end":{"line":0,"column":0}}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := json.Marshal(c.v)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(b)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A union must survive its own encoding.
func TestRoundTrips(t *testing.T) {
	round := func(t *testing.T, v, into any) {
		t.Helper()
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
	}
	for _, p := range []SandboxPolicy{
		{Type: PolicyDangerFullAccess}, {Type: PolicyReadOnly, NetworkAccess: true},
		{Type: PolicyWorkspaceWrite, WritableRoots: []string{"/a"}, ExcludeSlashTmp: true},
		{Type: PolicyExternalSandbox, NetworkAccess: true},
	} {
		var got SandboxPolicy
		round(t, p, &got)
		if diff := cmp.Diff(p, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, p := range []ApprovalPolicy{{Mode: ApprovalUntrusted}, {Mode: ApprovalGranular, Granular: &GranularApproval{Rules: true}}} {
		var got ApprovalPolicy
		round(t, p, &got)
		if diff := cmp.Diff(p, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, u := range []UserInput{
		{Type: InputText, Text: "a", TextElements: []TextElement{}}, {Type: InputImage, URL: "u"},
		{Type: InputLocalImage, Path: "/p"}, {Type: InputSkill, Name: "n", Path: "/p"}, {Type: InputMention, Name: "n", Path: "/p"},
	} {
		var got UserInput
		round(t, u, &got)
		if diff := cmp.Diff(u, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestExperimentalUse(t *testing.T) {
	for in, want := range map[string]string{
		`{"type":"chatgptAuthTokens","accessToken":"a","chatgptAccountId":"o"}`: "account/login/start.chatgptAuthTokens",
		`{"type":"chatgptAuthTokens","accessToken":"a","idToken":"i"}`:          "",
		`{"type":"apiKey","apiKey":"k"}`:                                        "",
	} {
		var p LoginAccountParams
		if err := Decode(jsontext.Value(in), &p); err != nil {
			t.Fatal(err)
		}
		if got := p.ExperimentalUse(); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		`{"dynamicTools":[]}`:             "thread/start.dynamicTools",
		`{"dynamicTools":null}`:           "",
		`{"experimentalRawEvents":false}`: "",
		`{"experimentalRawEvents":true}`:  "thread/start.experimentalRawEvents",
		`{"environments":[]}`:             "thread/start.environments",
		`{"approvalPolicy":{"granular":{"sandbox_approval":true,"rules":true,"mcp_elicitations":true}}}`: "askForApproval.granular",
	} {
		var p ThreadStartParams
		if err := Decode(jsontext.Value(in), &p); err != nil {
			t.Fatal(err)
		}
		if got := p.ExperimentalUse(); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{}`, `{"threadId":"x","input":[{"type":"text","text":"a"}]}`, `{"clientInfo":{"name":"a","version":"1"}}`, `[1]`, `{"a":{"b":`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, into := range []any{new(InitializeParams), new(LoginAccountParams), new(ThreadStartParams), new(TurnStartParams), new(ThreadListParams)} {
			_ = Decode(b, into) // must not panic, whatever comes
		}
	})
}
