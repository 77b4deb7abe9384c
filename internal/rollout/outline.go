package rollout

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// outliner makes a Log.
type outliner struct {
	log  *Log
	ids  map[string]int // index of each turn
	made int            // number of turns begun so far
	// file and from are where the current span began.
	file int
	from int64
	// prev is where the line before began, if it was a response item, else -1.
	prev int64
	// children are turns of other threads whose lines are in this file.
	children map[string]bool
	// Lines to read once all is known.
	context, usage *span
	// limits are how many lines of each file count; -1 for all.
	limits []int64
}

// outline reads a file once.
func (s *Store) outline(ctx context.Context, src *source) (*Log, error) {
	info, err := src.f.Stat()
	if err != nil {
		return nil, fmt.Errorf("rollout: read: %w", err)
	}
	o := &outliner{log: &Log{Updated: info.ModTime(), nextOrdinal: -1}, ids: map[string]int{}, children: map[string]bool{}}
	if err := o.lineage(s, src); err != nil {
		return nil, err
	}
	for i := len(o.log.files) - 1; i > 0; i-- {
		if err := o.ancestor(ctx, i); err != nil {
			return nil, err
		}
	}
	if err := o.read(ctx, 0, src, 0); err != nil {
		return nil, err
	}
	if err := o.finish(ctx); err != nil {
		return nil, err
	}
	return o.log, nil
}

// Extend makes the outline of the file as it is now, of which no more is read than
// has been written since. It is for whoever has the thread's [Writer]: in what the
// references 0.94.0 and 0.169.0 write, the meaning of a line can hang on those before.
func (l *Log) Extend(ctx context.Context) (*Log, error) {
	src, err := openSource(l.files[0])
	if err != nil {
		return nil, fmt.Errorf("rollout: read: %w", err)
	}
	defer src.close()
	info, err := src.f.Stat()
	if err != nil {
		return nil, fmt.Errorf("rollout: read: %w", err)
	}
	longer := *l
	longer.Updated, longer.Torn = info.ModTime(), 0
	longer.before, longer.bases = slices.Clip(l.before), slices.Clip(l.bases)
	longer.turns = slices.Clone(l.turns)
	o := &outliner{
		log: &longer, ids: make(map[string]int, len(l.turns)), made: len(l.turns),
		children: map[string]bool{}, limits: make([]int64, len(l.files)),
	}
	o.limits[0] = -1
	for i := range longer.turns {
		t := &longer.turns[i]
		t.spans, t.late = slices.Clip(t.spans), slices.Clip(t.late)
		o.ids[t.id] = i
		if t.other != "" {
			o.ids[t.other] = i
		}
	}
	if err := o.read(ctx, 0, src, l.size); err != nil {
		return nil, err
	}
	return &longer, o.finish(ctx)
}

// maxAncestors bounds the chain of files that a thread may be made of.
const maxAncestors = 64

// lineage reads the first line, and finds the files that come before this one:
// the reference 0.169.0 does not copy what a fork, or a thread that was taken
// back to an earlier turn, begins with.
func (o *outliner) lineage(s *Store, src *source) error {
	m, p, err := firstMeta(src)
	if err != nil {
		return err
	}
	o.log.Meta = m
	o.log.files = []string{src.f.Name()}
	o.limits = []int64{-1}
	for p.Base != nil && len(o.log.files) < maxAncestors {
		path, err := s.segment(p.Base.ID)
		if err != nil {
			return fmt.Errorf("rollout: the file that %s goes on from: %w", o.log.files[0], err)
		}
		o.log.files = append(o.log.files, path)
		o.limits = append(o.limits, p.Base.Lines)
		before, err := openSource(path)
		if err != nil {
			return fmt.Errorf("rollout: read: %w", err)
		}
		_, p, err = firstMeta(before)
		before.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// firstMeta reads the session_meta of a file, which is its first line, or near
// to it in a file that was damaged.
func firstMeta(src *source) (Meta, *sessionMeta, error) {
	r, err := src.from(0)
	if err != nil {
		return Meta{}, nil, fmt.Errorf("rollout: read: %w", err)
	}
	sc := newScanner(r, 0)
	for range 10 {
		if err := sc.next(); err != nil {
			break
		}
		l, ok := sc.parse()
		if !ok || l.kind != lineMeta {
			continue
		}
		m, p, err := readMeta(l.payload)
		if err != nil {
			return m, p, fmt.Errorf("rollout: first line of %s: %w", src.f.Name(), err)
		}
		return m, p, nil
	}
	// It may be just being made.
	return Meta{}, nil, fmt.Errorf("%w: %s has no session_meta line", ErrNotFound, src.f.Name())
}

// ancestor takes in a file that comes before the thread's own.
func (o *outliner) ancestor(ctx context.Context, file int) error {
	src, err := openSource(o.log.files[file])
	if err != nil {
		return fmt.Errorf("rollout: read: %w", err)
	}
	defer src.close()
	return o.read(ctx, file, src, 0)
}

// read takes in one file, from an offset on.
func (o *outliner) read(ctx context.Context, file int, src *source, from int64) error {
	o.file, o.from, o.prev = file, from, -1
	r, err := src.from(from)
	if err != nil {
		return fmt.Errorf("rollout: read: %w", err)
	}
	sc := newScanner(r, from)
	first, counts := from == 0, o.log.nextOrdinal >= 0 // whether the file counts its lines
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := sc.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("rollout: read: %w", err)
		}
		l, ok := sc.parse()
		if !sc.whole && file == 0 {
			// The last line. Whole JSON without a newline is kept.
			if o.log.unended = ok; !ok {
				o.log.Torn = sc.end - sc.off
				sc.end = sc.off
				break
			}
		}
		if !ok {
			if sc.end-sc.off > 1 { // more than a newline
				o.log.Unreadable++
			}
			continue
		}
		if limit := o.limits[file]; limit >= 0 && l.ordinal >= limit {
			sc.end = sc.off
			break
		}
		// A copy of such lines does not make a file that counts.
		if counts = counts || first && l.ordinal >= 0; counts && file == 0 && l.ordinal >= 0 {
			o.log.nextOrdinal = l.ordinal + 1
		}
		first = false
		o.line(sc.off, sc.end, &l)
	}
	o.cut(sc.end)
	if file == 0 {
		o.log.size = sc.end
	} else {
		// A turn does not go on in another file.
		o.endTurn("")
	}
	return nil
}

// cut ends the current span at off, and begins another one there.
func (o *outliner) cut(off int64) {
	if off > o.from {
		into := &o.log.before
		if n := len(o.log.turns); n > 0 {
			into = &o.log.turns[n-1].spans
		}
		*into = append(*into, span{o.file, o.from, off})
	}
	o.from = off
}

// current is the last turn, or nil.
func (o *outliner) current() *turnRef {
	if n := len(o.log.turns); n > 0 {
		return &o.log.turns[n-1]
	}
	return nil
}

// begin starts a turn at off.
func (o *outliner) begin(off int64, id string, explicit bool) {
	o.cut(off)
	o.made++
	if id == "" {
		id = fmt.Sprintf("turn-%d", o.made) // the reference 0.94.0 names turns so
	}
	o.ids[id] = len(o.log.turns)
	o.log.turns = append(o.log.turns, turnRef{id: id, explicit: explicit})
}

// endTurn ends the turn with that id, or the current one.
func (o *outliner) endTurn(id string) {
	t := o.current()
	if t == nil {
		return
	}
	if _, known := o.ids[id]; id != "" && !known {
		// A review: its end has the id that was told, its start another one.
		o.ids[id] = len(o.log.turns) - 1
		t.id, t.other = id, t.id
	}
	if id == "" || t.id == id || t.other == id {
		t.ended = true
	}
}

// rollback takes the last turns away. The line that says so belongs to no turn:
// in a copy of the others it would be said again.
func (o *outliner) rollback(here span, turns int) {
	o.cut(here.off)
	o.from = here.end
	keep := max(len(o.log.turns)-max(turns, 0), 0)
	for id, i := range o.ids {
		if i >= keep {
			delete(o.ids, id)
		}
	}
	o.log.turns = o.log.turns[:keep]
	for n := len(o.log.bases); n > 0 && o.log.bases[n-1].turn >= keep; n-- {
		o.log.bases = o.log.bases[:n-1]
	}
	if t := o.current(); t != nil {
		t.ended = true
	}
}

// line takes in one line.
func (o *outliner) line(off, end int64, l *parsed) {
	here := span{o.file, off, end}
	prev := o.prev
	o.prev = -1
	switch l.kind {
	case lineContext:
		o.context = &here
		if t := o.current(); t != nil {
			t.context = &here
		}
	case lineResponse:
		o.prev = off
	case lineCompact:
		// One without the new history builds on the one before.
		if member(l.payload, "replacement_history").Kind() == '[' {
			o.log.bases = append(o.log.bases, base{here, len(o.log.turns) - 1})
		}
	case lineItem:
		o.late(here, memberText(l.extra, "turn_id"))
	case lineEvent:
		o.event(here, prev, l)
	}
}

func (o *outliner) event(here span, prev int64, l *parsed) {
	kind := memberText(l.payload, "type")
	switch kind {
	case "task_started", "turn_started":
		o.started(here.off, l.payload)
		if t := o.current(); t != nil && len(l.extra) > 0 {
			t.ours = true
		}
	case "task_complete", "turn_complete", "turn_aborted":
		o.endTurn(memberText(l.payload, "turn_id"))
	case "thread_rolled_back":
		var e rolledBackEvent
		if json.Unmarshal(l.payload, &e, lenient) == nil {
			o.rollback(here, e.Turns)
		}
	case "thread_name_updated":
		if name := memberText(l.payload, "thread_name"); memberText(l.payload, "thread_id") == o.log.Meta.ID {
			o.log.Name = &name
		}
	case "token_count":
		if member(l.payload, "info").Kind() == '{' {
			o.usage = &here
		}
	case "user_message":
		t := o.current()
		// A turn of ours that was never ended, and then words of another server:
		// the reference 0.94.0 tells no start.
		dead := t != nil && t.ours && len(l.extra) == 0
		if t == nil || t.ended || dead || !t.explicit && t.spoken {
			at := here.off
			if prev >= 0 {
				at = prev // what the model was told of the same words
			}
			o.begin(at, "", false)
		}
		o.spoke(l.payload, "message")
	case "entered_review_mode":
		if t := o.current(); t == nil || t.ended || !t.explicit && t.spoken {
			o.begin(here.off, "", false)
		}
	case "item_completed":
		o.item(here, l)
	default:
		id := memberText(l.extra, "turn_id")
		if id == "" && itemEvents[kind] {
			id = memberText(l.payload, "turn_id") + memberText(l.payload, "turnId")
		}
		o.late(here, id)
	}
}

// itemEvents are events that may come after the end of their turn.
var itemEvents = map[string]bool{
	"exec_command_end": true, "patch_apply_end": true, "mcp_tool_call_end": true, "dynamic_tool_call_response": true,
}

func (o *outliner) started(off int64, payload jsontext.Value) {
	id := memberText(payload, "turn_id")
	if root := memberText(payload, "root_turn_id"); root != "" && root != id {
		o.children[id] = true // the turn of a thread that works for this one
		return
	}
	if t := o.current(); t != nil && !t.ended && !t.explicit && !t.spoken && t.id != id {
		// What came just before belongs to this turn.
		o.ids[id] = len(o.log.turns) - 1
		t.id, t.other, t.explicit = id, t.id, true
		return
	}
	if _, known := o.ids[id]; known && id != "" {
		return
	}
	o.begin(off, id, true)
}

// item takes in an item_completed event.
func (o *outliner) item(here span, l *parsed) {
	id := memberText(l.payload, "turn_id")
	if o.children[id] {
		return
	}
	_, known := o.ids[id]
	if t := o.current(); l.extra == nil && id != "" && !known && (t == nil || t.ended) {
		o.begin(here.off, id, true)
	}
	o.late(here, id)
	item := member(l.payload, "item")
	if memberText(item, "type") != "UserMessage" {
		return
	}
	if t := o.current(); t != nil {
		t.spoken = true
	}
	if !o.log.Spoken {
		o.log.Spoken, o.log.Preview = true, userText(member(item, "content"))
	}
}

// userText is the text of user input in the form of the files.
func userText(content jsontext.Value) string {
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(content, &parts, lenient) != nil {
		return ""
	}
	text := ""
	for _, p := range parts {
		text += p.Text
	}
	return text
}

func (o *outliner) spoke(payload jsontext.Value, name string) {
	if t := o.current(); t != nil {
		t.spoken = true
	}
	if !o.log.Spoken {
		o.log.Spoken, o.log.Preview = true, memberText(payload, name)
	}
}

// late notes a line that belongs to an earlier turn than the current one.
func (o *outliner) late(here span, id string) {
	if id == "" {
		return
	}
	if i, known := o.ids[id]; known && i < len(o.log.turns)-1 {
		o.log.turns[i].late = append(o.log.turns[i].late, here)
	}
}

// finish reads the lines of which only the last one counts.
func (o *outliner) finish(ctx context.Context) error {
	each := func(at *span, f func(payload jsontext.Value)) error {
		if at == nil {
			return nil
		}
		return walk(ctx, o.log.files, []span{*at}, func(_ *scanner, l *parsed) error {
			f(l.payload)
			return nil
		})
	}
	settings := func(into **Settings) func(jsontext.Value) {
		return func(p jsontext.Value) {
			if s, ok := readSettings(p); ok {
				*into = &s
			}
		}
	}
	if err := each(o.context, settings(&o.log.Settings)); err != nil {
		return err
	}
	o.log.Told = nil // an outline that is made longer may have lost that turn
	var told *span
	for i := range o.log.turns {
		if at := o.log.turns[i].context; at != nil {
			told = at
		}
	}
	if err := each(told, settings(&o.log.Told)); err != nil {
		return err
	}
	return each(o.usage, func(p jsontext.Value) { o.log.Usage = readUsage(p) })
}
