package rollout

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// ResponseItem is an item of the model's history, as it goes to the backend.
func ResponseItem(raw jsontext.Value) Record { return one(lineResponse, raw) }

// TurnStarted says that a turn has begun. It comes before all else of the turn:
// a rollback to this turn forgets what follows. contextWindow is that of the
// model, or nil; mode is the collaboration mode, or empty for the default.
func TurnStarted(turn *protocol.Turn, contextWindow *int64, mode protocol.ModeKind) Record {
	if mode == "" {
		mode = protocol.ModeDefault
	}
	e := &startedEvent{"task_started", turn.ID, turn.StartedAt, contextWindow, mode}
	return Record{lines: []line{{kind: lineEvent, payload: e, extra: &extra{TurnID: turn.ID}}}}
}

// TurnEnded says how a turn has ended. Of turn all but the items is kept;
// lastMessage is the last agent message, or nil.
func TurnEnded(turn *protocol.Turn, lastMessage *string) Record {
	var r Record
	end, err := newTurnEnd(turn)
	if err != nil {
		return Record{err: err}
	}
	last := line{kind: lineEvent, extra: &extra{Turn: end}}
	if turn.Status == protocol.TurnInterrupted {
		last.payload = &abortedEvent{"turn_aborted", turn.ID, "interrupted", turn.CompletedAt, turn.DurationMS}
	} else {
		e := &completeEvent{Type: "task_complete", TurnID: turn.ID, Last: lastMessage, CompletedAt: turn.CompletedAt, DurationMS: turn.DurationMS}
		if turn.Error != nil {
			info, err := snakeErrorInfo(end.Error.Info)
			if err != nil {
				return Record{err: err}
			}
			// The reference 0.125.0 reads the event, 0.169.0 the member.
			e.Error = &turnError{turn.Error.Message, info}
			r.lines = append(r.lines, line{kind: lineEvent, payload: &errorEvent{"error", turn.Error.Message, info}})
		}
		last.payload = e
	}
	r.lines = append(r.lines, last)
	return r
}

// RateLimits are the limits of the account in the form of the files. The server
// itself does not read them; programs that show a thread's file do.
type RateLimits struct {
	LimitID     *string            `json:"limit_id"`
	LimitName   *string            `json:"limit_name"`
	Primary     *RateWindow        `json:"primary"`
	Secondary   *RateWindow        `json:"secondary"`
	Credits     *Credits           `json:"credits"`
	PlanType    *protocol.PlanType `json:"plan_type"`
	ReachedType *string            `json:"rate_limit_reached_type"`
}

// RateWindow is one period of a limit.
type RateWindow struct {
	UsedPercent float64 `json:"used_percent"`
	Minutes     *int64  `json:"window_minutes"`
	ResetsAt    *int64  `json:"resets_at"`
}

// Credits are what may be used beyond the limits.
type Credits struct {
	HasCredits bool    `json:"has_credits"`
	Unlimited  bool    `json:"unlimited"`
	Balance    *string `json:"balance"`
}

// TokenUsage is how many tokens were used. limits are the last ones told, or nil.
func TokenUsage(u *protocol.ThreadTokenUsage, limits *RateLimits) Record {
	e := &tokenEvent{Type: "token_count", Limits: limits}
	if u != nil {
		e.Info = &tokenInfo{snakeUsage(u.Total), snakeUsage(u.Last), u.ModelContextWindow}
	}
	return one(lineEvent, e)
}

// Compacted says that the history so far has become replacement. message is the
// summary.
func Compacted(message string, replacement []jsontext.Value) Record {
	return one(lineCompact, &compactedLine{message, replacement})
}

// RolledBack says that the last turns were taken away, and all of the history
// since the first of them began.
func RolledBack(turns int) Record {
	return one(lineEvent, &rolledBackEvent{"thread_rolled_back", turns})
}

// Named says that the thread has a name. It repeats what [Store.SetName] keeps,
// for a thread whose writer one has.
func Named(name string) Record {
	return one(lineEvent, &namedEvent{Type: "thread_name_updated", Name: name})
}

type startedEvent struct {
	Type          string            `json:"type"`
	TurnID        string            `json:"turn_id"`
	StartedAt     *int64            `json:"started_at"`
	ContextWindow *int64            `json:"model_context_window"`
	Mode          protocol.ModeKind `json:"collaboration_mode_kind"`
}

type abortedEvent struct {
	Type        string `json:"type"`
	TurnID      string `json:"turn_id"`
	Reason      string `json:"reason"`
	CompletedAt *int64 `json:"completed_at"`
	DurationMS  *int64 `json:"duration_ms"`
}

type completeEvent struct {
	Type        string     `json:"type"`
	TurnID      string     `json:"turn_id"`
	Last        *string    `json:"last_agent_message"`
	Error       *turnError `json:"error,omitzero"`
	CompletedAt *int64     `json:"completed_at"`
	DurationMS  *int64     `json:"duration_ms"`
}

type turnError struct {
	Message string         `json:"message"`
	Info    jsontext.Value `json:"codex_error_info"`
}

type errorEvent struct {
	Type    string         `json:"type"`
	Message string         `json:"message"`
	Info    jsontext.Value `json:"codex_error_info"`
}

type tokenEvent struct {
	Type   string      `json:"type"`
	Info   *tokenInfo  `json:"info"`
	Limits *RateLimits `json:"rate_limits"`
}

type tokenInfo struct {
	Total  usage  `json:"total_token_usage"`
	Last   usage  `json:"last_token_usage"`
	Window *int64 `json:"model_context_window"`
}

type usage struct {
	Input     int64 `json:"input_tokens"`
	Cached    int64 `json:"cached_input_tokens"`
	Output    int64 `json:"output_tokens"`
	Reasoning int64 `json:"reasoning_output_tokens"`
	Total     int64 `json:"total_tokens"`
}

func snakeUsage(u protocol.TokenUsage) usage {
	return usage{u.InputTokens, u.CachedInputTokens, u.OutputTokens, u.ReasoningOutputTokens, u.TotalTokens}
}

func (u usage) protocol() protocol.TokenUsage {
	return protocol.TokenUsage{
		TotalTokens: u.Total, InputTokens: u.Input, CachedInputTokens: u.Cached,
		OutputTokens: u.Output, ReasoningOutputTokens: u.Reasoning,
	}
}

type compactedLine struct {
	Message     string           `json:"message"`
	Replacement []jsontext.Value `json:"replacement_history"`
}

type rolledBackEvent struct {
	Type  string `json:"type"`
	Turns int    `json:"num_turns"`
}

type namedEvent struct {
	Type     string `json:"type"`
	ThreadID string `json:"thread_id"`
	Name     string `json:"thread_name"`
}

func (e *namedEvent) bind(threadID string) any {
	return &namedEvent{e.Type, threadID, e.Name}
}

// snakeCase and camelCase change the case of the names that both forms share.
func snakeCase(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

func camelCase(s string) string {
	var b strings.Builder
	up := false
	for i, c := range s {
		switch {
		case c == '_':
			up = i > 0
			continue
		case up && c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		}
		up = false
		b.WriteRune(c)
	}
	return b.String()
}

// millis is a duration in the form of the reference.
type millis struct {
	Secs  int64 `json:"secs"`
	Nanos int64 `json:"nanos"`
}

func newMillis(ms *int64) millis {
	if ms == nil {
		return millis{}
	}
	return millis{*ms / 1000, *ms % 1000 * 1_000_000}
}

func (m *millis) ms() *int64 {
	if m == nil {
		return nil
	}
	v := m.Secs*1000 + m.Nanos/1_000_000
	return &v
}

func quoted(s string) jsontext.Value {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		return jsontext.Value(`""`)
	}
	return b
}
