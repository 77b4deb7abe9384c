package backend

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

func TestStreamOfEvents(t *testing.T) {
	stream := ": hello\r\nevent: response.created\r\ndata: {\"type\":\"response.created\"}\r\n\r\n" +
		"id: 3\nretry: 10\ndata: {\"type\":\ndata: \"response.output_text.delta\",\"delta\":\"a\"}\n\n" + // one event in two lines
		"data: {\"type\":\"response.future\"}\n\ndata: {not json\n\ndata: [DONE]\n\nevent: ping\n\n:\n\n" +
		"data: {\"type\":\"response.output_text.delta\",\"delta\":\"b\"}\r\rdata: " + doneEvent + "\n\n"
	s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "Text/Event-Stream; charset=utf-8")
		w.Header().Set("X-Codex-Primary-Used-Percent", "42.5")
		for _, c := range []byte(stream) { // a byte at a time
			_, _ = w.Write([]byte{c})
			w.(http.Flusher).Flush()
		}
	})
	got := mustComplete(t, client(t, Options{Credentials: signedInAs(firstToken)}), s.request())
	want := []Event{
		{Kind: EventStarted, Limits: &RateLimits{LimitID: "codex", Primary: &Window{UsedPercent: 42.5}}},
		{Kind: EventTextDelta, Delta: "a"},
		{Kind: EventTextDelta, Delta: "b"},
		{Kind: EventCompleted, Response: &Completed{ID: "resp-1", Usage: &Usage{10, 4, 5, 2, 15}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStreamCut(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"at an event's end": func(w http.ResponseWriter) { events(w, deltaEvent) },
		"within an event": func(w http.ResponseWriter) {
			events(w, deltaEvent)
			_, _ = io.WriteString(w, "data: "+doneEvent)
		},
		"by a reset": func(w http.ResponseWriter) {
			events(w, deltaEvent)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"before anything": func(w http.ResponseWriter) { events(w) },
		"without a type": func(w http.ResponseWriter) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, sseText(deltaEvent))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { answer(w) })
			r := s.request()
			r.Provider.RequestMaxRetries = 3 // these cover requests, not streams
			fail := mustFail(t, client(t, Options{Credentials: signedInAs(firstToken)}), r)
			if fail.Kind != KindStreamDisconnected || fail.Retry != RetryStream || fail.Err == nil || len(s.requests()) != 1 {
				t.Errorf("%+v, %d requests", fail, len(s.requests()))
			}
		})
	}
}

// The last word ends the stream although the socket stays open.
func TestLastEventEndsTheStream(t *testing.T) {
	for name, data := range map[string]string{
		"completed":  doneEvent,
		"failed":     `{"type":"response.failed","response":{"error":{"message":"MARKER-7"}}}`,
		"incomplete": `{"type":"response.incomplete","response":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			gone := make(chan struct{})
			s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				events(w, data)
				w.(http.Flusher).Flush()
				<-r.Context().Done() // until the client has closed
				close(gone)
			})
			list, fail := collect(t, client(t, Options{Credentials: signedInAs(firstToken)}), t.Context(), s.request())
			if (name == "completed") != (fail == nil) || (fail == nil && len(list) != 2) {
				t.Error(list, fail)
			}
			if name == "failed" && !strings.Contains(fail.Message, "MARKER-7") {
				t.Error(fail.Message)
			}
			<-gone
		})
	}
}

func TestLeavingTheLoopClosesTheBody(t *testing.T) {
	gone := make(chan struct{}, 2)
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		events(w, deltaEvent)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	})
	c := client(t, Options{Credentials: signedInAs(firstToken)})
	for e, err := range c.Stream(t.Context(), s.request()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == EventTextDelta {
			break
		}
	}
	<-gone
	for range c.Stream(t.Context(), s.request()) { // at the first event
		break
	}
	<-gone
}

func TestCancel(t *testing.T) {
	s := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 0 {
			events(w, deltaEvent)
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	})
	c := client(t, Options{Credentials: signedInAs(firstToken)})
	ctx, cancel := context.WithCancel(t.Context())
	var fail *Error
	for e, err := range c.Stream(ctx, s.request()) {
		if e.Kind == EventTextDelta {
			cancel()
		}
		errors.As(err, &fail)
	}
	if fail == nil || fail.Kind != KindCanceled || !errors.Is(fail, context.Canceled) || fail.Retry != RetryNever {
		t.Errorf("in mid-stream: %+v", fail)
	}

	ctx, cancel = context.WithCancel(t.Context()) // while the headers are awaited
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { cancel() }})
	if _, fail := collect(t, c, ctx, s.request()); fail == nil || !errors.Is(fail, context.Canceled) {
		t.Errorf("before the headers: %+v", fail)
	}

	n := len(s.requests())
	if _, fail := collect(t, c, ctx, s.request()); fail == nil || fail.Kind != KindCanceled || len(s.requests()) != n {
		t.Errorf("before sending: %+v", fail)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"completed": good,
		"completed, more after it": func(w http.ResponseWriter) {
			events(w, doneEvent, "[DONE]")
			w.(http.Flusher).Flush()
		},
		"refused": func(w http.ResponseWriter) { http.Error(w, `{"error":{"message":"no"}}`, 400) },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { answer(w) })
			c := client(t, Options{Credentials: signedInAs(firstToken)})
			var fresh atomic.Int32
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
				if !i.Reused {
					fresh.Add(1)
				}
			}})
			for range 5 {
				collect(t, c, ctx, s.request())
			}
			if n := fresh.Load(); n != 1 {
				t.Errorf("%d connections for 5 requests", n)
			}
		})
	}
}

// A kept connection that the peer has closed meanwhile costs no turn.
func TestClosedKeptConnection(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { good(w) })
	c := client(t, Options{Credentials: signedInAs(firstToken)})
	for range 20 {
		mustComplete(t, c, s.request())
		s.CloseClientConnections()
	}
}

func TestContentEncodings(t *testing.T) {
	plain := sseText(deltaEvent, deltaEvent, doneEvent)
	pack := func(open func(w io.Writer) io.WriteCloser) string {
		var b bytes.Buffer
		w := open(&b)
		_, _ = io.WriteString(w, plain)
		_ = w.Close()
		return b.String()
	}
	gz := pack(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	zs := pack(func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z })
	for name, test := range map[string]struct{ encoding, body string }{
		"none":         {"", plain},
		"identity":     {"identity", plain},
		"gzip":         {"GZIP", gz},
		"zstd":         {"zstd", zs},
		"zlib":         {"deflate", pack(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })},
		"bare deflate": {"deflate", pack(func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 6); return f })},
		"two":          {"identity, gzip", gz},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("Content-Encoding", test.encoding)
				_, _ = io.WriteString(w, test.body)
			})
			c := client(t, Options{Credentials: signedInAs(firstToken)})
			if list := mustComplete(t, c, s.request()); len(list) != 4 {
				t.Errorf("%d events", len(list))
			}
		})
	}
	t.Run("torn", func(t *testing.T) {
		for _, body := range []string{gz[:len(gz)/2], "not gzip at all", ""} {
			s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = io.WriteString(w, body)
			})
			if fail := mustFail(t, client(t, Options{Credentials: signedInAs(firstToken)}), s.request()); fail.Kind != KindStreamDisconnected {
				t.Errorf("%+v", fail)
			}
		}
	})
	t.Run("refusal", func(t *testing.T) {
		s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(400)
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, `{"error":{"message":"MARKER"}}`)
			_ = z.Close()
		})
		if fail := mustFail(t, client(t, Options{Credentials: signedInAs(firstToken)}), s.request()); !strings.HasSuffix(fail.Message, "MARKER") {
			t.Error(fail.Message)
		}
	})
}

// Packed events arrive when they are flushed, not when the stream is over.
func TestPackedEventsAreNotHeldBack(t *testing.T) {
	type flusher interface {
		io.Writer
		Flush() error
	}
	for name, open := range map[string]func(w io.Writer) flusher{
		"gzip": func(w io.Writer) flusher { return gzip.NewWriter(w) },
		"zstd": func(w io.Writer) flusher { z, _ := zstd.NewWriter(w); return z },
	} {
		t.Run(name, func(t *testing.T) {
			taken := make(chan struct{})
			s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("Content-Encoding", name)
				z := open(w)
				for range 3 {
					_, _ = io.WriteString(z, sseText(deltaEvent))
					_ = z.Flush()
					w.(http.Flusher).Flush()
					<-taken
				}
				_, _ = io.WriteString(z, sseText(doneEvent))
				_ = z.Flush()
			})
			for e, err := range client(t, Options{Credentials: signedInAs(firstToken)}).Stream(t.Context(), s.request()) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Kind == EventTextDelta {
					taken <- struct{}{}
				}
			}
		})
	}
}

func TestBigEvents(t *testing.T) {
	for name, size := range map[string]int{"over 64 KiB": 70 << 10, "several MiB": 6 << 20} {
		t.Run(name, func(t *testing.T) {
			text := strings.Repeat("x", size)
			s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				events(w, `{"type":"response.output_item.done","item":{"id":"m","text":"`+text+`"}}`, doneEvent)
			})
			list := mustComplete(t, client(t, Options{Credentials: signedInAs(firstToken)}), s.request())
			if len(list) != 3 || len(list[1].Item) < size {
				t.Error("the item is not whole")
			}
		})
	}
	t.Run("over the limit", func(t *testing.T) {
		if testing.Short() {
			t.Skip("moves 64 MiB")
		}
		s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: ")
			for range maxEventSize>>20 + 1 {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
					return
				}
			}
		})
		fail := mustFail(t, client(t, Options{Credentials: signedInAs(firstToken)}), s.request())
		if fail.Kind != KindOther || fail.Retry != RetryNever || fail.Message != "The backend sent an event of more than 64 MiB" {
			t.Errorf("%+v", fail)
		}
	})
}

func TestConnectFailed(t *testing.T) {
	address := "127.0.0.1:1" // nobody listens there, and the system gives it to nobody
	r := &Request{Provider: Provider{ID: "mock", BaseURL: "http://" + address, QueryParams: map[string]string{"q": "query-secret"}, RequestMaxRetries: 1}}
	before := time.Now()
	fail := mustFail(t, client(t, Options{}), r)
	if fail.Kind != KindConnectFailed || fail.Retry != RetryStream || fail.Status != 0 || time.Since(before) < 100*time.Millisecond {
		t.Errorf("%+v after %v", fail, time.Since(before))
	}
	if fail.Message != "No connection to the backend at http://"+address+"/responses" || !strings.Contains(fail.Details, "refused") {
		t.Errorf("%s (%s)", fail.Message, fail.Details)
	}
}

func TestConnectionBreaksBeforeTheHeaders(t *testing.T) {
	s := serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 0 {
			panic(http.ErrAbortHandler)
		}
		good(w)
	})
	c := client(t, Options{Credentials: signedInAs(firstToken)})
	if fail := mustFail(t, c, s.request()); fail.Kind != KindStreamDisconnected || fail.Retry != RetryStream {
		t.Errorf("%+v", fail)
	}
	s.mu.Lock()
	s.seen = nil
	s.mu.Unlock()
	r := s.request()
	r.Provider.RequestMaxRetries = 1
	mustComplete(t, c, r)
}

func TestSilentRepeatsAreByteForByte(t *testing.T) {
	s := serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 2 {
			w.WriteHeader(500 + n)
			return
		}
		good(w)
	})
	r := s.request()
	r.Provider.RequestMaxRetries = 2
	mustComplete(t, client(t, Options{Credentials: signedInAs(firstToken)}), r)
	all := s.requests()
	if len(all) != 3 || all[0].Body != all[1].Body || all[0].Body != all[2].Body {
		t.Errorf("%d requests", len(all))
	}
}

// benchTransport answers from memory: the cost of the client alone.
type benchTransport string

func (b benchTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, ProtoMajor: 1, Header: http.Header{"Content-Type": {"text/event-stream"}},
		Body: io.NopCloser(struct{ io.Reader }{strings.NewReader(string(b))}), Request: r}, nil
}

func BenchmarkStreamDelta(b *testing.B) {
	const deltas = 50_000
	body := strings.Repeat("event: response.output_text.delta\n"+sseText(deltaEvent), deltas) + sseText(doneEvent)
	c := New(Options{Transport: benchTransport(body)})
	r := &Request{Provider: Provider{BaseURL: "http://h"}}
	b.ReportAllocs()
	events := 0
	for b.Loop() {
		for e, err := range c.Stream(b.Context(), r) {
			if err != nil {
				b.Fatal(err)
			}
			if e.Kind == EventTextDelta {
				events++
			}
		}
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "deltas/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/delta")
}
