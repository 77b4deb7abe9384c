package session

import (
	"bytes"
	"strings"

	"app-server/protocol"
)

// Tags of a plan. Each stands alone on its line; white space around it is
// allowed. In the middle of a line they are words like others.
const (
	planOpen  = "<proposed_plan>"
	planClose = "</proposed_plan>"
)

// planCutter cuts plans out of text that comes in pieces. What it makes of a
// text does not depend on where the pieces end. The zero value is ready.
type planCutter struct {
	inside bool   // the text is that of a plan
	passed bool   // the line is known to be no tag
	at     int    // how much of the tag the line has
	held   []byte // the line so far, while it may become a tag
	out    []planPiece
}

// planPiece is a piece of a message: of its words, or of a plan. Where begins is
// set, a plan begins with it, which may be empty.
type planPiece struct {
	plan, begins bool
	text         []byte
}

// write takes a piece and returns what is known by it.
func (c *planCutter) write(piece string) []planPiece {
	for len(piece) > 0 {
		if c.passed {
			n := len(piece)
			if end := strings.IndexByte(piece, '\n'); end >= 0 {
				n, c.passed = end+1, false
			}
			c.emit(piece[:n])
			piece = piece[n:]
			continue
		}
		b, tag := piece[0], c.tag()
		piece = piece[1:]
		c.held = append(c.held, b)
		switch {
		case c.at < len(tag) && b == tag[c.at]:
			c.at++
		case b == '\n':
			c.endLine()
		case (b == ' ' || b == '\t' || b == '\r') && (c.at == 0 || c.at == len(tag)):
		default:
			c.emit(string(c.held))
			c.held, c.at, c.passed = c.held[:0], 0, true
		}
	}
	return c.taken()
}

// end returns what was held when the text has ended, with or without a line feed.
func (c *planCutter) end() []planPiece {
	c.endLine()
	return c.taken()
}

// tag is the one that is looked for.
func (c *planCutter) tag() string {
	if c.inside {
		return planClose
	}
	return planOpen
}

// endLine decides on what is held: it is a tag or it is not.
func (c *planCutter) endLine() {
	if c.at == len(c.tag()) {
		if c.inside = !c.inside; c.inside {
			c.out = append(c.out, planPiece{plan: true, begins: true})
		}
	} else if len(c.held) > 0 {
		c.emit(string(c.held))
	}
	c.held, c.at = c.held[:0], 0
}

func (c *planCutter) emit(text string) {
	if n := len(c.out); n == 0 || c.out[n-1].plan != c.inside {
		c.out = append(c.out, planPiece{plan: c.inside})
	}
	last := &c.out[len(c.out)-1]
	last.text = append(last.text, text...)
}

func (c *planCutter) taken() []planPiece {
	out := c.out
	c.out = nil
	return out
}

// cutPlan splits a whole message into its words and the last plan in it, as in
// the reference. found is false where there is no plan.
func cutPlan(message string) (words, plan string, found bool) {
	var c planCutter
	var w, p []byte
	for _, piece := range append(c.write(message), c.end()...) {
		if !piece.plan {
			w = append(w, piece.text...)
			continue
		}
		if piece.begins {
			found, p = true, nil
		}
		p = append(p, piece.text...)
	}
	return string(w), string(p), found
}

// planned is what belongs to a message of the model in plan mode.
type planned struct {
	cutter planCutter
	// started is whether the message has been told; it is with its first words.
	started bool
	// planID is the id of the plan item; empty until that has been told.
	planID string
	plan   []byte
}

// plans reports whether a plan is looked for in an item.
func (u *turn) plans(it *modelItem) bool {
	return u.set.mode == protocol.ModePlan && it.Type == itemMessage
}

// planDelta tells of a piece of a message in plan mode.
func (u *turn) planDelta(o *openItem, piece string) { u.tellPieces(o, o.planned.cutter.write(piece)) }

func (u *turn) tellPieces(o *openItem, pieces []planPiece) {
	for _, piece := range pieces {
		if piece.plan {
			u.tellPlan(o.planned, piece)
		} else {
			u.tellWords(o, piece.text)
		}
	}
}

func (u *turn) tellPlan(p *planned, piece planPiece) {
	u.startPlan(p)
	if piece.begins { // perhaps in the place of an earlier one
		p.plan = nil
	}
	p.plan = append(p.plan, piece.text...)
	if len(piece.text) > 0 {
		u.delta(protocol.MethodItemPlanDelta, &protocol.PlanDeltaNotification{
			ThreadID: u.th.id, TurnID: u.id, ItemID: p.planID, Delta: string(piece.text),
		})
	}
}

// tellWords holds white space back until there are words.
func (u *turn) tellWords(o *openItem, text []byte) {
	o.text = append(o.text, text...)
	if !o.planned.started {
		if text = o.text; len(bytes.TrimSpace(text)) == 0 {
			return
		}
		u.startWords(o)
	}
	u.delta(protocol.MethodItemAgentMessageDelta, &protocol.AgentMessageDeltaNotification{
		ThreadID: u.th.id, TurnID: u.id, ItemID: o.id, Delta: string(text),
	})
}

// startPlan tells of the plan item, once. A second message of the turn with a
// plan gets an item of its own.
func (u *turn) startPlan(p *planned) {
	if p.planID == "" {
		p.planID = u.itemID(u.id + "-plan")
		u.itemStarted(&protocol.PlanItem{Type: protocol.ItemPlan, ID: p.planID})
	}
}

// startWords tells of the message itself, once.
func (u *turn) startWords(o *openItem) {
	if !o.planned.started {
		o.planned.started = true
		u.itemStarted(protocol.NewAgentMessage(o.id, "", o.phase))
	}
}

// endPlanned completes what was told of a message: with the text that the model
// finished it with, or nil where it broke off. A message that is nothing but a
// plan has no item of its own.
func (u *turn) endPlanned(o *openItem, finished *string) {
	p := o.planned
	u.tellPieces(o, p.cutter.end())
	words, plan, found := string(o.text), string(p.plan), p.planID != ""
	if finished != nil {
		w, last, any := cutPlan(*finished)
		words = w
		if any {
			plan, found = last, true
		}
	}
	if found {
		u.startPlan(p)
		u.itemCompleted(&protocol.PlanItem{Type: protocol.ItemPlan, ID: p.planID, Text: plan})
	}
	if p.started || !found || strings.TrimSpace(words) != "" {
		u.startWords(o)
		u.itemCompleted(protocol.NewAgentMessage(o.id, words, o.phase))
	}
}
