package tools

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// planTool is update_plan: the model tells its plan. Nothing is kept of it here.
func planTool() Tool { return Tool{Name: "update_plan", Spec: planSpec, Run: runPlan} }

// planSteps are the states of a step in the model's words, and in the wire's.
var planSteps = map[string]protocol.TurnPlanStepStatus{
	"pending": protocol.StepPending, "in_progress": protocol.StepInProgress, "completed": protocol.StepCompleted,
}

func planSpec(*Turn) (jsontext.Value, bool) {
	step := objectSchema(map[string]any{
		"step":   textSchema("The step in a few words."),
		"status": choiceSchema("How far it has come.", "pending", "in_progress", "completed"),
	}, "step", "status")
	return function("update_plan", "Shows the user your plan for the task, and how far it has come. Send the whole plan each time; have at most one step in progress.",
		objectSchema(map[string]any{
			"explanation": textSchema("Why the plan has changed, where it has."),
			"plan":        listSchema("The steps, in order.", step),
		}, "plan")), true
}

func runPlan(_ context.Context, t *Turn, c Call) Output {
	if t.Env.Mode == protocol.ModePlan {
		return say("update_plan keeps track of work and is not for plan mode. Write the plan into your answer.")
	}
	var in struct {
		Explanation *string `json:"explanation"`
		Plan        []struct {
			Step   string `json:"step"`
			Status string `json:"status"`
		} `json:"plan" required:"true"`
	}
	if bad, ok := arguments(c, &in); !ok {
		return bad
	}
	note := &protocol.TurnPlanUpdatedNotification{ThreadID: t.th.o.ID, TurnID: t.ID, Explanation: in.Explanation, Plan: []protocol.TurnPlanStep{}}
	for _, s := range in.Plan {
		status, known := planSteps[s.Status]
		if !known {
			return say("The plan was not shown: the status of each step must be pending, in_progress or completed.")
		}
		note.Plan = append(note.Plan, protocol.TurnPlanStep{Step: s.Step, Status: status})
	}
	t.Host.Notify(protocol.MethodTurnPlanUpdated, note)
	return say("The plan was shown to the user.")
}
