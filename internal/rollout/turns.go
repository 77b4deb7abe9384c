package rollout

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// Turns returns the turns of a range, from inclusive, to exclusive, oldest
// first, with their items as they were streamed ([Item]s all). Items of lines
// that the reference wrote are rebuilt from its events as it does itself; where
// those have no id the item's place in the file makes one, which stays the same.
func (l *Log) Turns(ctx context.Context, from, to int) ([]protocol.Turn, error) {
	from, to = max(from, 0), min(to, len(l.turns))
	w := walker{files: l.files}
	defer w.close()
	var out []protocol.Turn
	for i := from; i < to; i++ {
		t, err := readTurn(ctx, &w, &l.turns[i])
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func readTurn(ctx context.Context, w *walker, ref *turnRef) (protocol.Turn, error) {
	b := turnBuilder{ref: ref}
	spans := append(ref.spans[:len(ref.spans):len(ref.spans)], ref.late...)
	err := w.walk(ctx, spans, func(s *scanner, p *parsed) error {
		b.line(s.off, p)
		return nil
	})
	if err != nil {
		return protocol.Turn{}, err
	}
	return b.turn()
}

// turnBuilder rebuilds one turn.
type turnBuilder struct {
	ref *turnRef
	// items are *Items, and structs of the wire that have yet to become such.
	items   []any
	started *int64
	end     *turnEnd
	err     *wireError
}

func (b *turnBuilder) line(off int64, l *parsed) {
	if len(l.extra) > 0 {
		var x extra
		if json.Unmarshal(l.extra, &x, lenient) != nil {
			return
		}
		switch {
		case l.kind == lineEvent && b.started == nil && len(x.Item) == 0 && x.Turn == nil && b.own(x.TurnID):
			// Perhaps the start of the turn, which has no more than the id here.
			var e event
			if memberText(l.payload, "type") == "task_started" && json.Unmarshal(l.payload, &e, lenient) == nil {
				b.started = e.StartedAt
			}
		case x.Turn != nil && b.own(x.Turn.ID):
			b.end = x.Turn
		case len(x.Item) > 0 && b.own(x.TurnID):
			if it, err := newItem(x.Item); err == nil {
				b.items = append(b.items, it)
			}
		}
		return
	}
	if l.kind != lineEvent {
		return
	}
	var e event
	if json.Unmarshal(l.payload, &e, lenient) != nil {
		return
	}
	if e.TurnID == "" {
		e.TurnID = e.TurnIDCamel
	}
	if !b.own(e.TurnID) {
		return
	}
	switch e.Type {
	case "task_started", "turn_started":
		if e.TurnID == b.ref.id || b.started == nil {
			b.started = e.StartedAt
		}
	case "error":
		if fails(e.ErrorInfo) {
			b.err = &wireError{Message: text(e.Message), Info: e.ErrorInfo}
		}
	case "task_complete", "turn_complete":
		b.ended(&e, protocol.TurnCompleted)
	case "turn_aborted":
		b.ended(&e, protocol.TurnInterrupted)
	default:
		b.rebuild(&e, fmt.Sprintf("item-%d", off))
	}
}

// own reports whether a line that names a turn belongs to this one.
func (b *turnBuilder) own(id string) bool {
	return id == "" || id == b.ref.id || id == b.ref.other || !b.ref.explicit && b.ref.spoken
}

// fails reports whether an error of that kind ends the turn. Some only answer a
// request.
func fails(info jsontext.Value) bool {
	switch i := readErrorInfo(info); {
	case i == nil:
		return true
	default:
		return i.Kind != "threadRollbackFailed" && i.Kind != protocol.KindActiveTurnNotSteerable
	}
}

func (b *turnBuilder) ended(e *event, status protocol.TurnStatus) {
	end := &turnEnd{Status: status, CompletedAt: e.CompletedAt, DurationMS: e.DurationMS, StartedAt: e.StartedAt}
	var failure turnError
	if e.Error.Kind() == '{' && json.Unmarshal(e.Error, &failure, lenient) == nil {
		b.err = &wireError{Message: failure.Message, Info: failure.Info}
	}
	if status == protocol.TurnCompleted && b.err != nil {
		end.Status, end.Error = protocol.TurnFailed, b.err
	}
	b.end = end
}

// turn is what has come of the lines.
func (b *turnBuilder) turn() (protocol.Turn, error) {
	end := b.end
	if end == nil {
		end = &turnEnd{Status: protocol.TurnInterrupted}
		if !b.ref.explicit {
			end.Status = protocol.TurnCompleted // old files tell no ends
		}
	}
	end.ID = b.ref.id
	if end.StartedAt == nil {
		end.StartedAt = b.started
	}
	t := end.turn()
	for _, it := range b.items {
		own, ok := it.(*Item)
		if !ok {
			raw, err := json.Marshal(it, lenient)
			if err != nil {
				return t, fmt.Errorf("rollout: item: %w", err)
			}
			if own, err = newItem(raw); err != nil {
				return t, fmt.Errorf("rollout: item: %w", err)
			}
		}
		t.Items = append(t.Items, own)
	}
	return t, nil
}
