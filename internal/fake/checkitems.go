package fake

import "fmt"

// itemEvents are the notifications that tell of an item, and of the end of its
// turn.
const (
	itemStarted   = "item/started"
	itemCompleted = "item/completed"
	turnCompleted = "turn/completed"
)

// checkItems wants each item to be started once and then completed once, and a
// turn's items to be completed before the turn is. A command that goes on in the
// background may be completed later, or never where the server ended it.
func (r *runner) checkItems(lines []*outLine) error {
	type item struct {
		turn, kind      string
		started, ended  int
		background      bool
		afterCompletion bool
	}
	items, over := map[string]*item{}, map[string]bool{}
	for _, l := range lines {
		o, _ := l.value.(map[string]any)
		params, _ := o["params"].(map[string]any)
		if o["method"] == turnCompleted {
			over[turnID(params)] = true
			continue
		}
		if o["method"] != itemStarted && o["method"] != itemCompleted {
			continue
		}
		content, _ := params["item"].(map[string]any)
		turn, _ := params["turnId"].(string)
		key := encodeJSON([]any{params["threadId"], turn, content["id"], content["type"]})
		i := items[key]
		if i == nil {
			kind, _ := content["type"].(string)
			i = &item{turn: turn, kind: kind}
			items[key] = i
		}
		i.background = i.background || content["type"] == "commandExecution" && content["source"] == "unifiedExecStartup"
		if o["method"] == itemStarted {
			i.started++
		} else {
			i.ended++
			i.afterCompletion = i.afterCompletion || over[turn]
			if i.started == 0 {
				return fmt.Errorf("item %s was completed before it was started", key)
			}
		}
	}
	for key, i := range items {
		switch {
		case i.started != 1 || i.ended > 1:
			return fmt.Errorf("item %s: started %d times, completed %d times", key, i.started, i.ended)
		case i.background:
		case i.ended == 0:
			return fmt.Errorf("item %s was never completed", key)
		case i.afterCompletion:
			return fmt.Errorf("item %s was completed after its turn", key)
		}
	}
	return nil
}
