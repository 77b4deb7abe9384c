package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/fake"
)

// conversation is the parent's side of the talk.
type conversation struct {
	out    *printer
	tokens tokens
	turns  chan turn // finished turns; one slot, as turns run one at a time
	// agrees is whether commands that ask to run outside of the sandbox may.
	agrees bool
}

// turn is what the parent reads of a finished turn.
type turn struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// object is a JSON object to send.
type object = map[string]any

func newConversation(out *printer, t tokens) *conversation {
	return &conversation{out: out, tokens: t, turns: make(chan turn, 1)}
}

// options connect the conversation to the wire.
func (c *conversation) options() fake.ParentOptions {
	return fake.ParentOptions{
		Notification: c.notification,
		Requests: map[string]func(context.Context, jsontext.Value) (any, error){
			"account/chatgptAuthTokens/refresh":     c.refresh,
			"item/commandExecution/requestApproval": c.approve,
		},
	}
}

// refresh answers the server's question for new tokens. A real parent would ask
// its own identity service here; the server waits for 10 s.
func (c *conversation) refresh(context.Context, jsontext.Value) (any, error) {
	if c.tokens.next == c.tokens.first {
		return nil, &fake.RPCError{Code: -32000, Message: "the demo has only the one token it was given"}
	}
	c.out.note("the server asks for new tokens, and gets them")
	answer := object{"accessToken": c.tokens.next, "chatgptAccountId": c.tokens.account, "chatgptPlanType": nil}
	if c.tokens.plan != "" {
		answer["chatgptPlanType"] = c.tokens.plan
	}
	return answer, nil
}

// approve answers the server's question about a command. A real parent would
// ask its user here, who may take as long as it takes.
func (c *conversation) approve(_ context.Context, params jsontext.Value) (any, error) {
	var p struct {
		Command string `json:"command"`
		Reason  string `json:"reason"`
	}
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, err
	}
	decision := "decline"
	if c.agrees {
		decision = "acceptForSession"
	}
	c.out.note("%s asks: %s -> %s", p.Command, p.Reason, decision)
	return object{"decision": decision}, nil
}

func (c *conversation) notification(method string, params jsontext.Value) {
	var p struct {
		Delta string `json:"delta"`
		Item  struct {
			Type     string `json:"type"`
			Text     string `json:"text"`
			Command  string `json:"command"`
			ExitCode *int   `json:"exitCode"`
			Changes  []struct {
				Path string `json:"path"`
			} `json:"changes"`
		} `json:"item"`
		Turn turn `json:"turn"`
	}
	if json.Unmarshal(params, &p) != nil {
		return // a notification of another shape, which is none of ours
	}
	switch {
	case method == "item/completed" && p.Item.Type == "agentMessage":
		c.out.say("assistant", p.Item.Text)
	case method == "item/completed" && p.Item.Type == "commandExecution" && p.Item.ExitCode != nil:
		c.out.note("ran %s: exit code %d", p.Item.Command, *p.Item.ExitCode)
	case method == "item/completed" && p.Item.Type == "fileChange":
		for _, change := range p.Item.Changes {
			c.out.note("changed %s", change.Path)
		}
	case method == "turn/completed":
		select {
		case c.turns <- p.Turn:
		default: // nobody waits for it
		}
	}
}

// talk logs in, starts a thread, and runs a turn for each prompt.
func (c *conversation) talk(ctx context.Context, p *fake.Parent, o options) error {
	if err := p.Call(ctx, "initialize", object{
		"clientInfo":   object{"name": "app-server-demo", "title": "Demo", "version": "1.0.0"},
		"capabilities": object{"experimentalApi": true},
	}, nil); err != nil {
		return err
	}
	if err := p.Notify("initialized", nil); err != nil {
		return err
	}
	login := object{"type": "chatgptAuthTokens", "accessToken": c.tokens.first, "chatgptAccountId": c.tokens.account}
	if c.tokens.plan != "" {
		login["chatgptPlanType"] = c.tokens.plan
	}
	if err := p.Call(ctx, "account/login/start", login, nil); err != nil {
		return err
	}
	var started struct {
		Thread struct {
			ID string `json:"id"`
		} `json:"thread"`
	}
	if err := p.Call(ctx, "thread/start", object{"ephemeral": true}, &started); err != nil {
		return err
	}
	for _, prompt := range o.prompts {
		if err := c.turn(ctx, p, started.Thread.ID, prompt); err != nil {
			return err
		}
	}
	return nil
}

// turn asks one thing and waits for the end of the turn.
func (c *conversation) turn(ctx context.Context, p *fake.Parent, thread, prompt string) error {
	c.out.say("user", prompt)
	if err := p.Call(ctx, "turn/start", object{
		"threadId": thread, "input": []any{object{"type": "text", "text": prompt}},
	}, nil); err != nil {
		return err
	}
	select {
	case t := <-c.turns:
		switch {
		case t.Status == "completed":
			return nil
		case t.Error != nil:
			return fmt.Errorf("the turn ended as %s: %s", t.Status, t.Error.Message)
		}
		return fmt.Errorf("the turn ended as %s", t.Status)
	case <-p.Gone():
		return errors.New("the server ended in the middle of the turn")
	case <-ctx.Done():
		return fmt.Errorf("the turn did not end: %w", ctx.Err())
	}
}
