package session

import (
	"slices"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"app-server/internal/backend"
	"app-server/internal/rollout"
	"app-server/protocol"
)

// maxParts bounds the parts of a reasoning item; an index past it is a fault of
// the backend.
const maxParts = 1024

// fold takes in the events of one attempt of a response, each once: into the
// conversation where it is finished, and into notifications.
type fold struct {
	u    *turn
	open []*openItem
}

// openItem is an item that has started and not ended.
type openItem struct {
	kind   string // the backend's type
	source string // the backend's id, or empty
	id     string // the id told to the parent
	phase  *string
	text   []byte
	// summary and content are the parts of a reasoning item.
	summary, content [][]byte
	search           modelItem
	planned          *planned // of a message in plan mode, else nil
}

// errStreamEnded stands for a stream that just stopped.
var errStreamEnded = &backend.Error{Kind: backend.KindStreamDisconnected, Retry: backend.RetryStream, Message: "The stream ended before the response was complete"}

// stream takes in one attempt and hands each event on, until the response is
// complete.
func (u *turn) stream(r *backend.Request, each func(*backend.Event)) (*backend.Completed, error) {
	for ev, err := range u.th.m.model.Stream(u.ctx, r) {
		if err == nil && u.ctx.Err() != nil {
			err = errInterrupted
		}
		if err != nil {
			return nil, err
		}
		switch ev.Kind {
		case backend.EventStarted:
			u.sawLimits(ev.Limits)
		case backend.EventCompleted:
			if ev.Response == nil {
				return &backend.Completed{}, nil
			}
			return ev.Response, nil
		default:
			each(&ev)
		}
	}
	return nil, errStreamEnded
}

func (f *fold) event(ev *backend.Event) {
	u := f.u
	switch ev.Kind {
	case backend.EventItemAdded:
		f.added(ev)
	case backend.EventItemDone:
		f.finished(ev)
	case backend.EventTextDelta:
		if o := f.find(itemMessage, ev.ItemID); o != nil && o.planned != nil {
			u.planDelta(o, ev.Delta)
		} else if o != nil {
			o.text = append(o.text, ev.Delta...)
			u.delta(protocol.MethodItemAgentMessageDelta, &protocol.AgentMessageDeltaNotification{
				ThreadID: u.th.id, TurnID: u.id, ItemID: o.id, Delta: ev.Delta,
			})
		}
	case backend.EventSummaryPartAdded:
		if o := f.find(itemReasoning, ev.ItemID); o != nil && grow(&o.summary, ev.Index) {
			u.delta(protocol.MethodItemReasoningSummaryPartAdded, &protocol.ReasoningSummaryPartAddedNotification{
				ThreadID: u.th.id, TurnID: u.id, ItemID: o.id, SummaryIndex: ev.Index,
			})
		}
	case backend.EventSummaryDelta:
		if o := f.find(itemReasoning, ev.ItemID); o != nil && grow(&o.summary, ev.Index) {
			o.summary[ev.Index] = append(o.summary[ev.Index], ev.Delta...)
			u.delta(protocol.MethodItemReasoningSummaryTextDelta, &protocol.ReasoningSummaryTextDeltaNotification{
				ThreadID: u.th.id, TurnID: u.id, ItemID: o.id, Delta: ev.Delta, SummaryIndex: ev.Index,
			})
		}
	case backend.EventReasoningDelta:
		if o := f.find(itemReasoning, ev.ItemID); o != nil && grow(&o.content, ev.Index) {
			o.content[ev.Index] = append(o.content[ev.Index], ev.Delta...)
			u.delta(protocol.MethodItemReasoningTextDelta, &protocol.ReasoningTextDeltaNotification{
				ThreadID: u.th.id, TurnID: u.id, ItemID: o.id, Delta: ev.Delta, ContentIndex: ev.Index,
			})
		}
	}
}

// grow makes room for a part.
func grow(parts *[][]byte, index int) bool {
	if index < 0 || index >= maxParts {
		return false
	}
	for len(*parts) <= index {
		*parts = append(*parts, nil)
	}
	return true
}

// find returns the open item that an event is about. Some backends name none,
// or another; then it is the last one of its kind, as in the reference.
func (f *fold) find(kind, source string) *openItem {
	var last *openItem
	for _, o := range f.open {
		if o.kind != kind {
			continue
		}
		if source != "" && o.source == source {
			return o
		}
		last = o
	}
	return last
}

// take removes and returns the open item that a finished one belongs to, or
// nil.
func (f *fold) take(kind, source string) *openItem {
	for i := len(f.open) - 1; i >= 0; i-- {
		o := f.open[i]
		if o.kind == kind && (o.source == source || o.source == "" || source == "") {
			f.open = slices.Delete(f.open, i, i+1)
			return o
		}
	}
	return nil
}

// added starts the item that the parent sees of an item of the model, if it is
// of a kind that is seen.
func (f *fold) added(ev *backend.Event) {
	it, ok := readItem(ev.Item)
	if !ok {
		return
	}
	if o := f.u.newOpen(&it); o != nil && !f.u.keeps(&it) {
		f.open = append(f.open, o)
		if o.planned == nil {
			f.u.itemStarted(o.item())
			return
		}
		text := o.text // its words start the item
		o.text = nil
		f.u.planDelta(o, string(text))
	}
}

// finished takes an item of the model into the conversation and completes the
// item that the parent sees of it. What the finished item says is the truth,
// whatever the deltas were.
func (f *fold) finished(ev *backend.Event) {
	it, ok := readItem(ev.Item)
	if !ok {
		f.u.th.m.log.Debug("item of the model skipped", zap.String("thread", f.u.th.id), zap.String("type", it.Type))
		return
	}
	f.u.rememberAs(withoutID(ev.Item), ev.Item)
	if c, ok := it.call(); ok {
		source := c.ID
		c.ID = f.u.itemID(source)
		f.u.calls = append(f.u.calls, waitingCall{c, source})
		return
	}
	if f.u.keeps(&it) {
		f.u.review.said = it.text()
		return
	}
	o := f.take(it.Type, it.ID)
	fresh := f.u.newOpenFor(&it, o)
	if fresh.planned != nil {
		if o == nil {
			o = fresh
			o.text = nil
		}
		o.phase = fresh.phase
		text := it.text()
		f.u.endPlanned(o, &text)
		return
	}
	if o == nil {
		f.u.itemStarted(fresh.item())
	}
	f.u.itemCompleted(fresh.item())
}

// closeOpen completes what was left open by an interrupt, a failure or a broken
// stream, with what had come of it: no item stays unfinished in the parent's
// eyes. The conversation does not get it.
func (f *fold) closeOpen() {
	for _, o := range f.open {
		if o.planned != nil {
			f.u.endPlanned(o, nil)
		} else {
			f.u.itemCompleted(o.item())
		}
	}
	f.open = nil
}

// newOpen makes the open form of an item of the model; nil for kinds that the
// parent does not see as such.
func (u *turn) newOpen(it *modelItem) *openItem {
	switch it.Type {
	case itemMessage, itemReasoning, itemWebSearch:
		return u.newOpenFor(it, nil)
	}
	return nil
}

// newOpenFor makes the open form of an item under the id of the one that was
// started for it, or under a new one.
func (u *turn) newOpenFor(it *modelItem, started *openItem) *openItem {
	o := &openItem{kind: it.Type, source: it.ID}
	if started != nil {
		o.id, o.phase = started.id, started.phase
	} else {
		o.id = u.itemID(it.ID)
	}
	if u.plans(it) {
		o.planned = &planned{}
	}
	switch it.Type {
	case itemMessage:
		o.text = []byte(it.text())
		if it.Phase != "" {
			o.phase = &it.Phase
		}
	case itemReasoning:
		for _, s := range it.Summary {
			o.summary = append(o.summary, []byte(s.Text))
		}
		for _, c := range it.Content {
			o.content = append(o.content, []byte(c.Text))
		}
	case itemWebSearch:
		o.search = *it
	}
	return o
}

// itemID is the id under which the parent sees an item: the backend's own, or a
// new one where it gave none or has used it in this turn already.
func (u *turn) itemID(source string) string {
	if source == "" || u.seen[source] {
		source = uuid.NewString()
	}
	u.seen[source] = true
	return source
}

// item is the item as the parent sees it.
func (o *openItem) item() protocol.ThreadItem {
	switch o.kind {
	case itemReasoning:
		return protocol.NewReasoning(o.id, texts(o.summary), texts(o.content))
	case itemWebSearch:
		query, action := searchAction(&o.search)
		return protocol.NewWebSearch(o.id, query, action)
	}
	return protocol.NewAgentMessage(o.id, string(o.text), o.phase)
}

func texts(parts [][]byte) []string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = string(p)
	}
	return out
}

// searchAction tells what a web search did, and in one line what for, in the
// reference's form: parents show the line as it is. A search that has not told
// yet what it does is of the kind other.
func searchAction(it *modelItem) (string, *protocol.WebSearchAction) {
	a := it.Action
	switch a.Type {
	case "search":
		return queryLine(orZero(a.Query), orZero(a.Queries)), &protocol.WebSearchAction{Type: "search", Query: orNull(a.Query), Queries: orNull(a.Queries)}
	case "open_page":
		return orZero(a.URL), &protocol.WebSearchAction{Type: "openPage", URL: orNull(a.URL)}
	case "find_in_page":
		line := orZero(a.URL)
		switch {
		case a.Pattern != nil && line != "":
			line = "'" + *a.Pattern + "' in " + line
		case a.Pattern != nil:
			line = "'" + *a.Pattern + "'"
		}
		return line, &protocol.WebSearchAction{Type: "findInPage", URL: orNull(a.URL), Pattern: orNull(a.Pattern)}
	}
	return "", &protocol.WebSearchAction{Type: "other"}
}

// queryLine is what was searched for: the one query, or the first of several.
func queryLine(query string, queries []string) string {
	switch {
	case query != "" || len(queries) == 0:
		return query
	case len(queries) > 1 && queries[0] != "":
		return queries[0] + " ..."
	}
	return queries[0]
}

// orZero is the value of a member that may not be there.
func orZero[T any](v *T) (out T) {
	if v != nil {
		out = *v
	}
	return out
}

// orNull is a member that is always there.
func orNull[T any](v *T) protocol.Optional[T] {
	return protocol.Optional[T]{Present: true, Value: v}
}

func (u *turn) itemStarted(item protocol.ThreadItem) {
	u.notify(protocol.MethodItemStarted, &protocol.ItemStartedNotification{
		Item: item, ThreadID: u.th.id, TurnID: u.id, StartedAtMS: time.Now().UnixMilli(),
	})
}

// itemCompleted records a finished item and tells the parent, in this order: a
// parent that has heard of an item finds it with thread/read, now and after the
// end of this server.
func (u *turn) itemCompleted(item protocol.ThreadItem) {
	if said, ok := item.(*protocol.AgentMessageItem); ok { // which only the turn's goroutine completes
		u.lastMessage = &said.Text
	}
	u.th.keep(rollout.ItemCompleted(u.id, item))
	u.th.post(func() {
		if u.record == nil {
			return
		}
		if slices.Contains(u.th.turns, u.record) {
			u.record.Items = append(u.record.Items, item)
		} else {
			u.th.late = append(u.th.late, lateItem{u.id, item})
		}
	})
	u.notify(protocol.MethodItemCompleted, &protocol.ItemCompletedNotification{
		Item: item, ThreadID: u.th.id, TurnID: u.id, CompletedAtMS: time.Now().UnixMilli(),
	})
}
