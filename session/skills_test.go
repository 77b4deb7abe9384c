package session

import (
	"context"
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
