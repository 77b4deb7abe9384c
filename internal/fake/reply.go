package fake

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Reply is one scripted answer of a [Backend].
type Reply struct {
	Status   int         // 0 means 200
	Header   http.Header // added to the answer
	Encoding string      // "", "gzip" or "zstd"
	Steps    []Step      // what is written, in order
	When     When        // which requests it is for
	Always   bool        // serves any number of requests; else one
}

// When says which requests a [Reply] is for; all conditions must hold. With no
// Path the reply is for POST requests whose path ends in /responses.
type When struct {
	Method string
	Path   string // end of the path, without the query
	Bearer string // the token behind "Bearer "
	Body   string // a part of the decoded body
	Header map[string]string
}

// stepKind tells what a [Step] does.
type stepKind int

const (
	stepWrite stepKind = iota
	stepPause
	stepHold
	stepFlush
	stepCut
	stepKeep
)

// Step is one action while a reply is written.
type Step struct {
	kind stepKind
	text string // bytes to write, or the gate's name
	wait time.Duration
}

// Raw writes the bytes as they are.
func Raw(s string) Step { return Step{kind: stepWrite, text: s} }

// Pause waits for d.
func Pause(d time.Duration) Step { return Step{kind: stepPause, wait: d} }

// Hold waits until the gate is opened by [Backend.Open].
func Hold(gate string) Step { return Step{kind: stepHold, text: gate} }

// Flush sends the head of the answer although no byte of the body is written.
func Flush() Step { return Step{kind: stepFlush} }

// Cut breaks the connection; what was written before it arrives.
func Cut() Step { return Step{kind: stepCut} }

// KeepOpen leaves the connection open until the client goes away.
func KeepOpen() Step { return Step{kind: stepKeep} }

// Event writes one server-sent event. The data is JSON in one line; its type
// member names the event.
func Event(data []byte) Step {
	var text strings.Builder
	if o, ok := mustDecodeOr(data, nil).(map[string]any); ok {
		if name, ok := o["type"].(string); ok {
			text.WriteString("event: " + name + "\n")
		}
	}
	text.WriteString("data: ")
	text.Write(bytes.TrimSpace(data))
	text.WriteString("\n\n")
	return Raw(text.String())
}

func event(kind string, members map[string]any) Step {
	members["type"] = kind
	return Event(mustJSON(members))
}

// Created begins a response.
func Created(id string) Step {
	return event("response.created", map[string]any{"response": map[string]any{"id": id}})
}

// Usage are the token counts of a response.
type Usage struct{ Input, Cached, Output, Reasoning int64 }

// Completed ends a response.
func Completed(id string, u Usage) Step {
	return event("response.completed", map[string]any{"response": map[string]any{
		"id": id,
		"usage": map[string]any{
			"input_tokens": u.Input, "input_tokens_details": map[string]any{"cached_tokens": u.Cached},
			"output_tokens": u.Output, "output_tokens_details": map[string]any{"reasoning_tokens": u.Reasoning},
			"total_tokens": u.Input + u.Output,
		},
	}})
}

// MessageAdded opens an assistant message.
func MessageAdded(id string) Step {
	return event("response.output_item.added", map[string]any{"output_index": 0, "item": map[string]any{
		"type": "message", "role": "assistant", "id": id, "content": []any{}}})
}

// TextDelta streams a piece of the open message.
func TextDelta(id, text string) Step {
	return event("response.output_text.delta", map[string]any{
		"item_id": id, "output_index": 0, "content_index": 0, "delta": text})
}

// MessageDone closes a message with its full text.
func MessageDone(id, text string) Step {
	return event("response.output_item.done", map[string]any{"output_index": 0, "item": map[string]any{
		"type": "message", "role": "assistant", "id": id,
		"content": []any{map[string]any{"type": "output_text", "text": text}}}})
}

// FunctionCall is a call of a tool by the model; arguments are JSON.
func FunctionCall(callID, name, arguments string) Step {
	return event("response.output_item.done", map[string]any{"output_index": 0, "item": map[string]any{
		"type": "function_call", "call_id": callID, "name": name, "arguments": arguments}})
}

// CustomCall is a call of a custom tool by the model, with a free text.
func CustomCall(callID, name, input string) Step {
	return event("response.output_item.done", map[string]any{"output_index": 0, "item": map[string]any{
		"type": "custom_tool_call", "call_id": callID, "name": name, "input": input}})
}

// answerUsage is what an [Answer] claims to have cost.
var answerUsage = Usage{Input: 10, Output: 5}

// pieceWords is how many words of an [Answer] come in one piece.
const pieceWords = 4

// Answer is a whole response: created, one message streamed in pieces of a few
// words, and completed. n numbers the ids, resp-n and msg-n.
func Answer(n int, text string) []Step {
	response, message := "resp-"+strconv.Itoa(n), "msg-"+strconv.Itoa(n)
	steps := []Step{Created(response), MessageAdded(message)}
	for words := range slices.Chunk(strings.SplitAfter(text, " "), pieceWords) {
		steps = append(steps, TextDelta(message, strings.Join(words, "")))
	}
	return append(steps, MessageDone(message, text), Completed(response, answerUsage))
}

// Stream is a reply of status 200 with server-sent events.
func Stream(steps ...Step) Reply {
	return Reply{Header: http.Header{"Content-Type": {"text/event-stream"}}, Steps: steps}
}

// Status is a reply with a JSON body.
func Status(code int, body string) Reply {
	r := Reply{Status: code, Header: http.Header{"Content-Type": {"application/json"}}}
	if body != "" {
		r.Steps = []Step{Raw(body)}
	}
	return r
}
