package backend

import (
	"cmp"
	"context"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/redact"
)

const (
	// usageTime bounds one request about the account, from sending to the last byte.
	usageTime = 10 * time.Second
	// maxUsageBody is far above what the answer needs.
	maxUsageBody = 1 << 20
	// defaultLimitID is the name of the limit that the plain headers are about.
	defaultLimitID = "codex"
)

// RateLimits is how much of a plan is used, as the backend tells it in headers
// or when asked.
type RateLimits struct {
	// LimitID is "codex" for the limits of the plan itself.
	LimitID string
	// LimitName is empty where the backend gave none.
	LimitName          string
	Primary, Secondary *Window
	Credits            *Credits
	// Plan is the backend's name of the plan, unknown ones included; empty where
	// it was not told (headers never do).
	Plan string
	// ReachedType names the limit that is reached, in the backend's word; empty
	// for none.
	ReachedType string
	// Additional are limits of single features, those of headers by their ids.
	Additional []RateLimits
}

// Window is one period of a limit.
type Window struct {
	UsedPercent float64
	// Minutes is the length, nil where it is not known.
	Minutes *int64
	// ResetsAt is in unix seconds, nil where it is not known.
	ResetsAt *int64
}

// Credits are what may be used beyond the plan.
type Credits struct {
	HasCredits, Unlimited bool
	// Balance is an amount as the backend writes it; empty where it was not told.
	Balance string
}

// limitsOf reads the x-codex headers, and those of further limits, which have a
// name of their own in the place of codex; nil where there are none.
func limitsOf(h http.Header, secrets redact.Redactor) *RateLimits {
	l := limitNamed(h, defaultLimitID, secrets)
	l.Credits = headerCredits(h, secrets)
	l.ReachedType = tidy(h.Get("X-Codex-Rate-Limit-Reached-Type"), secrets)
	for _, header := range slices.Sorted(maps.Keys(h)) {
		m := limitHeader.FindStringSubmatch(header)
		if m == nil || strings.EqualFold(m[1], defaultLimitID) {
			continue
		}
		name := strings.ToLower(m[1])
		if more := limitNamed(h, name, secrets); more.Primary != nil || more.Secondary != nil {
			more.Credits = l.Credits
			l.Additional = append(l.Additional, more)
		}
	}
	if l.Primary == nil && l.Secondary == nil && l.Credits == nil && l.LimitName == "" && l.Additional == nil {
		return nil
	}
	return &l
}

// limitHeader is the header that a limit is recognized by.
var limitHeader = regexp.MustCompile(`^X-(.+)-Primary-Used-Percent$`)

// limitNamed reads the headers of one limit. Names have hyphens, ids do not.
func limitNamed(h http.Header, name string, secrets redact.Redactor) RateLimits {
	return RateLimits{
		LimitID:   tidy(strings.ReplaceAll(name, "-", "_"), secrets),
		LimitName: tidy(h.Get("X-"+name+"-Limit-Name"), secrets),
		Primary:   headerWindow(h, "X-"+name+"-Primary"),
		Secondary: headerWindow(h, "X-"+name+"-Secondary"),
	}
}

func headerWindow(h http.Header, prefix string) *Window {
	used, err := strconv.ParseFloat(strings.TrimSpace(h.Get(prefix+"-Used-Percent")), 64)
	if err != nil || math.IsNaN(used) || math.IsInf(used, 0) {
		return nil
	}
	w := &Window{UsedPercent: used, Minutes: headerInt(h, prefix+"-Window-Minutes"), ResetsAt: headerInt(h, prefix+"-Reset-At")}
	if used == 0 && (w.Minutes == nil || *w.Minutes == 0) && w.ResetsAt == nil {
		return nil // how the backend says that there is no such window
	}
	return w
}

func headerInt(h http.Header, name string) *int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(h.Get(name)), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

func headerCredits(h http.Header, secrets redact.Redactor) *Credits {
	has, ok := headerBool(h, "X-Codex-Credits-Has-Credits")
	unlimited, ok2 := headerBool(h, "X-Codex-Credits-Unlimited")
	if !ok && !ok2 {
		return nil
	}
	return &Credits{HasCredits: has, Unlimited: unlimited, Balance: tidy(h.Get("X-Codex-Credits-Balance"), secrets)}
}

func headerBool(h http.Header, name string) (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(h.Get(name))) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

// Usage asks the backend how much of the plan is used. It is sent once, under
// the same 401 rule as a model request, and takes at most ten seconds a
// request. An empty base URL is the default. It needs a ChatGPT sign-in; the
// error is an *[Error].
func (c *Client) Usage(ctx context.Context, chatGPTBaseURL string) (*RateLimits, error) {
	l, fail := c.usage(ctx, c.accountCall(http.MethodGet, chatGPTBaseURL, "/usage"))
	if fail != nil {
		return nil, fail
	}
	return l, nil
}

func (c *Client) usage(ctx context.Context, k *call) (*RateLimits, *Error) {
	a, fail := c.exchange(ctx, k)
	if fail != nil {
		return nil, fail
	}
	defer a.close()
	k.secrets.Add(a.credential.token.Bearer)
	body, err := io.ReadAll(io.LimitReader(a.body, maxUsageBody+1))
	if err != nil {
		return nil, c.readError(ctx, k, a, err)
	}
	a.discard()
	m := members(body)
	if len(body) > maxUsageBody || m == nil {
		return nil, &Error{Kind: KindOther, Status: a.response.StatusCode, Message: "The backend's answer about usage cannot be read"}
	}
	return usageOf(m, k.secrets), nil
}

// accountCall prepares a question about the account, which only a ChatGPT sign-in
// has. An empty base URL is the default. ChatGPT's own backend and the others have
// such questions below different paths; as in the reference the base URL tells which
// one it is.
func (c *Client) accountCall(method, base, path string) *call {
	base = cmp.Or(base, defaultChatGPTBaseURL)
	k := &call{method: method, source: signedIn, patience: usageTime, wholly: usageTime, header: c.identityHeaders()}
	k.header.Set("Accept", "application/json")
	k.secrets.AddURL(base)
	below := "/api/codex"
	if strings.Contains(base, "/backend-api") {
		below = "/wham"
	}
	k.target = func(t Token) (*url.URL, *Error) {
		if !t.ChatGPT {
			return nil, &Error{Kind: KindNotSignedIn, Message: "This is for ChatGPT sign-ins only"}
		}
		return joinURL(base, below+path)
	}
	return k
}

// usageOf takes what it can read: an unknown plan or a limit of an unknown
// shape hides nothing else.
func usageOf(m map[string]jsontext.Value, secrets redact.Redactor) *RateLimits {
	l := limitOf(m["rate_limit"])
	l.LimitID, l.Plan = defaultLimitID, tidy(text(m["plan_type"]), secrets)
	l.ReachedType = tidy(cmp.Or(text(m["rate_limit_reached_type"]), text(members(m["rate_limit_reached_type"])["type"])), secrets)
	if c := members(m["credits"]); c != nil {
		balance := text(c["balance"])
		if c["balance"].Kind() == '0' {
			balance = c["balance"].String()
		}
		l.Credits = &Credits{HasCredits: c["has_credits"].Kind() == 't', Unlimited: c["unlimited"].Kind() == 't', Balance: tidy(balance, secrets)}
	}
	for _, v := range elements(m["additional_rate_limits"]) {
		extra := members(v)
		id, name := text(extra["metered_feature"]), text(extra["limit_name"])
		if id == "" && name == "" {
			continue
		}
		more := limitOf(extra["rate_limit"])
		more.LimitID, more.LimitName, more.Plan = tidy(cmp.Or(id, name), secrets), tidy(name, secrets), l.Plan
		l.Additional = append(l.Additional, more)
	}
	return &l
}

func limitOf(v jsontext.Value) RateLimits {
	m := members(v)
	return RateLimits{Primary: bodyWindow(m["primary_window"]), Secondary: bodyWindow(m["secondary_window"])}
}

func bodyWindow(v jsontext.Value) *Window {
	m := members(v)
	used := m["used_percent"]
	if used.Kind() != '0' {
		return nil
	}
	percent, err := strconv.ParseFloat(used.String(), 64)
	if err != nil {
		return nil
	}
	w := &Window{UsedPercent: percent, ResetsAt: number(m["reset_at"])}
	if s := number(m["limit_window_seconds"]); s != nil && *s > 0 {
		minutes := (*s + 59) / 60 // a part of a minute counts as one
		w.Minutes = &minutes
	}
	return w
}
