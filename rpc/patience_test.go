package rpc

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never, soon, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
		close(ended)
		begin := time.Now()
		time.AfterFunc(25*time.Millisecond, func() { close(soon) })
		p := &patience{100 * time.Millisecond}
		for _, step := range []struct {
			name string
			ch   chan struct{}
			d    time.Duration
			want bool
			left time.Duration
		}{
			{"comes in time", soon, 50 * time.Millisecond, true, 75 * time.Millisecond},
			{"has come", ended, 50 * time.Millisecond, true, 75 * time.Millisecond},
			{"does not come", never, 52 * time.Millisecond, false, 23 * time.Millisecond},
			{"what is left is less", never, time.Hour, false, 0},
			{"nothing is left", never, time.Hour, false, 0},
			{"nothing is left, but it has come", ended, time.Hour, true, 0},
		} {
			if got := p.wait(step.ch, step.d); got != step.want || p.left != step.left {
				t.Errorf("%s: %v with %v left, want %v with %v", step.name, got, p.left, step.want, step.left)
			}
		}
		if took := time.Since(begin); took != 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}
