package session

import (
	"context"
	"iter"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/backend"
	"app-server/protocol"
)

// blackHole is a parent that costs nothing.
type blackHole struct{ ended chan struct{} }

func (b blackHole) Notify(_ context.Context, method string, _ any) error {
	if method == protocol.MethodTurnCompleted {
		b.ended <- struct{}{}
	}
	return nil
}

func (blackHole) Ask(context.Context, string, any) (int64, jsontext.Value, error) { return 0, nil, nil }

// manyDeltas streams one message in n pieces.
type manyDeltas struct{ n int }

func (m manyDeltas) Stream(context.Context, *backend.Request) iter.Seq2[backend.Event, error] {
	return func(yield func(backend.Event, error) bool) {
		ok := yield(messageAdded("m"), nil)
		for range m.n {
			ok = ok && yield(delta("m", "word "), nil)
		}
		_ = ok && yield(messageDone("m", "words"), nil) && yield(completed(1, 2, 3), nil)
	}
}

func benchTurn(b *testing.B, w *Manager, thread string, ended chan struct{}) {
	_, then, err := w.StartTurn(context.Background(), &protocol.TurnStartParams{ThreadID: thread, Input: text("q")})
	if err != nil {
		b.Fatal(err)
	}
	then()
	<-ended
}

func benchWorld(b *testing.B, model Model) (*Manager, string, chan struct{}) {
	ended := make(chan struct{}, 1)
	m := NewManager(Options{Parent: blackHole{ended}, Model: model, Tools: newRegistry(), Config: configOf(b, b.TempDir(), testConfig), Cwd: "/"})
	b.Cleanup(func() { m.Shutdown(context.Background()) })
	r, _, err := m.StartThread(context.Background(), m.config(), &protocol.ThreadStartParams{})
	if err != nil {
		b.Fatal(err)
	}
	return m, r.Thread.ID, ended
}

// BenchmarkDelta is the path of one delta through this package.
func BenchmarkDelta(b *testing.B) {
	m, thread, ended := benchWorld(b, manyDeltas{b.N})
	b.ReportAllocs()
	b.ResetTimer()
	benchTurn(b, m, thread, ended)
}

// BenchmarkTurn is a turn of one message, in a thread that grows.
func BenchmarkTurn(b *testing.B) {
	m, thread, ended := benchWorld(b, manyDeltas{1})
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		benchTurn(b, m, thread, ended)
	}
}
