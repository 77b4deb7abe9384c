package session

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"app-server/internal/backend"
	"app-server/internal/excerpt"
	"app-server/internal/prompt"
	"app-server/internal/rollout"
	"app-server/protocol"
)

const (
	// maxKeptWords is how much of the user's own words a compaction keeps, in
	// bytes: 20,000 tokens, as in the reference.
	maxKeptWords = 20_000 * bytesPerToken
	// compactPercent is the share of the model's context window, used or not,
	// from which on a conversation is summed up without being asked, as in the
	// reference. A limit of the configuration can only lower it.
	compactPercent = 90
	// minGainPercent is how much of that limit a conversation must have grown by
	// since it was last summed up. Where the instructions alone are over the
	// limit, summing up again gains nothing.
	minGainPercent = 10
	// maxShrinks is how often a conversation that is too long even to be summed
	// up is shortened, each time by shrinkPercent. That leaves about
	// a fifteenth. The reference drops item by item, with a request for each.
	maxShrinks    = 12
	shrinkPercent = 20
)

// CompactThread handles thread/compact/start: a turn that sums the conversation
// up and goes on from the summary. It interrupts a turn that runs. The func
// returned lets it begin. It fails for unknown threads and while another turn
// waits to begin.
func (m *Manager) CompactThread(ctx context.Context, p *protocol.ThreadCompactStartParams) (protocol.ThreadCompactStartResponse, func(), error) {
	var done protocol.ThreadCompactStartResponse
	t, err := m.thread(p.ThreadID)
	if err != nil {
		return done, nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return done, nil, err
	}
	then, err := t.answering(ctx, func() (func(), error) {
		u := t.newTurn(id.String(), kindCompact, t.settings)
		u.task = u.compact
		return func() { t.post(func() { t.arm(u) }) }, t.replace(u)
	})
	return done, then, err
}

// makeRoom sums the conversation up where it has grown over the limit, or would
// with the words that are to come, before the model is asked again.
func (u *turn) makeRoom(coming []steer) error {
	if u.ctx.Err() != nil {
		return errInterrupted
	}
	c, limit := u.conv, u.compactLimit()
	size := c.size(u.th.instructions)
	full := size
	for _, s := range coming {
		full += int64(s.chars) / bytesPerToken
	}
	if len(c.items) == 0 || full < limit || size-c.compacted < limit*minGainPercent/100 {
		return nil
	}
	return u.compact()
}

// compactLimit is the size, in tokens, from which on a conversation is summed
// up.
func (u *turn) compactLimit() int64 {
	limit := u.model().ContextWindow * compactPercent / 100
	if l := u.th.cfg.ModelAutoCompactTokenLimit; l != nil {
		limit = min(limit, *l)
	}
	return limit
}

// compact replaces the conversation by the user's words and a summary of it. No
// call may be without its output. After a failure or an interrupt the
// conversation is what it was.
func (u *turn) compact() error {
	item := protocol.NewContextCompaction(uuid.NewString())
	u.itemStarted(item)
	c := u.conv
	if len(c.items) == 0 { // nothing to sum up
		u.itemCompleted(item)
		return nil
	}
	summary, err := u.summarize()
	if err == nil {
		u.restart(summary)
	}
	u.itemCompleted(item)
	if err == nil && u.conv == &u.th.conv {
		u.th.m.warn(u.th.id, "The conversation so far was replaced by a summary of it, in which details may be missing. A new thread serves a new subject better.")
	}
	return err
}

// restart begins the conversation anew: what the model must know, the user's
// words, and the summary. This is the one place where what was told is not kept.
func (u *turn) restart(summary string) {
	c := u.conv
	c.items, c.told, c.counted, c.added = nil, told{}, 0, 0
	u.tellContext()
	c.words = newest(c.words, maxKeptWords)
	for _, text := range c.words {
		c.add(messageItem(roleUser, textPart(text)))
	}
	c.add(messageItem(roleUser, textPart(prompt.Summary(summary))))
	if c == &u.th.conv {
		// What came meanwhile stands in the file before what replaces it all.
		_ = u.th.do(u.th.m.base, func() {
			c.hear(u.th.takeInjected())
		})
	}
	u.keep(rollout.Compacted(summary, c.items), rollout.TurnContext(u.storedSettings()))
	u.contextKept = true
	c.window++
	c.compacted, c.settling = c.size(u.th.instructions), true
	u.tellSize(c.compacted)
}

// newest keeps the last texts that fit into so many bytes. Of the first one that
// does not, beginning and end are kept.
func newest(texts []string, room int) []string {
	var kept []string
	for _, text := range slices.Backward(texts) {
		if room <= len(cutMark) {
			break
		}
		text = excerpt.Ends(text, room, cutMark)
		room -= len(text)
		kept = append(kept, text)
	}
	slices.Reverse(kept)
	return kept
}

// cutMark stands where a part of the user's words was left out.
const cutMark = "\n[... left out ...]\n"

// summarize asks the model for a summary of the conversation. Where that is too
// long even for this, the oldest items are left out.
func (u *turn) summarize() (string, error) {
	input := u.conv.input()
	for shrinks := 0; ; shrinks++ {
		summary, err := u.askSummary(input)
		if !tooLong(err) || shrinks == maxShrinks {
			return summary, err
		}
		if shrinks == 0 {
			if short, ok := shortened(input); ok {
				input = short
				continue
			}
		}
		if input = withoutOldest(input); len(input) == 0 {
			return "", err
		}
	}
}

// tooLong reports whether the backend refused a request for its length.
func tooLong(err error) bool {
	var be *backend.Error
	return errors.As(err, &be) && be.Kind == backend.KindContextWindow
}

// askSummary asks for a summary of the items given. The parent sees nothing of
// the answer; calls in it are passed over, since no tools were offered.
func (u *turn) askSummary(input []jsontext.Value) (string, error) {
	r := u.request()
	r.Input = append(slices.Clone(input), messageItem(roleUser, textPart(cmp.Or(u.th.cfg.CompactPrompt, prompt.Compaction()))))
	r.Tools, r.ParallelToolCalls, r.OutputSchema = nil, false, nil
	summary := ""
	err := u.persist(func() (*backend.Completed, error) {
		summary = ""
		return u.stream(r, func(ev *backend.Event) {
			if ev.Kind != backend.EventItemDone {
				return
			}
			if it, ok := readItem(ev.Item); ok && it.Type == itemMessage {
				text := ""
				for _, c := range it.Content { // a refusal is no summary
					text += c.Text
				}
				summary = strings.TrimSpace(text)
			}
		})
	})
	if err == nil && summary == "" {
		err = &failure{kind: protocol.KindOther, message: "The model gave no summary, so the conversation was left as it was"}
	}
	return summary, err
}

// shortened cuts messages longer than what is kept of the user's words, if there
// are any: one of them alone may fill the window.
func shortened(items []jsontext.Value) (short []jsontext.Value, ok bool) {
	items = slices.Clone(items)
	for i, raw := range items {
		if len(raw) <= maxKeptWords {
			continue
		}
		m, isMessage := readMessage(raw)
		if !isMessage {
			continue
		}
		for j := range m.Content {
			m.Content[j].Text = excerpt.Ends(m.Content[j].Text, maxKeptWords, cutMark)
		}
		items[i], ok = encode(m), true
	}
	return items, ok
}

// withoutOldest leaves out the oldest items, at least one, and outputs whose
// call is among them: the backend refuses those.
func withoutOldest(items []jsontext.Value) []jsontext.Value {
	var total, dropped int64
	for _, raw := range items {
		total += itemTokens(raw)
	}
	cut := 0
	open := map[string]int{} // calls left out whose output is still to come
	for cut < len(items) && (cut == 0 || dropped < total*shrinkPercent/100) {
		if kind, id := callOf(items[cut]); strings.HasSuffix(kind, "_output") {
			open[id]--
		} else if id != "" {
			open[id]++
		}
		dropped += itemTokens(items[cut])
		cut++
	}
	var rest []jsontext.Value
	for _, raw := range items[cut:] {
		if kind, id := callOf(raw); strings.HasSuffix(kind, "_output") && open[id] > 0 {
			open[id]--
			continue
		}
		rest = append(rest, raw)
	}
	return rest
}
