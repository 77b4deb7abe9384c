package rollout

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// turnEnd is a turn without its items, as the wire tells it.
type turnEnd struct {
	ID          string              `json:"id"`
	Status      protocol.TurnStatus `json:"status"`
	Error       *wireError          `json:"error"`
	StartedAt   *int64              `json:"startedAt"`
	CompletedAt *int64              `json:"completedAt"`
	DurationMS  *int64              `json:"durationMs"`
}

// wireError is a [protocol.TurnError] whose kind has yet to be read.
type wireError struct {
	Message string         `json:"message"`
	Info    jsontext.Value `json:"codexErrorInfo"`
	Details *string        `json:"additionalDetails"`
}

func newTurnEnd(t *protocol.Turn) (*turnEnd, error) {
	e := &turnEnd{ID: t.ID, Status: t.Status, StartedAt: t.StartedAt, CompletedAt: t.CompletedAt, DurationMS: t.DurationMS}
	if t.Error == nil {
		return e, nil
	}
	info, err := json.Marshal(t.Error.CodexErrorInfo, lenient)
	if err != nil {
		return nil, fmt.Errorf("rollout: error kind of a turn: %w", err)
	}
	e.Error = &wireError{t.Error.Message, info, t.Error.AdditionalDetails}
	return e, nil
}

// turn is the turn, with no items yet.
func (e *turnEnd) turn() protocol.Turn {
	t := protocol.Turn{
		ID: e.ID, Items: []protocol.ThreadItem{}, Status: e.Status,
		StartedAt: e.StartedAt, CompletedAt: e.CompletedAt, DurationMS: e.DurationMS,
	}
	if e.Error != nil {
		t.Error = &protocol.TurnError{Message: e.Error.Message, CodexErrorInfo: readErrorInfo(e.Error.Info), AdditionalDetails: e.Error.Details}
	}
	return t
}

// snakeErrorInfo turns the wire's form of an error kind into that of the files:
// the same names, written apart.
func snakeErrorInfo(info jsontext.Value) (jsontext.Value, error) {
	switch info.Kind() {
	case '"':
		var kind string
		if err := json.Unmarshal(info, &kind, lenient); err != nil {
			return nil, fmt.Errorf("rollout: error kind: %w", err)
		}
		return quoted(snakeCase(kind)), nil
	case '{':
		var one map[string]map[string]jsontext.Value
		if err := json.Unmarshal(info, &one, lenient); err != nil {
			return nil, fmt.Errorf("rollout: error kind: %w", err)
		}
		out := map[string]map[string]jsontext.Value{}
		for kind, members := range one {
			apart := map[string]jsontext.Value{}
			for name, v := range members {
				apart[snakeCase(name)] = v
			}
			out[snakeCase(kind)] = apart
		}
		return json.Marshal(out, json.Deterministic(true))
	}
	return jsontext.Value("null"), nil
}

// readErrorInfo reads an error kind in either form; nil where there is none.
func readErrorInfo(info jsontext.Value) *protocol.CodexErrorInfo {
	switch info.Kind() {
	case '"':
		var kind string
		if json.Unmarshal(info, &kind, lenient) == nil {
			return &protocol.CodexErrorInfo{Kind: protocol.ErrorKind(camelCase(kind))}
		}
	case '{':
		var one map[string]struct {
			Status      *int   `json:"httpStatusCode"`
			SnakeStatus *int   `json:"http_status_code"`
			Kind        string `json:"turnKind"`
			SnakeKind   string `json:"turn_kind"`
		}
		if json.Unmarshal(info, &one, lenient) != nil {
			return nil
		}
		for kind, m := range one {
			i := &protocol.CodexErrorInfo{Kind: protocol.ErrorKind(camelCase(kind)), HTTPStatus: m.Status, TurnKind: m.Kind + m.SnakeKind}
			if i.HTTPStatus == nil {
				i.HTTPStatus = m.SnakeStatus
			}
			return i
		}
	}
	return nil
}
