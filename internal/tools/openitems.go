package tools

import (
	"sync"

	"app-server/protocol"
)

// openItems is a turn's Host that knows the items which were started and not
// completed, for a tool that breaks off in the middle of one.
type openItems struct {
	Host

	mu   sync.Mutex
	open map[string]protocol.ThreadItem // by id
}

func (o *openItems) ItemStarted(item protocol.ThreadItem) {
	o.Host.ItemStarted(item)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open[item.ItemID()] = item
}

func (o *openItems) ItemCompleted(item protocol.ThreadItem) {
	o.take(item.ItemID())
	o.Host.ItemCompleted(item)
}

func (o *openItems) take(id string) protocol.ThreadItem {
	o.mu.Lock()
	defer o.mu.Unlock()
	item := o.open[id]
	delete(o.open, id)
	return item
}

// fail completes an item, if it is open, as one that failed.
func (o *openItems) fail(id string) {
	switch item := o.take(id).(type) {
	case *protocol.CommandExecutionItem:
		failed := *item
		failed.Status = protocol.ItemFailed
		o.Host.ItemCompleted(&failed)
	case *protocol.FileChangeItem:
		failed := *item
		failed.Status = protocol.ItemFailed
		o.Host.ItemCompleted(&failed)
	case *protocol.DynamicToolCallItem:
		failed := *item
		failed.Status = protocol.ItemFailed
		o.Host.ItemCompleted(&failed)
	case nil:
	default: // the others tell nothing of success
		o.Host.ItemCompleted(item)
	}
}
