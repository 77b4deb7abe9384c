package session

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"app-server/internal/backend"
	"app-server/internal/git"
	"app-server/internal/prompt"
	"app-server/protocol"
)

// review is what belongs to a turn in which a reviewer is asked: a conversation
// beside that of the thread.
type review struct {
	target protocol.ReviewTarget
	// id is the reviewer's conversation in the eyes of the backend.
	id   string
	conv conversation
	// threads are the settings of the thread, which are not all the reviewer's.
	threads settings
	// hidden are the names of tools that the reviewer is not offered.
	hidden map[string]bool
	// said is the last message of the reviewer. Owned by the turn's goroutine.
	said string
}

// StartReview handles review/start. A review that is delivered inline interrupts
// what runs in the thread and takes its place; a detached one runs in a thread
// of its own, which begins with the history of this one. The func returned lets
// it begin.
//
// It fails with a *protocol.Error for an unknown thread and for a target that is
// empty.
func (m *Manager) StartReview(ctx context.Context, p *protocol.ReviewStartParams) (protocol.ReviewStartResponse, func(), error) {
	var none protocol.ReviewStartResponse
	t, err := m.thread(p.ThreadID)
	if err != nil {
		return none, nil, err
	}
	target, err := checkTarget(p.Target)
	if err != nil {
		return none, nil, err
	}
	turnID, err := uuid.NewV7()
	if err != nil {
		return none, nil, err
	}
	reviewID, err := uuid.NewV7()
	if err != nil {
		return none, nil, err
	}
	if p.Delivery == protocol.ReviewDetached {
		if t, err = m.beside(ctx, t); err != nil {
			return none, nil, err
		}
		view := t.view()
		if err := m.add(t); err != nil {
			t.discard()
			return none, nil, err
		}
		// Before the response, as in the reference, unlike that of thread/start.
		m.notify(m.base, protocol.MethodThreadStarted, &protocol.ThreadStartedNotification{Thread: view})
	}
	var u *turn
	then, err := t.answering(ctx, func() (then func(), err error) {
		u, err = t.startReview(turnID.String(), &review{target: target, id: reviewID.String()})
		return func() { t.post(func() { t.arm(u) }) }, err
	})
	if err != nil {
		return none, nil, err
	}
	told := newRecord(u.id)
	told.Items = append(told.Items, protocol.NewUserMessage(u.id, reviewInput(prompt.ReviewTarget(target))))
	return protocol.ReviewStartResponse{Turn: told, ReviewThreadID: t.id}, then, nil
}

// beside is a thread for a detached review: it has what t has, but for a turn
// that runs.
func (m *Manager) beside(ctx context.Context, t *thread) (*thread, error) {
	o := forkOptions{cfg: t.cfg, instructions: t.instructions, ephemeral: t.ephemeral}
	err := t.do(ctx, func() {
		o.settings = t.settings
		for _, r := range t.turns {
			if r.Status == protocol.TurnInProgress {
				o.before = r.ID
			}
		}
	})
	if err != nil {
		return nil, err
	}
	from, err := m.sourceOf(ctx, t)
	if err != nil {
		return nil, err
	}
	f, _, err := m.fork(ctx, from, o)
	return f, err
}

// checkTarget trims a target and refuses one that says nothing.
func checkTarget(r protocol.ReviewTarget) (protocol.ReviewTarget, error) {
	for _, f := range []struct {
		of   protocol.ReviewTargetType
		name string
		text *string
	}{
		{protocol.ReviewBaseBranch, "branch", &r.Branch},
		{protocol.ReviewCommit, "sha", &r.SHA},
		{protocol.ReviewCustom, "instructions", &r.Instructions},
	} {
		*f.text = strings.TrimSpace(*f.text)
		if f.of == r.Type && *f.text == "" {
			return r, protocol.Invalid(protocol.ReasonInvalidParams, "The %s of the review is empty", f.name)
		}
	}
	r.Title = strings.TrimSpace(r.Title)
	_, err := checkInput(reviewInput(r.Branch + r.SHA + r.Title + r.Instructions))
	return r, err
}

func reviewInput(text string) []protocol.UserInput {
	return []protocol.UserInput{{Type: protocol.InputText, Text: text}}
}

// startReview makes a review turn. The reviewer works in the thread's folder,
// sandbox and approval policy; tone and collaboration mode are those of the
// user's own conversation and not for it.
func (t *thread) startReview(turnID string, r *review) (*turn, error) {
	s := t.settings
	r.threads = s
	s.mode, s.modeDeveloper, s.personality = "", "", ""
	if t.cfg.ReviewModel != "" {
		s.model = t.cfg.ReviewModel
	}
	r.hidden = map[string]bool{}
	for _, d := range t.dynamic {
		r.hidden[d.Name] = true
		if d.Namespace != nil {
			r.hidden[*d.Namespace] = true
		}
	}
	u := t.newTurn(turnID, kindReview, s)
	u.review, u.task = r, u.reviewed
	return u, t.replace(u)
}

// shape makes a request one of the reviewer.
func (r *review) shape(q *backend.Request) {
	q.ThreadID, q.Subagent, q.Instructions = r.id, "review", prompt.Review()
	offered := q.Tools
	q.Tools = nil
	for _, spec := range offered {
		var tool struct {
			Type string `json:"type"`
			Name string `json:"name"`
		}
		// Neither the web nor the parent is the reviewer's to ask, as in the
		// reference.
		if err := json.Unmarshal(spec, &tool); err == nil && tool.Type != "web_search" && !r.hidden[tool.Name] {
			q.Tools = append(q.Tools, spec)
		}
	}
}

// reviewed is the task of a review turn. Whatever happens in it, the parent
// hears that the review has ended, and the model of the thread what came of it.
func (u *turn) reviewed() error {
	r := u.review
	hint := prompt.ReviewTarget(r.target)
	u.reviewMode(protocol.ItemEnteredReview, hint)
	u.conv = &r.conv
	answer := ""
	defer func() {
		// Calls that are left are the reviewer's, and its conversation is over.
		u.calls, u.conv = nil, &u.th.conv
		text, note := prompt.NoReview(), prompt.ReviewMissing(hint)
		if answer != "" {
			text, note = renderReview(answer), prompt.Reviewed(hint)
		}
		u.reviewMode(protocol.ItemExitedReview, text)
		u.remember(messageItem(roleUser, textPart(note)))
		u.remember(messageItem(roleAssistant, part{Type: "output_text", Text: text}))
		said := protocol.NewAgentMessage(uuid.NewString(), text, nil)
		u.itemStarted(said)
		u.itemCompleted(said)
	}()
	mergeBase := ""
	if r.target.Type == protocol.ReviewBaseBranch {
		// Without an answer the reviewer is told to find out by itself.
		mergeBase, _ = git.MergeBase(u.ctx, u.set.place(), r.target.Branch, u.th.m.getenv)
	}
	task := reviewInput(prompt.ReviewTask(r.target, mergeBase))
	if err := u.converse([]steer{{input: task, chars: inputChars(task)}}); err != nil {
		return err
	}
	answer = r.said
	return nil
}

// keeps reports whether an item is not shown as it is: what the reviewer says
// comes as the end of the review. (The reference starts an item for each message
// of the reviewer that it never ends.)
func (u *turn) keeps(it *modelItem) bool { return u.review != nil && it.Type == itemMessage }

func (u *turn) reviewMode(kind protocol.ItemType, text string) {
	item := &protocol.ReviewModeItem{Type: kind, ID: uuid.NewString(), Review: text}
	u.itemStarted(item)
	u.itemCompleted(item)
}

// reviewAnswer is what a reviewer is asked for.
type reviewAnswer struct {
	Findings []struct {
		Title    string `json:"title"`
		Body     string `json:"body"`
		Location struct {
			Path  string `json:"absolute_file_path"`
			Lines struct {
				Start int64 `json:"start"`
				End   int64 `json:"end"`
			} `json:"line_range"`
		} `json:"code_location"`
	} `json:"findings"`
	Explanation string `json:"overall_explanation"`
}

// renderReview turns the reviewer's answer into text. One that is not what was
// asked for is taken as it is.
func renderReview(answer string) string {
	raw := answer
	if from, to := strings.Index(raw, "{"), strings.LastIndex(raw, "}"); from >= 0 && to > from {
		raw = raw[from : to+1] // some models put a fence around it
	}
	var a reviewAnswer
	if err := json.Unmarshal(jsontext.Value(raw), &a, rawOptions); err != nil {
		return answer
	}
	var parts []string
	if text := strings.TrimSpace(a.Explanation); text != "" {
		parts = append(parts, text)
	}
	if len(a.Findings) > 0 {
		parts = append(parts, "Findings:")
	}
	for _, f := range a.Findings {
		line := "- " + strings.TrimSpace(f.Title)
		if l := f.Location; l.Path != "" {
			line += fmt.Sprintf(" — %s:%d-%d", l.Path, l.Lines.Start, l.Lines.End)
		}
		if body := strings.TrimSpace(f.Body); body != "" {
			line += "\n  " + strings.ReplaceAll(body, "\n", "\n  ")
		}
		parts = append(parts, line)
	}
	if len(parts) == 0 {
		return answer
	}
	return strings.Join(parts, "\n\n")
}
