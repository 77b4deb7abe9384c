package fake

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Names of the checks that a story may leave out.
const (
	checkTurns   = "turns"
	checkAnswers = "answers"
	checkItems   = "items"
)

// checkAll makes the checks that every story gets for free. It runs after the
// server has exited.
func (r *runner) checkAll() error {
	lines := r.out.all()
	err := errors.Join(r.checkLines(lines), r.checkNever(lines), r.checkSecrets(lines), r.checkPassing(), r.checkBackend())
	if !r.story.Unchecked[checkTurns] {
		err = errors.Join(err, r.checkTurns(lines))
	}
	if !r.story.Unchecked[checkItems] {
		err = errors.Join(err, r.checkItems(lines))
	}
	if !r.story.Unchecked[checkAnswers] {
		err = errors.Join(err, r.checkAnswers(lines))
	}
	if err != nil {
		return fmt.Errorf("%s: after the end:\n%w", r.story.Path, err)
	}
	return nil
}

// checkLines wants one JSON object a line, without a jsonrpc member, and no id
// used twice by the server.
func (r *runner) checkLines(lines []*outLine) error {
	asked := map[string]bool{}
	for _, l := range lines {
		o, ok := l.value.(map[string]any)
		if !ok || o == nil {
			return fmt.Errorf("stdout has a line that is no JSON object: %q", clip(l.raw))
		}
		if _, ok := o["jsonrpc"]; ok {
			return fmt.Errorf("stdout has a jsonrpc member: %s", clip(l.raw))
		}
		if o["method"] == nil || o["id"] == nil {
			continue
		}
		id := encodeJSON(o["id"])
		if asked[id] {
			return fmt.Errorf("the server used request id %s twice", id)
		}
		asked[id] = true
	}
	return nil
}

func (r *runner) checkNever(lines []*outLine) error {
	for _, n := range r.never {
		for _, l := range lines {
			if r.fits(n.pattern, l) {
				return fmt.Errorf("%s\n  came: %s", n.line, clip(l.raw))
			}
		}
	}
	return nil
}

// checkBackend wants a reply for every request of a turn, so that no story
// passes by chance.
func (r *runner) checkBackend() error {
	for i, q := range r.backend.Requests() {
		if isTurn(&q) && !q.Scripted {
			return fmt.Errorf("request %d at the backend found no reply", i+1)
		}
	}
	return nil
}

// checkAnswers wants exactly one answer for each request of the story.
func (r *runner) checkAnswers(lines []*outLine) error {
	want, got := map[string]int{}, map[string]int{}
	for _, q := range r.sent {
		want[q.id]++
	}
	for _, l := range lines {
		o, _ := l.value.(map[string]any)
		if id, ok := o["id"]; ok && id != nil && o["method"] == nil {
			got[encodeJSON(id)]++
		}
	}
	for _, q := range r.sent {
		if want[q.id] != got[q.id] {
			return fmt.Errorf("request %s (%s): %d answers, want %d", q.id, q.method, got[q.id], want[q.id])
		}
	}
	return nil
}

// checkTurns wants exactly one turn/completed for each turn that was promised
// in an answer or started.
func (r *runner) checkTurns(lines []*outLine) error {
	asked := map[string]bool{} // ids of turn/start requests
	for _, q := range r.sent {
		if q.method == "turn/start" {
			asked[q.id] = true
		}
	}
	begun, ended := []string{}, map[string]int{}
	for _, l := range lines {
		o, _ := l.value.(map[string]any)
		switch {
		case o["method"] == "turn/started":
			begun = append(begun, turnID(o["params"]))
		case o["method"] == "turn/completed":
			ended[turnID(o["params"])]++
		case o["method"] == nil && o["id"] != nil && asked[encodeJSON(o["id"])] && o["result"] != nil:
			begun = append(begun, turnID(o["result"]))
		}
	}
	for _, id := range begun {
		if ended[id] != 1 {
			return fmt.Errorf("turn %s: %d turn/completed, want 1", id, ended[id])
		}
	}
	for id, n := range ended {
		if !slices.Contains(begun, id) || n != 1 {
			return fmt.Errorf("turn %s: %d turn/completed, but it never began", id, n)
		}
	}
	return nil
}

func turnID(v any) string {
	o, _ := v.(map[string]any)
	turn, _ := o["turn"].(map[string]any)
	id, _ := turn["id"].(string)
	return id
}

// checkSecrets wants no secret of the story on stderr, in a file, or on stdout.
// Of a token its claims are searched for too.
func (r *runner) checkSecrets(lines []*outLine) error {
	for _, s := range r.story.secrets {
		needles := []string{s.value}
		if parts := strings.Split(s.value, "."); len(parts) == 3 && len(parts[1]) >= minSecret {
			needles = append(needles, parts[1])
		}
		for _, needle := range needles {
			if !r.story.Stores[s.name] {
				place, err := r.findLeak(needle)
				if err != nil {
					return err
				}
				if place != "" {
					return fmt.Errorf("secret %s stands in %s", s.name, place)
				}
			}
			if r.story.Shows[s.name] {
				continue
			}
			for _, l := range lines {
				if strings.Contains(l.raw, needle) {
					return fmt.Errorf("secret %s stands on stdout: %s", s.name, clip(r.transcript.hide(l.raw)))
				}
			}
		}
	}
	return nil
}

// checkPassing wants none of the secrets that came by at the provider on stderr
// or in a file.
func (r *runner) checkPassing() error {
	if r.backend.Provider == nil {
		return nil
	}
	for _, s := range r.backend.Provider.Secrets() {
		if len(s) < minSecret {
			continue
		}
		if place, err := r.findLeak(s); err != nil || place != "" {
			return fmt.Errorf("a code, verifier or state stands in %s (%v)", place, err)
		}
	}
	return nil
}

// findLeak searches stderr and all files below home and project.
func (r *runner) findLeak(text string) (place string, err error) {
	if strings.Contains(r.stderr(), text) {
		return "stderr", nil
	}
	for _, root := range []string{r.home, r.project} {
		err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if err == nil && bytes.Contains(data, []byte(text)) {
				place, _ = filepath.Rel(r.opts.Dir, path)
				return filepath.SkipAll
			}
			return err
		})
		if place != "" || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return place, err
		}
	}
	return "", nil
}
