package backend

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/redact"
)

// EventKind says which fields of an [Event] are filled.
type EventKind int

// Kinds of events, in the order in which a stream may send them.
const (
	// EventStarted: the headers are in. Limits, if the backend sent any.
	EventStarted EventKind = iota + 1
	// EventItemAdded: an output item begins. Item, ItemID, Index (output_index).
	EventItemAdded
	// EventItemDone: an output item is whole. Item, ItemID, Index.
	EventItemDone
	// EventTextDelta: a piece of a message. Delta, ItemID, Index (content_index).
	EventTextDelta
	// EventSummaryPartAdded: a part of a reasoning summary begins. ItemID, Index
	// (summary_index).
	EventSummaryPartAdded
	// EventSummaryDelta: a piece of it. Delta, ItemID, Index.
	EventSummaryDelta
	// EventReasoningDelta: a piece of the reasoning itself. Delta, ItemID, Index
	// (content_index).
	EventReasoningDelta
	// EventCompleted: the response is whole. Response. Nothing comes after it.
	EventCompleted
)

// Event is one step of a stream.
type Event struct {
	Kind EventKind
	// ItemID is the backend's id of the item; empty where it sent none.
	ItemID string
	Delta  string
	Index  int
	// Item is the output item as it came, valid JSON that is the caller's own.
	Item     jsontext.Value
	Response *Completed
	Limits   *RateLimits
}

// Completed is the end of a response.
type Completed struct {
	ID string
	// Usage is nil where the backend told none.
	Usage *Usage
}

// Usage counts tokens.
type Usage struct{ Input, CachedInput, Output, ReasoningOutput, Total int64 }

// deltaKind maps the events that come by the thousand.
func deltaKind(name string) EventKind {
	switch name {
	case "response.output_text.delta":
		return EventTextDelta
	case "response.reasoning_summary_text.delta":
		return EventSummaryDelta
	case "response.reasoning_text.delta":
		return EventReasoningDelta
	}
	return 0
}

// decodeEvent reads one event's data. Its kind is 0 for events that are
// unknown, of no interest or not readable; those are skipped. A failure that
// the event tells of comes as an error.
func decodeEvent(data string, secrets redact.Redactor, now time.Time) (Event, *Error) {
	if e, ok := decodeDelta(data); ok {
		return e, nil
	}
	return decodeAny(data, secrets, now)
}

// wireEvent holds the members that any event of interest has. They stay raw,
// so that a member of an unforeseen type costs that member and not the event.
type wireEvent struct {
	Type         jsontext.Value `json:"type"`
	Delta        jsontext.Value `json:"delta"`
	ItemID       jsontext.Value `json:"item_id"`
	OutputIndex  jsontext.Value `json:"output_index"`
	ContentIndex jsontext.Value `json:"content_index"`
	SummaryIndex jsontext.Value `json:"summary_index"`
	Item         jsontext.Value `json:"item"`
	Response     jsontext.Value `json:"response"`
	Error        jsontext.Value `json:"error"`
	Code         jsontext.Value `json:"code"`
	Message      jsontext.Value `json:"message"`
}

func decodeAny(data string, secrets redact.Redactor, now time.Time) (Event, *Error) {
	var w wireEvent
	if json.Unmarshal([]byte(data), &w, lenient) != nil {
		return Event{}, nil
	}
	name := text(w.Type)
	if kind := deltaKind(name); kind != 0 {
		if w.Delta.Kind() != '"' {
			return Event{}, nil
		}
		at := w.ContentIndex
		if kind == EventSummaryDelta {
			at = w.SummaryIndex
		}
		return Event{Kind: kind, ItemID: text(w.ItemID), Delta: text(w.Delta), Index: index(at)}, nil
	}
	switch name {
	case "response.output_item.added", "response.output_item.done":
		item := members(w.Item)
		if item == nil {
			return Event{}, nil
		}
		kind := EventItemAdded
		if name == "response.output_item.done" {
			kind = EventItemDone
		}
		return Event{Kind: kind, ItemID: text(item["id"]), Index: index(w.OutputIndex), Item: strict(w.Item)}, nil
	case "response.reasoning_summary_part.added":
		return Event{Kind: EventSummaryPartAdded, ItemID: text(w.ItemID), Index: index(w.SummaryIndex)}, nil
	case "response.completed", "response.done":
		return Event{Kind: EventCompleted, Response: completed(w.Response)}, nil
	case "response.failed":
		return Event{}, failedError(upstreamOf(members(members(w.Response)["error"])), secrets, now)
	case "response.incomplete":
		reason := text(members(members(w.Response)["incomplete_details"])["reason"])
		return Event{}, incompleteError(reason, secrets)
	case "error":
		up := upstreamOf(members(w.Error))
		if up.Code == "" && up.Message == "" {
			up = upstream{Code: text(w.Code), Message: text(w.Message)}
		}
		return Event{}, failedError(up, secrets, now)
	}
	return Event{}, nil
}

func index(v jsontext.Value) int {
	n := number(v)
	if n == nil || *n < 0 || *n > 1<<30 {
		return 0
	}
	return int(*n)
}

func completed(v jsontext.Value) *Completed {
	m := members(v)
	done := &Completed{ID: text(m["id"])}
	usage := members(m["usage"])
	if usage == nil {
		return done
	}
	count := func(v jsontext.Value) int64 {
		if n := number(v); n != nil {
			return max(*n, 0)
		}
		return 0
	}
	done.Usage = &Usage{
		Input:           count(usage["input_tokens"]),
		CachedInput:     count(members(usage["input_tokens_details"])["cached_tokens"]),
		Output:          count(usage["output_tokens"]),
		ReasoningOutput: count(members(usage["output_tokens_details"])["reasoning_tokens"]),
		Total:           count(usage["total_tokens"]),
	}
	if done.Usage.Total == 0 { // some gateways count only the parts
		done.Usage.Total = done.Usage.Input + done.Usage.Output
	}
	return done
}

// strict copies a value and replaces what is not valid Unicode in it, so that
// whoever decodes it later need not be lenient. Everything else stays as it
// came, duplicate names too.
func strict(v jsontext.Value) jsontext.Value {
	if v.IsValid(jsontext.AllowDuplicateNames(true)) {
		return v.Clone()
	}
	var out strings.Builder
	in := jsontext.NewDecoder(strings.NewReader(string(v)), lenient)
	enc := jsontext.NewEncoder(&out, jsontext.AllowDuplicateNames(true))
	for {
		var err error
		switch in.PeekKind() {
		case '"':
			var t jsontext.Token
			if t, err = in.ReadToken(); err == nil {
				err = enc.WriteToken(jsontext.String(t.String()))
			}
		case '0': // as a value, which keeps its digits
			var n jsontext.Value
			if n, err = in.ReadValue(); err == nil {
				err = enc.WriteValue(n)
			}
		default:
			var t jsontext.Token
			if t, err = in.ReadToken(); err == nil {
				err = enc.WriteToken(t)
			}
		}
		if err != nil { // the end: v was decoded before and is sound
			return jsontext.Value(strings.TrimSpace(out.String()))
		}
	}
}

// failedError is for a response that the backend itself calls failed.
func failedError(up upstream, secrets redact.Redactor, now time.Time) *Error {
	up.Message = tidy(up.Message, secrets)
	e := &Error{}
	if e.byCode(up, now) {
		return e
	}
	e.Kind, e.Retry, e.Message = KindStreamDisconnected, RetryStream, "The backend's response failed"
	if up.Message != "" {
		e.Message += ": " + up.Message
	}
	if up.Code == "rate_limit_exceeded" {
		e.Kind = KindTooManyRequests
		e.askPause(wordedPause(up.Message))
	}
	if up.Code != "" {
		e.Details = "code " + tidy(up.Code, secrets)
	}
	return e
}

func incompleteError(reason string, secrets redact.Redactor) *Error {
	e := &Error{Kind: KindIncomplete, Retry: RetryStream, Message: "The backend ended the response before it was complete"}
	if reason = tidy(reason, secrets); reason != "" {
		e.Message += ": " + reason
	}
	return e
}
