package session

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/tools"
)

// This file is about items that no turn of this server has made: those that a
// parent gives, and those of stored threads, which other servers may have written.
// All of a conversation goes out with each request, so one item that the backend
// refuses would end the thread.

// itemShapes are the members that an item of each type must have, with the kinds
// of value that they may be; empty for any. Items of other types are kept for
// whoever knows them, and never sent.
var itemShapes = map[string]map[string]string{
	itemMessage:               {"role": `"`, "content": "["},
	itemReasoning:             {"summary": "["},
	itemFunction:              {"call_id": `"`, "name": `"`, "arguments": `"`},
	"function_call_output":    {"call_id": `"`, "output": `"[`},
	itemCustom:                {"call_id": `"`, "name": `"`, "input": `"`},
	"custom_tool_call_output": {"call_id": `"`, "output": `"[`},
	itemLocalShell:            {"action": "{", "status": `"`},
	itemToolSearch:            {"arguments": "", "execution": `"`},
	"tool_search_output":      {"execution": `"`, "status": `"`, "tools": "["},
	itemWebSearch:             {},
	itemImageGeneration:       {"result": `"`, "status": `"`},
	"compaction":              {"encrypted_content": `"`},
	"context_compaction":      {},
	"agent_message":           {"author": `"`, "content": "", "recipient": `"`},
	"additional_tools":        {"role": `"`, "tools": "["},
	"configuration_update":    {"reasoning": ""},
}

// partShapes are the member that a part of a message or an output must have.
var partShapes = map[string]string{"input_text": "text", "output_text": "text", "input_image": "image_url"}

// checkItems reports the first of a parent's items that does not have the shape of
// its type. name is what the list is called.
func checkItems(name string, items []jsontext.Value) error {
	for i, raw := range items {
		if err := checkItem(raw); err != nil {
			return fmt.Errorf("%s[%d] is no item: %w", name, i, err)
		}
	}
	return nil
}

func checkItem(raw jsontext.Value) error {
	var item map[string]jsontext.Value
	var kind string
	if json.Unmarshal(raw, &item, rawOptions) != nil || json.Unmarshal(item["type"], &kind, rawOptions) != nil || kind == "" {
		return errors.New("an object with a type is expected")
	}
	for member, kinds := range itemShapes[kind] {
		v := item[member]
		if v == nil || kinds != "" && !strings.ContainsRune(kinds, rune(v.Kind())) {
			return fmt.Errorf("its type needs a member %s, which is missing or of another kind", member)
		}
	}
	for _, member := range []string{"content", "output"} {
		if kind != itemMessage && member == "content" || item[member].Kind() != '[' {
			continue
		}
		if !partsFit(item[member]) {
			return fmt.Errorf("%s has a part of an unknown type, or one without its text or image_url", member)
		}
	}
	return nil
}

func partsFit(list jsontext.Value) bool {
	var parts []map[string]jsontext.Value
	if json.Unmarshal(list, &parts, rawOptions) != nil {
		return false
	}
	for _, p := range parts {
		var kind string
		if json.Unmarshal(p["type"], &kind, rawOptions) != nil || p[partShapes[kind]].Kind() != '"' {
			return false
		}
	}
	return true
}

// forBackend is an item as it goes out: some servers keep ids that the backend
// does not know again.
func forBackend(raw jsontext.Value) jsontext.Value {
	if !bytes.Contains(raw, []byte(`"id"`)) {
		return raw
	}
	if kind, _ := callOf(raw); kind == itemImageGeneration {
		return raw // is not taken without
	}
	return withoutID(raw)
}

// outputs are the types of the answers to calls.
var outputs = map[string]string{
	itemFunction: "function_call_output", itemLocalShell: "function_call_output",
	itemCustom: "custom_tool_call_output", itemToolSearch: "tool_search_output",
}

// callOf tells an item's type, and the call that it makes or answers.
func callOf(raw jsontext.Value) (kind, id string) {
	var it struct {
		Type   string `json:"type"`
		CallID string `json:"call_id"`
	}
	if json.Unmarshal(raw, &it, rawOptions) != nil {
		return "", ""
	}
	return it.Type, it.CallID
}

// pairing names the output that a call waits for, or that an item is.
type pairing struct{ output, id string }

// fitting leaves out of items what the backend would refuse after those of before:
// items of types that are not known, and outputs without their call.
func fitting(before, items []jsontext.Value) []jsontext.Value {
	calls := map[pairing]bool{}
	note := func(raw jsontext.Value) (kind, id string) {
		kind, id = callOf(raw)
		if o := outputs[kind]; o != "" {
			calls[pairing{o, id}] = true
		}
		return kind, id
	}
	var kept []jsontext.Value
	answers := map[int]pairing{} // of those kept
	for _, raw := range items {
		kind, id := note(raw)
		if _, known := itemShapes[kind]; !known {
			continue
		}
		if id != "" && strings.HasSuffix(kind, "_output") {
			answers[len(kept)] = pairing{kind, id}
		}
		kept = append(kept, raw)
	}
	if len(answers) == 0 {
		return kept
	}
	for _, raw := range before {
		note(raw)
	}
	i := -1
	return slices.DeleteFunc(kept, func(jsontext.Value) bool {
		i++
		a, is := answers[i]
		return is && !calls[a]
	})
}

// unanswered are outputs for the calls that have none, because the server was
// killed, or the parent gave none: the backend refuses a conversation with such a
// call. Of calls with one id, the first ones are those that were answered.
func unanswered(items []jsontext.Value) []jsontext.Value {
	var calls []waitingCall
	answers := map[pairing]int{}
	for _, raw := range items {
		kind, id := callOf(raw)
		switch {
		case id == "":
		case strings.HasSuffix(kind, "_output"):
			answers[pairing{kind, id}]++
		case kind == itemCustom:
			calls = append(calls, waitingCall{tools.Call{Kind: tools.CallCustom}, id})
		case kind == itemFunction || kind == itemLocalShell:
			calls = append(calls, waitingCall{source: id})
		}
	}
	var out []jsontext.Value
	for _, c := range calls {
		a := pairing{c.output(), c.source}
		if answers[a]--; answers[a] < 0 {
			out = append(out, outputItem(c, tools.Output{Text: "The call was aborted before it was done. It may have been carried out in part."}))
		}
	}
	return out
}
