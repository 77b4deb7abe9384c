package rollout_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/rollout"
	"app-server/protocol"
)

// Example shows the life of a thread, and the order of its records.
func Example() {
	ctx := context.Background()
	home, err := os.MkdirTemp("", "home")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(home)
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}

	// thread/start
	store := rollout.New(home)
	const id = "01a21000-0000-7000-8000-000000000001"
	w, err := store.Create(rollout.Meta{
		ID: id, Created: time.Unix(1_800_000_000, 0), Cwd: "/home/user/project", Originator: "parent", CLIVersion: "1.0",
		ModelProvider: "openai",
	})
	check(err)

	// A turn. Its start comes before all else of it, its end after all else. What
	// the model is told and what it says are response items; what the parent sees
	// are items. An item is kept before the parent is told of its end.
	started, completed, took := int64(1_800_000_001), int64(1_800_000_002), int64(950)
	answer := "It is a Go module."
	turn := protocol.Turn{ID: "01a21000-0000-7000-8000-000000000002", StartedAt: &started, Status: protocol.TurnInProgress}
	check(w.Append(rollout.TurnStarted(&turn, nil, "")))
	check(w.Append(
		rollout.TurnContext(&rollout.Settings{
			TurnID: turn.ID, Cwd: "/home/user/project", Model: "gpt-5.2", Effort: protocol.EffortHigh,
			Approval: protocol.ApprovalPolicy{Mode: protocol.ApprovalOnRequest},
			Sandbox:  protocol.SandboxPolicy{Type: protocol.PolicyReadOnly},
		}),
		rollout.ResponseItem(jsontext.Value(`{"type":"message","role":"user","content":[{"type":"input_text","text":"What is this?"}]}`)),
		rollout.ItemCompleted(turn.ID, protocol.NewUserMessage("u1", []protocol.UserInput{{Type: protocol.InputText, Text: "What is this?"}})),
	))
	check(w.Append(
		rollout.ResponseItem(jsontext.Value(`{"type":"message","role":"assistant","content":[{"type":"output_text","text":"It is a Go module."}]}`)),
		rollout.ItemCompleted(turn.ID, protocol.NewAgentMessage("m1", answer, nil)),
		rollout.TokenUsage(&protocol.ThreadTokenUsage{Total: protocol.TokenUsage{TotalTokens: 12}}, nil),
	))
	turn.Status, turn.CompletedAt, turn.DurationMS = protocol.TurnCompleted, &completed, &took
	check(w.Append(rollout.TurnEnded(&turn, &answer)))
	check(store.SetName(id, "A module"))
	check(w.Close())

	// thread/list
	page, err := store.List(ctx, rollout.Query{Limit: 25})
	check(err)
	for _, e := range page.Entries {
		fmt.Println(*e.Name, "-", e.Preview)
	}

	// thread/resume, also by another process
	w, thread, err := store.Continue(ctx, id)
	check(err)
	history, err := thread.History(ctx)
	check(err)
	turns, err := thread.Turns(ctx, 0, thread.Len())
	check(err)
	fmt.Println(len(history), "items of history,", len(turns), "turn,", thread.Settings.Effort, "effort,", thread.Usage.Total.TotalTokens, "tokens")
	for _, it := range turns[0].Items {
		fmt.Println(it.ItemID())
	}

	// thread/rollback: read again for what is left
	check(w.Append(rollout.RolledBack(1)))
	thread, err = store.Read(ctx, id)
	check(err)
	fmt.Println(thread.Len(), "turns")
	check(w.Close())

	// Output:
	// A module - What is this?
	// 2 items of history, 1 turn, high effort, 12 tokens
	// u1
	// m1
	// 0 turns
}
