package tools

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// questionTool is request_user_input: the model asks the user. It is offered in
// each mode, so that a change of mode leaves the list of tools as it is, and
// answers outside of plan mode that it is not for there.
func questionTool() Tool {
	return Tool{Name: "request_user_input", Spec: questionSpec, Run: runQuestion}
}

// mayQuestion reports whether the user may be asked in this mode.
func (t *Turn) mayQuestion() bool {
	return t.Env.Mode == protocol.ModePlan || t.th.o.Features["default_mode_request_user_input"]
}

func questionSpec(*Turn) (jsontext.Value, bool) {
	option := objectSchema(map[string]any{
		"label":       textSchema("The answer in one to five words."),
		"description": textSchema("What follows from it, in one sentence."),
	}, "label", "description")
	question := objectSchema(map[string]any{
		"id":       textSchema("A short name for the question, of its own. The answer comes back under it."),
		"header":   textSchema("A title of at most 12 characters."),
		"question": textSchema("The question in one sentence."),
		"options":  listSchema("Two or three answers that exclude each other, the one you advise first. The user can always answer in own words, so leave that out.", option),
	}, "id", "header", "question", "options")
	return function("request_user_input", "Asks the user one to three short questions and waits for the answers. Only in plan mode.",
		objectSchema(map[string]any{"questions": listSchema("The questions.", question)}, "questions")), true
}

func runQuestion(ctx context.Context, t *Turn, c Call) Output {
	if !t.mayQuestion() {
		return say("request_user_input is for plan mode only. Decide yourself, or ask in your answer.")
	}
	var in struct {
		Questions []struct {
			ID       string                    `json:"id"`
			Header   string                    `json:"header"`
			Question string                    `json:"question"`
			IsSecret bool                      `json:"isSecret"`
			Options  []protocol.QuestionOption `json:"options"`
		} `json:"questions" required:"true"`
	}
	if bad, ok := arguments(c, &in); !ok {
		return bad
	}
	if len(in.Questions) == 0 {
		return say("There is no question. Send at least one.")
	}
	q := &protocol.ToolRequestUserInputParams{ThreadID: t.th.o.ID, TurnID: t.ID, ItemID: c.ID, IsBlocking: true}
	seen := map[string]bool{}
	for _, one := range in.Questions {
		switch {
		case one.ID == "" || one.Question == "":
			return say("Each question needs an id and a text.")
		case seen[one.ID]:
			return say(fmt.Sprintf("Two questions have the id %q. Give each one of its own.", one.ID))
		case len(one.Options) == 0:
			return say(fmt.Sprintf("The question %q has no options. Give each at least one.", one.ID))
		}
		seen[one.ID] = true
		q.Questions = append(q.Questions, protocol.UserQuestion{
			ID: one.ID, Header: one.Header, Question: one.Question, IsOther: true, IsSecret: one.IsSecret, Options: protocol.Some(one.Options),
		})
	}
	raw, err := t.Host.Ask(ctx, protocol.FlagWaitingOnUserInput, protocol.MethodItemToolRequestUserInput, q)
	var answer protocol.ToolRequestUserInputResponse
	switch {
	case err != nil && ctx.Err() != nil:
		return say(interrupted)
	case err != nil:
		return say("The user could not be asked.")
	case protocol.Decode(raw, &answer) != nil:
		return say("The question got no usable answer.")
	}
	// An answer to what was not asked would only confuse.
	for id := range answer.Answers {
		if !seen[id] {
			delete(answer.Answers, id)
		}
	}
	return say(string(encode(answer)))
}
