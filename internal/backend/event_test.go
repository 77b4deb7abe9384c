package backend

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"app-server/internal/redact"
)

func TestDecodeEvent(t *testing.T) {
	for name, test := range map[string]struct {
		data string
		want Event
	}{
		"text delta":           {deltaEvent, Event{Kind: EventTextDelta, ItemID: "msg-1", Delta: " w00001"}},
		"text delta, bare":     {`{"type":"response.output_text.delta","delta":"x"}`, Event{Kind: EventTextDelta, Delta: "x"}},
		"type last":            {` { "delta" : "x" , "content_index": 3, "type" : "response.output_text.delta" } `, Event{Kind: EventTextDelta, Delta: "x", Index: 3}},
		"escapes":              {`{"type":"response.output_text.delta","delta":"a\n\"\u00e9\ud83d\ude00"}`, Event{Kind: EventTextDelta, Delta: "a\n\"é😀"}},
		"half an emoji":        {`{"type":"response.output_text.delta","delta":"cut \ud83d"}`, Event{Kind: EventTextDelta, Delta: "cut \ufffd"}},
		"bad UTF-8":            {"{\"type\":\"response.output_text.delta\",\"delta\":\"a\xff\"}", Event{Kind: EventTextDelta, Delta: "a\ufffd"}},
		"nested member":        {`{"type":"response.output_text.delta","delta":"x","logprobs":[{"token":"x"}]}`, Event{Kind: EventTextDelta, Delta: "x"}},
		"duplicate names":      {`{"type":"response.output_text.delta","delta":"x","delta":"y"}`, Event{Kind: EventTextDelta, Delta: "y"}},
		"null item id":         {`{"type":"response.output_text.delta","item_id":null,"delta":"x"}`, Event{Kind: EventTextDelta, Delta: "x"}},
		"summary delta":        {`{"type":"response.reasoning_summary_text.delta","item_id":"r","summary_index":2,"delta":"x"}`, Event{Kind: EventSummaryDelta, ItemID: "r", Delta: "x", Index: 2}},
		"reasoning delta":      {`{"type":"response.reasoning_text.delta","item_id":"r","content_index":1,"delta":"x"}`, Event{Kind: EventReasoningDelta, ItemID: "r", Delta: "x", Index: 1}},
		"summary part":         {`{"type":"response.reasoning_summary_part.added","item_id":"r","summary_index":1,"part":{}}`, Event{Kind: EventSummaryPartAdded, ItemID: "r", Index: 1}},
		"item added":           {`{"type":"response.output_item.added","output_index":1,"item":{"id":"m","b":1,"a":2}}`, Event{Kind: EventItemAdded, ItemID: "m", Index: 1, Item: jsontext.Value(`{"id":"m","b":1,"a":2}`)}},
		"item done":            {`{"type":"response.output_item.done","item":{"type":"x", "type":"y","n":1.50}}`, Event{Kind: EventItemDone, Item: jsontext.Value(`{"type":"x", "type":"y","n":1.50}`)}},
		"item with half emoji": {`{"type":"response.output_item.done","item":{"t":["\ud83d",1.50,true],"n":null}}`, Event{Kind: EventItemDone, Item: jsontext.Value("{\"t\":[\"\ufffd\",1.50,true],\"n\":null}")}},
		"completed":            {doneEvent, Event{Kind: EventCompleted, Response: &Completed{ID: "resp-1", Usage: &Usage{10, 4, 5, 2, 15}}}},
		"completed, no details": {`{"type":"response.completed","response":{"id":"r","usage":{"input_tokens":1,"input_tokens_details":null,"output_tokens":2,"output_tokens_details":null,"total_tokens":3}}}`,
			Event{Kind: EventCompleted, Response: &Completed{ID: "r", Usage: &Usage{Input: 1, Output: 2, Total: 3}}}},
		"completed, no usage":  {`{"type":"response.completed","response":{"id":"r","usage":null}}`, Event{Kind: EventCompleted, Response: &Completed{ID: "r"}}},
		"completed, bare":      {`{"type":"response.completed"}`, Event{Kind: EventCompleted, Response: &Completed{}}},
		"unknown":              {`{"type":"response.future","delta":{}}`, Event{}},
		"created":              {`{"type":"response.created","response":{"id":"r"}}`, Event{}},
		"arguments delta":      {`{"type":"response.function_call_arguments.delta","delta":"{"}`, Event{}},
		"delta of other type":  {`{"type":"response.output_text.delta","delta":{"a":1}}`, Event{}},
		"item that is no item": {`{"type":"response.output_item.done","item":"x"}`, Event{}},
		"no type":              {`{"delta":"x"}`, Event{}},
		"type of other type":   {`{"type":7}`, Event{}},
		"no object":            {`[DONE]`, Event{}},
		"array":                {`[]`, Event{}},
		"broken":               {`{"type":"response.output_text.delta","delta":"x"`, Event{}},
		"broken member":        {`{"type":"response.output_text.delta","delta":"x","n":01}`, Event{}},
		"more after the end":   {`{"type":"response.output_text.delta","delta":"x"} 1`, Event{}},
		"control character":    {"{\"type\":\"response.output_text.delta\",\"delta\":\"a\x01\"}", Event{}},
		"empty":                {``, Event{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, fail := decodeEvent(test.data, redact.Redactor{}, time.Time{})
			if fail != nil {
				t.Fatal(fail)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeFailures(t *testing.T) {
	failed := func(code, message string) string {
		return `{"type":"response.failed","response":{"id":"r","error":{"code":"` + code + `","message":"` + message + `"}}}`
	}
	for name, test := range map[string]struct {
		data string
		want Error
	}{
		"context length":  {failed("context_length_exceeded", "too long"), Error{Kind: KindContextWindow, Message: "The conversation does not fit into the model's context window: too long"}},
		"quota":           {failed("insufficient_quota", ""), Error{Kind: KindUsageLimit, Message: "The quota of this account is used up"}},
		"usage limit":     {`{"type":"response.failed","response":{"error":{"code":"usage_limit_reached","resets_at":60}}}`, Error{Kind: KindUsageLimit, Message: "The usage limit is reached; it resets at 1970-01-01 00:01 UTC (in 1m)"}},
		"overloaded":      {failed("server_is_overloaded", ""), Error{Kind: KindOverloaded, Message: "The model has no capacity left at the moment"}},
		"slow down":       {failed("slow_down", ""), Error{Kind: KindOverloaded, Message: "The model has no capacity left at the moment"}},
		"invalid prompt":  {failed("invalid_prompt", "no"), Error{Kind: KindInvalidPrompt, Message: "The backend refused the prompt: no"}},
		"rate limit":      {failed("rate_limit_exceeded", "Please try again in 2s."), Error{Kind: KindTooManyRequests, Retry: RetryStream, RetryAfter: 2 * time.Second, Message: "The backend's response failed: Please try again in 2s.", Details: "code rate_limit_exceeded"}},
		"other":           {failed("server_error", "MARKER-7"), Error{Kind: KindStreamDisconnected, Retry: RetryStream, Message: "The backend's response failed: MARKER-7", Details: "code server_error"}},
		"without a word":  {`{"type":"response.failed"}`, Error{Kind: KindStreamDisconnected, Retry: RetryStream, Message: "The backend's response failed"}},
		"error event":     {`{"type":"error","code":"x","message":"m"}`, Error{Kind: KindStreamDisconnected, Retry: RetryStream, Message: "The backend's response failed: m", Details: "code x"}},
		"error, nested":   {`{"type":"error","error":{"code":"insufficient_quota"}}`, Error{Kind: KindUsageLimit, Message: "The quota of this account is used up"}},
		"incomplete":      {`{"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}`, Error{Kind: KindIncomplete, Retry: RetryStream, Message: "The backend ended the response before it was complete: max_output_tokens"}},
		"incomplete, why": {`{"type":"response.incomplete"}`, Error{Kind: KindIncomplete, Retry: RetryStream, Message: "The backend ended the response before it was complete"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, fail := decodeEvent(test.data, redact.Redactor{}, time.Unix(0, 0))
			if fail == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(test.want, *fail, cmpopts.IgnoreUnexported(Error{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzDecodeEvent: no input breaks the decoder, what it gives is valid, and the
// quick way for deltas agrees with the thorough one.
func FuzzDecodeEvent(f *testing.F) {
	for _, seed := range []string{deltaEvent, doneEvent, `{"type":"response.output_text.delta","delta":"\ud83d\n","x":[],"y":{},"z":-0,"content_index":3}`,
		`{"type":"response.output_item.done","item":{"a":"\ud83d"}}`, `{"type":"response.failed","response":{"error":{"code":"x"}}}`, `{"type":"error","message":"m"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		now := time.Unix(0, 0)
		e, fail := decodeEvent(data, redact.Redactor{}, now)
		if fail != nil {
			if e.Kind != 0 || fail.Kind == "" || fail.Message == "" {
				t.Fatalf("%+v with %+v", fail, e)
			}
			return
		}
		if !utf8.ValidString(e.Delta) || !utf8.ValidString(e.ItemID) {
			t.Fatalf("%+v is not UTF-8", e)
		}
		if e.Item != nil && !e.Item.IsValid(jsontext.AllowDuplicateNames(true)) {
			t.Fatalf("item %q", e.Item)
		}
		if quick, ok := decodeDelta(data); ok {
			thorough, fail := decodeAny(data, redact.Redactor{}, now)
			if fail != nil || !cmp.Equal(quick, thorough) {
				t.Fatalf("quick %+v, thorough %+v, %v", quick, thorough, fail)
			}
		}
	})
}

func TestEventReaderIsLinear(t *testing.T) {
	// 8 MiB in pieces of 1 KiB: read after read would be 32 GiB of searching.
	pieces := &piecemeal{data: "data: " + strings.Repeat("x", 8<<20) + "\n\n", size: 1 << 10}
	r := &eventReader{r: pieces}
	buffer := make([]byte, 64<<10)
	reads, total := 0, 0
	for {
		n, err := r.Read(buffer)
		total += n
		if err != nil {
			break
		}
		reads++
	}
	if total != 8<<20+8 || reads > 8<<20/(64<<10)+2 {
		t.Errorf("%d reads for %d bytes", reads, total)
	}
}

// piecemeal gives its data in pieces of one size.
type piecemeal struct {
	data string
	size int
}

var errPiecesOver = errors.New("no more pieces")

func (p *piecemeal) Read(b []byte) (int, error) {
	if p.data == "" {
		return 0, errPiecesOver
	}
	n := copy(b[:min(len(b), p.size)], p.data)
	p.data = p.data[n:]
	return n, nil
}

func BenchmarkDecodeDelta(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if e, _ := decodeEvent(deltaEvent, redact.Redactor{}, time.Time{}); e.Kind != EventTextDelta {
			b.Fatal(e)
		}
	}
}
