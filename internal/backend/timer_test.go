package backend

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// memory is a listener whose connections are pipes, so that a backend and its
// client live in one synctest bubble, where waiting costs nothing.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemory() *memory { return &memory{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { m.once.Do(func() { close(m.closed) }); return nil }
func (m *memory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case m.conns <- theirs:
		return ours, nil
	case <-m.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bubble runs do with a client and a backend in memory.
func bubble(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request), do func(t *testing.T, c *Client, r *Request)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var n atomic.Int32
		backend := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			answer(int(n.Add(1))-1, w, r)
		})}
		var done sync.WaitGroup
		done.Go(func() { _ = backend.Serve(m) })
		transport, err := NewTransport(func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		transport.DialContext = m.dial
		do(t, New(Options{Transport: transport, Credentials: signedInAs(firstToken)}),
			&Request{Provider: Provider{ID: "mock", BaseURL: "http://memory/v1", RequiresAuth: true, StreamIdleTimeout: 5 * time.Second}, ThreadID: "t", Model: "m"})
		transport.CloseIdleConnections()
		_ = backend.Close()
		done.Wait()
		time.Sleep(time.Minute) // fake: handlers that were asleep see that their client has gone
		synctest.Wait()
	})
}

func flush(w http.ResponseWriter, text string) {
	_, _ = io.WriteString(w, text)
	w.(http.Flusher).Flush()
}

func TestIdleInMidStream(t *testing.T) {
	bubble(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		events(w, deltaEvent)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, func(t *testing.T, c *Client, r *Request) {
		start := time.Now()
		list, fail := collect(t, c, t.Context(), r)
		if len(list) != 2 || fail == nil || fail.Kind != KindStreamDisconnected || fail.Retry != RetryStream || fail.Message != "The backend was silent for 5s" {
			t.Errorf("%+v %+v", list, fail)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestIdleBeforeTheHeaders(t *testing.T) {
	bubble(t, func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(t *testing.T, c *Client, r *Request) {
		r.Provider.RequestMaxRetries = 3 // silence is not repeated in silence
		start := time.Now()
		_, fail := collect(t, c, t.Context(), r)
		if fail == nil || fail.Kind != KindStreamDisconnected || fail.Message != "The backend at http://memory/v1/responses sent no answer within 5s" || !errors.Is(fail, errIdle) {
			t.Errorf("%+v", fail)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// A proxy, or anything else, that takes the connection and never says a word.
func TestPeerThatNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var held []net.Conn
		var done sync.WaitGroup
		done.Go(func() {
			for {
				c, err := m.Accept()
				if err != nil {
					return
				}
				held = append(held, c)
			}
		})
		transport, err := NewTransport(func(name string) string { return map[string]string{"HTTP_PROXY": "http://proxy:1"}[name] })
		if err != nil {
			t.Fatal(err)
		}
		transport.DialContext = m.dial
		c := New(Options{Transport: transport})
		start := time.Now()
		fail := mustFail(t, c, &Request{Provider: Provider{BaseURL: "http://host/v1", StreamIdleTimeout: 7 * time.Second}})
		if fail.Kind != KindStreamDisconnected || time.Since(start) != 7*time.Second {
			t.Errorf("%+v after %v", fail, time.Since(start))
		}
		m.Close()
		done.Wait()
		for _, c := range held {
			c.Close()
		}
	})
}

func TestAnyByteResetsTheIdleClock(t *testing.T) {
	for name, sign := range map[string]string{"comments": ": still here\n\n", "single bytes": ":", "unknown events": "data: {\"type\":\"x\"}\n\n"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				events(w)
				for range 10 {
					time.Sleep(4 * time.Second)
					flush(w, sign)
				}
				_, _ = io.WriteString(w, "\n\n"+sseText(doneEvent))
			}, func(t *testing.T, c *Client, r *Request) {
				start := time.Now()
				if list, fail := collect(t, c, t.Context(), r); fail != nil || len(list) != 2 {
					t.Errorf("%+v %+v", list, fail)
				}
				if took := time.Since(start); took != 40*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// A caller that takes its time with an event is not a silent backend.
func TestIdleClockRestsWithTheCaller(t *testing.T) {
	bubble(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			events(w, deltaEvent)
			w.(http.Flusher).Flush()
		}
		events(w, doneEvent)
	}, func(t *testing.T, c *Client, r *Request) {
		for e, err := range c.Stream(t.Context(), r) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == EventTextDelta {
				time.Sleep(time.Minute)
			}
		}
	})
}

func TestSilentRepeatsPause(t *testing.T) {
	var at []time.Time
	bubble(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		at = append(at, time.Now())
		switch n {
		case 2:
			w.Header().Set("Retry-After", "3")
			fallthrough
		case 0, 1:
			w.WriteHeader(503)
		default:
			good(w)
		}
	}, func(t *testing.T, c *Client, r *Request) {
		r.Provider.RequestMaxRetries = 3
		mustComplete(t, c, r)
	})
	for i, want := range []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 3 * time.Second} {
		got := at[i+1].Sub(at[i])
		if got < want*9/10 || got > want*11/10 {
			t.Errorf("pause %d: %v, want about %v", i+1, got, want)
		}
	}
}

func TestCancelDuringThePause(t *testing.T) {
	bubble(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "10")
		w.WriteHeader(503)
	}, func(t *testing.T, c *Client, r *Request) {
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		r.Provider.RequestMaxRetries = 3
		start := time.Now()
		_, fail := collect(t, c, ctx, r)
		if fail == nil || fail.Kind != KindCanceled || !errors.Is(fail, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
			t.Errorf("%+v after %v", fail, time.Since(start))
		}
	})
}

func TestErrorBodyThatDribbles(t *testing.T) {
	bubble(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		flush(w, `{"error":{"message":"MARKER"}}`)
		for r.Context().Err() == nil {
			time.Sleep(time.Second)
			flush(w, " ")
		}
	}, func(t *testing.T, c *Client, r *Request) {
		start := time.Now()
		fail := mustFail(t, c, r)
		if took := time.Since(start); took > errorBodyTime+time.Second || fail.Kind != KindBadRequest || fail.Message != "The backend refused the request (400 Bad Request): MARKER" {
			t.Errorf("%+v after %v", fail, took)
		}
	})
}

func TestUsageIsBoundedInTime(t *testing.T) {
	for name, answer := range map[string]func(_ int, w http.ResponseWriter, r *http.Request){
		"no headers": func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"dribbling": func(_ int, w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				flush(w, " ")
				time.Sleep(time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, answer, func(t *testing.T, c *Client, _ *Request) {
				start := time.Now()
				_, err := c.Usage(t.Context(), "http://memory/backend-api")
				var fail *Error
				if !errors.As(err, &fail) || fail.Kind != KindStreamDisconnected || time.Since(start) != usageTime {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
}
