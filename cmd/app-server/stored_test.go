package main

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/internal/rollout"
	"app-server/protocol"
)

// toldTurns is what a parent was told of turns: their items as they were
// completed, and their ends. It is not safe for concurrent use.
type toldTurns struct {
	items map[string][]string // by turn
	ends  map[string]string   // the turn of turn/completed
}

func newToldTurns() *toldTurns { return &toldTurns{map[string][]string{}, map[string]string{}} }

// line takes in a line of the server.
func (told *toldTurns) line(line string) {
	if !strings.Contains(line, `"item/completed"`) && !strings.Contains(line, `"turn/completed"`) {
		return
	}
	var m struct {
		Method string `json:"method"`
		Params struct {
			TurnID string         `json:"turnId"`
			Item   jsontext.Value `json:"item"`
			Turn   jsontext.Value `json:"turn"`
		} `json:"params"`
	}
	if json.Unmarshal([]byte(line), &m) != nil {
		return // checked elsewhere
	}
	switch m.Method {
	case protocol.MethodItemCompleted:
		told.items[m.Params.TurnID] = append(told.items[m.Params.TurnID], string(m.Params.Item))
	case protocol.MethodTurnCompleted:
		var turn struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(m.Params.Turn, &turn) == nil {
			told.ends[turn.ID] = string(m.Params.Turn)
		}
	}
}

// checkStored compares all turns in the files of a home with what was told of
// them: every item must be there, as it was streamed, and the turn's end. Nothing
// else may be there, unless the server ended before it could tell. Items of tools
// that ran side by side may be in another order.
func (told *toldTurns) checkStored(t *testing.T, home string) {
	t.Helper()
	store := rollout.New(home)
	_ = filepath.WalkDir(filepath.Join(home, "sessions"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".jsonl" {
			return nil
		}
		log, err := store.ReadFile(t.Context(), path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return nil
		}
		turns, err := log.Turns(t.Context(), 0, log.Len())
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for i := range turns {
			told.checkTurn(t, log, &turns[i])
		}
		return nil
	})
}

func (told *toldTurns) checkTurn(t *testing.T, log *rollout.Log, turn *protocol.Turn) {
	t.Helper()
	want, end := slices.Clone(told.items[turn.ID]), told.ends[turn.ID]
	if end == "" && len(want) == 0 {
		return // of a file that the story brought
	}
	got := []string{}
	for _, it := range turn.Items {
		got = append(got, string(it.(*rollout.Item).JSON))
	}
	notIn := func(list []string) func(string) bool {
		return func(s string) bool { return !slices.Contains(list, s) }
	}
	switch {
	case log.Meta.ForkedFrom != "": // the turn may have gone on in the original
		want = slices.DeleteFunc(want, notIn(got))
	case end == "":
		got = slices.DeleteFunc(got, notIn(want))
	}
	// A command in the background may end with the server, which tells nobody any
	// more.
	got = slices.DeleteFunc(got, func(s string) bool {
		return !slices.Contains(want, s) && strings.Contains(s, `"source":"unifiedExecStartup"`)
	})
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("turn %s of thread %s: told (-), stored (+)\n%s", turn.ID, log.Meta.ID, diff)
	}
	if end == "" || log.Meta.ForkedFrom != "" {
		return
	}
	turn.Items = []protocol.ThreadItem{}
	if raw, err := json.Marshal(turn); err != nil || string(raw) != end {
		t.Errorf("turn %s of thread %s: told %s, stored %s (%v)", turn.ID, log.Meta.ID, end, raw, err)
	}
}
