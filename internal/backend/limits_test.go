package backend

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"app-server/internal/redact"
)

func pointer(n int64) *int64 { return &n }

func TestLimitsOfHeaders(t *testing.T) {
	for name, test := range map[string]struct {
		headers string
		want    *RateLimits
	}{
		"none": {"", nil},
		"all": {"primary-used-percent: 42.5\nprimary-window-minutes: 300\nprimary-reset-at: 1795577551\nsecondary-used-percent: 5\ncredits-has-credits: true\ncredits-unlimited: False\ncredits-balance: 12.5\nlimit-name: special",
			&RateLimits{LimitID: "codex", LimitName: "special", Primary: &Window{42.5, pointer(300), pointer(1795577551)}, Secondary: &Window{UsedPercent: 5}, Credits: &Credits{HasCredits: true, Balance: "12.5"}}},
		"credits alone":       {"credits-has-credits: 0\ncredits-unlimited: 1", &RateLimits{LimitID: "codex", Credits: &Credits{Unlimited: true}}},
		"numbers that are no": {"primary-used-percent: NaN\nsecondary-used-percent: +Inf", nil},
		"odd parts":           {"primary-used-percent: 1\nprimary-window-minutes: soon\nprimary-reset-at: 1.5", &RateLimits{LimitID: "codex", Primary: &Window{UsedPercent: 1}}},
		"an empty window":     {"primary-used-percent: 3\nsecondary-used-percent: 0\nsecondary-window-minutes: 0", &RateLimits{LimitID: "codex", Primary: &Window{UsedPercent: 3}}},
		"further limits": {"primary-used-percent: 1\ncredits-has-credits: 1\nx-codex-zeta-primary-used-percent: 3\nx-codex-zeta-limit-name: Zeta\nx-Fox-primary-used-percent: 2\nx-none-primary-used-percent: 0\nx-half-secondary-used-percent: 5",
			&RateLimits{LimitID: "codex", Primary: &Window{UsedPercent: 1}, Credits: &Credits{HasCredits: true}, Additional: []RateLimits{
				{LimitID: "codex_zeta", LimitName: "Zeta", Primary: &Window{UsedPercent: 3}, Credits: &Credits{HasCredits: true}},
				{LimitID: "fox", Primary: &Window{UsedPercent: 2}, Credits: &Credits{HasCredits: true}}}}},
		"a fresh window": {"primary-used-percent: 0\nprimary-window-minutes: 300", &RateLimits{LimitID: "codex", Primary: &Window{0, pointer(300), nil}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			for line := range strings.Lines(test.headers) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				if !strings.HasPrefix(name, "x-") {
					name = "x-codex-" + name
				}
				h.Set(name, value)
			}
			if diff := cmp.Diff(test.want, limitsOf(h, redact.Redactor{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want RateLimits
	}{
		"pro": {`{"plan_type":"pro","rate_limit":{"allowed":true,"limit_reached":false,
			"primary_window":{"used_percent":42,"limit_window_seconds":18000,"reset_after_seconds":120,"reset_at":1795577551},
			"secondary_window":{"used_percent":5,"limit_window_seconds":604800,"reset_after_seconds":43200,"reset_at":1795577551}},"credits":null}`,
			RateLimits{LimitID: "codex", Plan: "pro", Primary: &Window{42, pointer(300), pointer(1795577551)}, Secondary: &Window{5, pointer(10080), pointer(1795577551)}}},
		"unknown plan and shapes": {`{"plan_type":"galactic","rate_limit":{"primary_window":{"used_percent":1.5,"limit_window_seconds":61},"secondary_window":7},"credits":{"has_credits":true,"unlimited":false,"balance":9.99},"new":[]}`,
			RateLimits{LimitID: "codex", Plan: "galactic", Primary: &Window{1.5, pointer(2), nil}, Credits: &Credits{HasCredits: true, Balance: "9.99"}}},
		"more limits": {`{"plan_type":"pro","rate_limit":null,"rate_limit_reached_type":{"type":"rate_limit_reached"},"additional_rate_limits":[{"limit_name":"Other","metered_feature":"codex_other","rate_limit":{"primary_window":{"used_percent":9}}},{},7]}`,
			RateLimits{LimitID: "codex", Plan: "pro", ReachedType: "rate_limit_reached", Additional: []RateLimits{{LimitID: "codex_other", LimitName: "Other", Plan: "pro", Primary: &Window{UsedPercent: 9}}}}},
		"nothing": {`{}`, RateLimits{LimitID: "codex"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(test.body)) })
			got, err := client(t, Options{Credentials: signedInAs(firstToken)}).Usage(t.Context(), s.URL+"/backend-api")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Error(diff)
			}
			if q := s.requests()[0]; q.Method != "GET" || q.Header.Get("Authorization") != "Bearer "+firstToken || q.Header.Get("Chatgpt-Account-Id") != "org-a" {
				t.Errorf("%+v", q)
			}
		})
	}
}

func TestUsageFails(t *testing.T) {
	apiKey := signedInAs(firstToken)
	apiKey.token.ChatGPT = false
	for name, test := range map[string]struct {
		login  *login
		status int
		body   string
		kind   ErrorKind
		sent   int
	}{
		"500 at once": {signedInAs(firstToken), 500, `{}`, KindServer, 1},
		"403":         {signedInAs(firstToken), 403, ``, KindOther, 1},
		"no JSON":     {signedInAs(firstToken), 200, `<html>`, KindOther, 1},
		"too big":     {signedInAs(firstToken), 200, `{"a":"` + strings.Repeat("x", maxUsageBody) + `"}`, KindOther, 1},
		"signed out":  {&login{err: ErrNotSignedIn}, 200, ``, KindNotSignedIn, 0},
		"api key":     {apiKey, 200, ``, KindNotSignedIn, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			_, err := client(t, Options{Credentials: test.login}).Usage(t.Context(), s.URL)
			var fail *Error
			if !errors.As(err, &fail) || fail.Kind != test.kind || len(s.requests()) != test.sent {
				t.Errorf("%v, %d requests", err, len(s.requests()))
			}
		})
	}
}
