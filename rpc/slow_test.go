package rpc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// slowMux serves slow: with a text it leaves its lane and waits at the gate,
// without one it answers on it.
func slowMux(g *gate) *Mux {
	m := gateMux(g)
	HandleSlow(m, "slow", func(p *echoParams) string { return p.Key }, func(ctx context.Context, p *echoParams) (echoResult, Then, Rest[echoResult], error) {
		switch p.Text {
		case "":
			return echoResult{"at once"}, nil, nil, nil
		case "refuse":
			return echoResult{}, nil, nil, &Error{Code: -1, Message: "refused"}
		}
		p = &echoParams{Text: p.Text}
		return echoResult{}, nil, func(ctx context.Context) (echoResult, Then, error) {
			if p.Text == "panic" {
				panic("x")
			}
			r, err := g.handle(ctx, p)
			return r, nil, err
		}, nil
	})
	return m
}

// A request that waits for something slow does not hold up its lane, and is
// answered when that has come.
func TestSlowLeavesItsLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		p := start(t, slowMux(g), nil)
		p.send(req(1, "slow", "a", "s1"), req(2, "keyed", "a", "k"), req(3, "slow", "a", "s2"), req(4, "slow", "a", ""), req(5, "slow", "a", "refuse"))
		synctest.Wait()
		p.want()
		g.let("k")
		p.want(res(2, "k"), res(4, "at once"), `{"error":{"code":-1,"message":"refused"},"id":5}`)
		g.let("s2")
		p.want(res(3, "s2"))
		p.send(req(6, "slow", "a", "panic"))
		p.want(`{"error":{"code":-32603,"message":"Internal error","data":{"reason":"internal"}},"id":6}`)
		g.let("s1")
		p.want(res(1, "s1"))
		if s := p.conn.lanes; len(s.byKey)+len(s.active)+s.calls != 0 || s.bytes != 0 {
			t.Errorf("left over: %d lanes, %d active, %d calls, %d bytes", len(s.byKey), len(s.active), s.calls, s.bytes)
		}
		p.finish()
	})
}

// The end waits for it as for any other.
func TestSlowAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		p := start(t, slowMux(g), nil)
		p.send(req(1, "slow", "a", "s1"))
		synctest.Wait()
		p.in.Close()
		synctest.Wait()
		g.let("s1")
		p.want(res(1, "s1"))
		if err := <-p.result; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		p.cancel()
	})
}
