//go:build linux

package rollout

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"

	"app-server/protocol"
)

// largeFile makes a thread of about that many bytes: turns with a command of 20
// KB, compacted every 100 turns.
func largeFile(t testing.TB, s *Store, bytes int64) (Meta, int) {
	t.Helper()
	m := newMeta(t)
	w := create(t, s, m)
	output := strings.Repeat("some output of a command\n", 800)
	n := 0
	for size := int64(0); size < bytes; {
		var records []Record
		for range 50 {
			n++
			item, err := newItem(jsontext.Value(fmt.Sprintf(`{"type":"commandExecution","id":"c%d","command":"ls","cwd":"/","processId":null,"source":"agent","status":"completed","commandActions":[],"aggregatedOutput":%q,"exitCode":0,"durationMs":1}`, n, output)))
			if err != nil {
				t.Fatal(err)
			}
			_, r := turnOf(n, item)
			records = append(records, r...)
			records = append(records, ResponseItem(message("assistant", output)))
		}
		if n%100 == 0 {
			records = append(records, Compacted("summary", []jsontext.Value{message("user", "summary")}))
		}
		put(t, w, records...)
		size = fileSize(t, w.Path())
	}
	closeFast(t, w)
	return m, n
}

// large resumes a thread as a server does, and tells what it took.
func large(s *Store, id string) int {
	ctx := context.Background()
	start := time.Now()
	w, l, err := s.Continue(ctx, id)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	opened := time.Since(start)
	history, err := l.History(ctx)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var turns []protocol.Turn
	if turns, err = l.Turns(ctx, l.Len()-25, l.Len()); err != nil {
		fmt.Println(err)
		return 1
	}
	w.dirty = false
	w.Close()
	page, err := s.List(ctx, Query{Limit: 25})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Printf("%d turns, %d read, %d items, %d listed, opened in %v, all in %v, memory %d KB\n",
		l.Len(), len(turns), len(history), len(page.Entries), opened, time.Since(start), u.Maxrss)
	return 0
}

// TestLargeThread resumes a large thread in a process of its own. With
// ROLLOUT_LARGE_MB it is larger; memory must not grow with it.
func TestLargeThread(t *testing.T) {
	mb := int64(16)
	if n, err := strconv.ParseInt(os.Getenv("ROLLOUT_LARGE_MB"), 10, 64); err == nil {
		mb = n
	}
	s := New(t.TempDir())
	m, turns := largeFile(t, s, mb<<20)
	c, _, out := startChild(t, "large", s.home, m.ID)
	out.Scan()
	said := out.Text()
	if err := c.Wait(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	t.Log(said)
	var got, memory int
	if _, err := fmt.Sscanf(said, "%d turns", &got); err != nil || got != turns {
		t.Errorf("%d turns, want %d", got, turns)
	}
	if _, after, ok := strings.Cut(said, "memory "); !ok {
		t.Error(said)
	} else if _, err := fmt.Sscanf(after, "%d KB", &memory); err != nil || memory > memoryFactor*64<<10 {
		t.Errorf("memory %d KB", memory)
	}
}

func BenchmarkOutline(b *testing.B) {
	s := New(b.TempDir())
	m, _ := largeFile(b, s, 16<<20)
	p, err := s.Find(m.ID)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(fileSize(b, p.Path))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.ReadFile(b.Context(), filepath.Clean(p.Path)); err != nil {
			b.Fatal(err)
		}
	}
}
