package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

type outcome struct {
	Result string
	Err    *Error
	Other  string
}

// ask asks on a goroutine of its own; the outcome comes through the channel.
func (p *parent) ask(ctx context.Context, method string, params any) <-chan outcome {
	ch := make(chan outcome, 1)
	go func() {
		_, result, err := p.conn.Ask(ctx, method, params)
		o := outcome{Result: string(result)}
		if err != nil && !errors.As(err, &o.Err) {
			o.Other = err.Error()
		}
		ch <- o
	}()
	synctest.Wait()
	return ch
}

func (p *parent) outcome(ch <-chan outcome, want outcome) {
	p.t.Helper()
	synctest.Wait()
	select {
	case got := <-ch:
		if d := cmp.Diff(want, got); d != "" {
			p.t.Errorf("outcome (-want +got):\n%s", d)
		}
	default:
		p.t.Error("the ask is still waiting")
	}
}

func (p *parent) open(ch <-chan outcome) {
	p.t.Helper()
	synctest.Wait()
	select {
	case got := <-ch:
		p.t.Errorf("the ask ended: %+v", got)
	default:
	}
}

func TestAskAnswers(t *testing.T) {
	for _, tt := range []struct {
		answer string
		want   outcome
	}{
		{`{"id":0,"result":{"z":1,"a":[1.50,"<é>"]}}`, outcome{Result: `{"z":1,"a":[1.50,"<é>"]}`}},
		{`{"jsonrpc":"2.0","result":{},"id":0}`, outcome{Result: `{}`}},
		{`{"id":0,"result":null}`, outcome{Result: `null`}},
		{`{"id":0,"result":{"a":1},"error":null}`, outcome{Result: `{"a":1}`}},
		{`{"id":0,"result":{"a":1},"error":{"code":1,"message":"m"}}`, outcome{Result: `{"a":1}`}},
		{`{"id":0,"method":7,"result":3}`, outcome{Result: `3`}},
		{`{"id":0,"result":"cut \ud83d"}`, outcome{Result: `"cut \ufffd"`}},
		{`{"id":0,"error":{"code":-32001,"message":"relogin needed","data":{"b":1,"a":2}}}`, outcome{Err: &Error{Code: -32001, Message: "relogin needed", Data: jsontext.Value(`{"b":1,"a":2}`)}}},
		{`{"id":0,"result":null,"error":{"code":4,"message":"old style"}}`, outcome{Err: &Error{Code: 4, Message: "old style"}}},
		{`{"id":0,"error":{"message":"no code"}}`, outcome{Err: &Error{Message: "no code"}}},
		{`{"id":0,"error":{"code":5}}`, outcome{Err: &Error{Code: 5}}},
		{`{"id":0,"error":{"code":"5","message":6}}`, outcome{Err: &Error{}}},
		{`{"id":0,"error":{"code":7.0,"message":"float"}}`, outcome{Err: &Error{Code: 7, Message: "float"}}},
		{`{"id":0,"error":{"code":1e300}}`, outcome{Err: &Error{}}},
		{`{"id":0,"error":{}}`, outcome{Err: &Error{}}},
		{`{"id":0,"error":null}`, outcome{Err: &Error{}}},
		{`{"id":0,"error":"words \u00e9"}`, outcome{Err: &Error{Message: "words é"}}},
		{`{"id":0,"error":[1]}`, outcome{Err: &Error{}}},
		{"{\"id\":0,\"result\":\"\xff\"}", outcome{Err: errBadUTF8}},
		{`{"id":0,"result":1,"result":2}`, outcome{Err: errDuplicate}},
		{`{"id":0,"result":"` + strings.Repeat("x", 10_000) + `"}`, outcome{Err: errLineTooLong}},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := start(t, echoMux(), func(o *Options) { o.Limits.Line = 5000 })
			ch := p.ask(t.Context(), "ask/it", map[string]any{"b": "<1>", "a": 2})
			p.want(`{"method":"ask/it","id":0,"params":{"a":2,"b":"<1>"}}`)
			p.open(ch)
			p.send(tt.answer)
			p.outcome(ch, tt.want)
			p.send(tt.answer) // a double answer does no harm
			p.send(alive)
			p.want(aliveOK)
			p.finish()
		})
	}
}

// What must not end a question.
func TestAskGoesOnWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, echoMux(), nil)
		ch := p.ask(t.Context(), "ask/it", nil)
		p.want(`{"method":"ask/it","id":0}`)
		for _, line := range []string{
			`{"id":"0","result":{}}`, `{"id":1,"result":{}}`, `{"id":-1,"result":{}}`, `{"id":0.0,"result":{}}`,
			`{"id":null,"result":{}}`, `{"result":{}}`, `{"error":{"code":1,"message":"m"}}`, `{"id":null,"error":{}}`,
			`{"id":18446744073709551616,"result":{}}`, `{"id":-9223372036854775808,"error":{}}`,
		} {
			p.send(line)
			p.open(ch)
		}
		p.want()
		p.send(`{"id":0,"method":"echo"}`) // a request with the same id is another thing
		p.open(ch)
		p.want(`{"id":0,"result":{"text":""}}`)
		p.send(`{"id":0}`) // neither method nor result
		p.open(ch)
		p.want(invalid("0", "no method of type string"))
		p.send(`{"id":0,"result":true}`)
		p.outcome(ch, outcome{Result: "true"})
		p.finish()
	})
}

func TestAskIDsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, echoMux(), nil)
		var chs []<-chan outcome
		for i := range 3 {
			chs = append(chs, p.ask(t.Context(), "ask/it", i))
		}
		p.want(`{"method":"ask/it","id":0,"params":0}`, `{"method":"ask/it","id":1,"params":1}`, `{"method":"ask/it","id":2,"params":2}`)
		p.send(`{"id":2,"result":"c"}`, `{"id":0,"error":{"code":1,"message":"a"}}`, `{"id":1,"result":"b"}`)
		p.outcome(chs[0], outcome{Err: &Error{Code: 1, Message: "a"}})
		p.outcome(chs[1], outcome{Result: `"b"`})
		p.outcome(chs[2], outcome{Result: `"c"`})
		p.ask(t.Context(), "ask/it", nil)
		p.want(`{"method":"ask/it","id":3}`)
		p.finish()
	})
}

func TestAskTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, echoMux(), nil)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		ch := p.ask(ctx, "ask/it", nil)
		p.want(`{"method":"ask/it","id":0}`)
		time.Sleep(10*time.Second - 1)
		p.open(ch)
		time.Sleep(time.Nanosecond)
		p.outcome(ch, outcome{Other: context.DeadlineExceeded.Error()})
		p.send(`{"id":0,"result":"late"}`, `{"id":0,"result":"later"}`)
		next := p.ask(t.Context(), "ask/it", nil)
		p.open(next)
		p.want(`{"method":"ask/it","id":1}`)
		p.send(`{"id":1,"result":"good"}`)
		p.outcome(next, outcome{Result: `"good"`})
		if n := p.logs.FilterMessage("answer to no open request").Len(); n != 2 {
			t.Errorf("late answers logged %d times", n)
		}
		if _, _, err := p.conn.Ask(ctx, "ask/it", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a dead context: %v", err)
		}
		p.want()
		p.finish()
	})
}

// A parent that never answers must cost nothing for good.
func TestAbandonedAsksAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, echoMux(), nil)
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			ch := p.ask(ctx, "ask/it", nil)
			cancel()
			p.outcome(ch, outcome{Other: context.Canceled.Error()})
		}
		synctest.Wait()
		if p.conn.stream.leftOver.Load() || len(p.conn.stream.abandoned) != 0 {
			t.Error("ids of abandoned asks are left over")
		}
		if n := p.logs.Len(); n != 0 {
			t.Errorf("%d log entries", n)
		}
		p.finish()
	})
}

func TestAskAtEndOfInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, echoMux(), func(o *Options) {
			o.Drain = func(ctx context.Context) { time.Sleep(100 * time.Millisecond) }
		})
		a, b := p.ask(t.Context(), "ask/it", 1), p.ask(t.Context(), "ask/it", 2)
		// An answer on the last line is taken, the other question fails at once.
		began := time.Now()
		go p.in.Write([]byte(`{"id":1,"result":"last"}`))
		synctest.Wait()
		p.in.Close()
		p.outcome(a, outcome{Other: ErrClosed.Error()})
		p.outcome(b, outcome{Result: `"last"`})
		if time.Since(began) != 0 {
			t.Errorf("it took %v", time.Since(began))
		}
		p.outcome(p.ask(t.Context(), "ask/it", 3), outcome{Other: ErrClosed.Error()})
		p.finish()
		p.outcome(p.ask(t.Context(), "ask/it", 4), outcome{Other: ErrClosed.Error()})
	})
}

// The answer is there, and the end of the input as well: the answer wins.
func TestAnswerWinsOverEnd(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			p := start(t, echoMux(), nil)
			ch := p.ask(t.Context(), "ask/it", nil)
			go func() {
				p.in.Write([]byte("{\"id\":0,\"result\":1}\n"))
				p.in.Close()
			}()
			p.outcome(ch, outcome{Result: "1"})
			p.finish()
		})
	}
}

func TestAskParamsThatDoNotEncode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, echoMux(), nil)
		if _, _, err := p.conn.Ask(t.Context(), "ask/it", make(chan int)); err == nil {
			t.Error("a channel was sent")
		}
		if err := p.conn.Notify(t.Context(), "note/it", make(chan int)); err == nil {
			t.Error("a channel was sent")
		}
		p.want()
		p.finish()
	})
}

// Asks do not wait while the parent reads nothing, and are answered whatever
// the lanes do.
func TestAskWhileLaneIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := NewMux(Hooks{})
		var conn *Conn
		Handle(mux, "ask", Fixed[echoParams]("one"), func(ctx context.Context, p *echoParams) (echoResult, error) {
			_, v, err := conn.Ask(ctx, "ask/it", nil)
			return echoResult{string(v)}, err
		})
		p := start(t, mux, nil)
		conn = p.conn
		p.send(`{"id":1,"method":"ask"}`, `{"id":2,"method":"ask"}`)
		p.want(`{"method":"ask/it","id":0}`)
		p.send(`{"id":0,"result":5}`)
		p.want(`{"id":1,"result":{"text":"5"}}`, `{"method":"ask/it","id":1}`)
		p.send(`{"id":1,"error":{"code":-7,"message":"no","data":[1]}}`)
		p.want(`{"error":{"code":-7,"message":"no","data":[1]},"id":2}`)
		p.finish()
	})
}

func ExampleError() {
	fmt.Println((&Error{Code: -32001, Message: "relogin needed"}).Error())
	fmt.Println((&Error{Code: 5}).Error())
	// Output:
	// relogin needed
	// error 5 without a message
}
