package rpc

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"
)

// lineSource gives n requests, some in each read, as a pipelining parent does.
type lineSource struct {
	n    int
	left []byte
	next int
}

func (s *lineSource) Read(b []byte) (int, error) {
	if len(s.left) == 0 {
		for range 64 {
			if s.next == s.n {
				break
			}
			s.left = fmt.Appendf(s.left, `{"id":%d,"method":"echo","params":{"key":"k","text":"some words"}}`+"\n", s.next)
			s.next++
		}
		if len(s.left) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(b, s.left)
	s.left = s.left[n:]
	return n, nil
}

// One request through a fixed lane with its reply, pipelined.
func BenchmarkRequest(b *testing.B) {
	b.ReportAllocs()
	c := New(Options{In: &lineSource{n: b.N}, Out: io.Discard, Mux: echoMux()})
	b.ResetTimer()
	if err := c.Run(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// The same, one at a time, over real pipes.
func BenchmarkRequestRoundTrip(b *testing.B) {
	b.ReportAllocs()
	inR, inW, _ := os.Pipe()
	outR, outW, _ := os.Pipe()
	done := make(chan error)
	go func() { done <- New(Options{In: inR, Out: outW, Mux: echoMux()}).Run(context.Background()) }()
	line := []byte(`{"id":1,"method":"echo","params":{"key":"k","text":"some words"}}` + "\n")
	buf := make([]byte, 4096)
	for b.Loop() {
		if _, err := inW.Write(line); err != nil {
			b.Fatal(err)
		}
		if _, err := outR.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
	inW.Close()
	<-done
	outR.Close()
}

type delta struct {
	ThreadID string `json:"threadId"`
	TurnID   string `json:"turnId"`
	ItemID   string `json:"itemId"`
	Delta    string `json:"delta"`
}

func BenchmarkNotify(b *testing.B) {
	b.ReportAllocs()
	r, w := io.Pipe()
	c := New(Options{In: r, Out: io.Discard, Mux: echoMux()})
	done := make(chan error)
	go func() { done <- c.Run(context.Background()) }()
	d := &delta{"019ac5a1-7b2e-7c3f-9d42-0a1b2c3d4e5f", "019ac5a1-7b2e-7c3f-9d42-0a1b2c3d4e60", "msg_1", "hello"}
	for b.Loop() {
		if err := c.Notify(context.Background(), "item/agentMessage/delta", d); err != nil {
			b.Fatal(err)
		}
	}
	w.Close()
	<-done
}

func BenchmarkClassify(b *testing.B) {
	b.ReportAllocs()
	line := []byte(`{"id":12345,"method":"account/read","params":{"refreshToken":false}}`)
	c := newClassifier()
	for b.Loop() {
		if m := c.classify(line); m.kind != kindRequest {
			b.Fatal(m.kind)
		}
	}
}
