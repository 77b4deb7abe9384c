package session

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"app-server/internal/config"
	"app-server/internal/skills"
	"app-server/protocol"
)

// A list that an interrupt has cut off is not taken for the whole.
func TestSkillsAreLookedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig)
		defer w.Shutdown(t.Context())
		var stop context.CancelFunc
		looks := 0
		w.skills = func(ctx context.Context, cwd string, _ *config.Config) []skills.Skill {
			if looks++; stop != nil {
				stop()
				return nil
			}
			return []skills.Skill{{SkillMetadata: protocol.SkillMetadata{Name: "s", Description: "d", Path: cwd + "/s"}}}
		}
		w.start(`{}`)
		th := w.live(w.thread)
		ctx, cancel := context.WithCancel(t.Context())
		u := &turn{th: th, set: th.settings, ctx: ctx}
		stop = cancel
		cut := u.skillsFor(docs{})
		u.ctx, stop = t.Context(), nil
		whole := u.skillsFor(cut)
		if again := u.skillsFor(whole); cut != (docs{}) || whole.text == "" || again != whole || looks != 2 {
			t.Errorf("%+v, %+v, %d looks", cut, whole, looks)
		}
	})
}

// TestSkillSteeredBeforeInterrupt: a skill that is named in words which an interrupt
// has kept from the model is given to it with them.
func TestSkillSteeredBeforeInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		w := newWorld(t, testConfig, reply{gate})
		defer w.Shutdown(t.Context())
		path := filepath.Join(w.home, "SKILL.md")
		if err := os.WriteFile(path, []byte("How to do it."), 0o600); err != nil {
			t.Fatal(err)
		}
		w.skills = func(ctx context.Context, _ string, _ *config.Config) []skills.Skill {
			if ctx.Err() != nil {
				return nil // as far as it has come
			}
			return []skills.Skill{{SkillMetadata: protocol.SkillMetadata{Name: "s", Description: "d", Path: path}}}
		}
		w.start(`{}`)
		id := w.begin("q")
		synctest.Wait()
		p := decode[protocol.TurnSteerParams](t, `{"threadId":"`+w.thread+`","expectedTurnId":"`+id+`","input":[{"type":"skill","name":"s","path":"`+path+`"}]}`)
		_, then, err := w.SteerTurn(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		then()
		if err := w.interrupt(id); err != nil {
			t.Fatal(err)
		}
		w.parent.until(t, protocol.MethodTurnCompleted)
		w.ok("again")
		if said := strings.Join(said(w.model.request(-1)), "\n"); !strings.Contains(said, "How to do it.") {
			t.Errorf("the model was told %s", said)
		}
		for _, n := range w.parent.all(protocol.MethodWarning) {
			if strings.Contains(n.get("message"), "skill") {
				t.Errorf("warned: %s", n.Params)
			}
		}
	})
}
