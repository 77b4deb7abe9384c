//go:build linux

package rollout

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestMain runs this binary as the child that some tests need.
func TestMain(m *testing.M) {
	args := os.Args
	if len(args) > 3 && args[1] == "rollout-child" {
		os.Exit(child(args[2], args[3], args[4:]))
	}
	os.Exit(m.Run())
}

// child is another server on the same home.
func child(what, home string, args []string) int {
	s := New(home)
	ctx := context.Background()
	switch what {
	case "append": // turns for ever; tells each turn once Append has returned
		w, l, err := s.Continue(ctx, args[0])
		if err != nil {
			fmt.Println(err)
			return 1
		}
		for n := l.Len() + 1; ; n++ {
			_, records := turnOf(n)
			for i, r := range records {
				if err := w.Append(r); err != nil {
					fmt.Println(err)
					return 1
				}
				fmt.Printf("%d %d\n", n, i)
			}
		}
	case "hold": // takes the lock, and holds it until the end of input
		w, _, err := s.Continue(ctx, args[0])
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("held")
		_, _ = io.Copy(io.Discard, os.Stdin)
		w.Close()
	case "large":
		return large(s, args[0])
	case "full":
		return full(s, args[0])
	}
	return 0
}

func startChild(t *testing.T, args ...string) (*exec.Cmd, io.WriteCloser, *bufio.Scanner) {
	t.Helper()
	c := exec.Command(os.Args[0], append([]string{"rollout-child"}, args...)...)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, in, bufio.NewScanner(out)
}

// TestKilledWhileAppending kills a server at random moments. All that Append
// had returned for is there, and the next server goes on. With
// ROLLOUT_CRASH_ROUNDS it does so more often.
func TestKilledWhileAppending(t *testing.T) {
	rounds := 12
	if n, err := strconv.Atoi(os.Getenv("ROLLOUT_CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	s := New(t.TempDir())
	m := newMeta(t)
	w := create(t, s, m)
	_, records := turnOf(1)
	put(t, w, records...)
	w.Close()
	r := rand.New(rand.NewPCG(7, 7))
	last := len(records) - 1
	told := map[int]int{1: last} // the last record of each turn that Append had returned for
	for round := range rounds {
		c, _, out := startChild(t, "append", s.home, m.ID)
		kill := time.AfterFunc(time.Duration(5+r.IntN(40))*time.Millisecond, func() { _ = c.Process.Kill() })
		for out.Scan() {
			var turn, record int
			if _, err := fmt.Sscanf(out.Text(), "%d %d", &turn, &record); err != nil {
				t.Fatalf("round %d: %s", round, out.Text())
			}
			told[turn] = record
		}
		_ = c.Wait() // it was killed
		kill.Stop()
		turns := allTurns(t, readBack(t, s, m.ID))
		for n, record := range told {
			if n > len(turns) {
				t.Fatalf("round %d: turn %d of %d", round, n, len(turns))
			}
			got := turns[n-1]
			want, _ := turnOf(n)
			if record == last {
				if diff := cmp.Diff(asJSON(t, want), asJSON(t, got)); diff != "" {
					t.Fatalf("round %d: %s", round, diff)
				}
				continue
			}
			// The user's item is record 3, the answer record 4.
			if kept := min(max(record-2, 0), 2); len(got.Items) < kept {
				t.Fatalf("round %d: turn %d has %d items, %d were kept", round, n, len(got.Items), kept)
			}
		}
	}
}

func TestLockAcrossProcesses(t *testing.T) {
	s := New(t.TempDir())
	m, other := newMeta(t), newMeta(t)
	_, records := turnOf(1)
	for _, x := range []Meta{m, other} {
		w := create(t, s, x)
		put(t, w, records...)
		w.Close()
	}
	c, in, out := startChild(t, "hold", s.home, m.ID)
	if !out.Scan() || out.Text() != "held" {
		t.Fatalf("child: %s", out.Text())
	}
	if _, _, err := s.Continue(t.Context(), m.ID); !errors.Is(err, ErrInUse) {
		t.Errorf("continue: %v", err)
	}
	w, _, err := s.Continue(t.Context(), other.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	in.Close()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if w, _, err = s.Continue(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	w.Close()
}

// TestFullDisk lets a child append under a limit of the file's size, which
// makes writes stop in the middle of a line.
func TestFullDisk(t *testing.T) {
	for _, room := range []int{0, 1, 100, 5000} {
		t.Run(strconv.Itoa(room), func(t *testing.T) {
			c, in, out := startChild(t, "full", t.TempDir(), strconv.Itoa(room))
			in.Close()
			var said []string
			for out.Scan() {
				said = append(said, out.Text())
			}
			if err := c.Wait(); err != nil {
				t.Fatalf("%v: %s", err, strings.Join(said, "\n"))
			}
		})
	}
}

// full fills the disk after room bytes, then makes room again.
func full(s *Store, room string) int {
	n, _ := strconv.Atoi(room)
	signal.Ignore(syscall.SIGXFSZ)
	fail := func(format string, args ...any) int {
		fmt.Printf(format+"\n", args...)
		return 1
	}
	meta := Meta{ID: "01a21000-0000-7000-8000-000000000000", Created: time.Now(), ModelProvider: "p"}
	w, err := s.Create(meta)
	if err != nil {
		return fail("create: %v", err)
	}
	_, records := turnOf(1)
	if err := w.Append(records...); err != nil {
		return fail("append: %v", err)
	}
	info, err := os.Stat(w.Path())
	if err != nil {
		return fail("stat: %v", err)
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		return fail("limit: %v", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(info.Size()) + uint64(n), Max: was.Max}); err != nil {
		return fail("limit: %v", err)
	}
	failures := 0
	for turn := 2; turn < 12; turn++ {
		_, records := turnOf(turn)
		var e *WriteError
		if err := w.Append(records...); errors.As(err, &e) {
			if e.Repeated != (failures > 0) {
				return fail("failure %d is repeated: %v", failures, e.Repeated)
			}
			failures++
		}
		// What is in the file is whole at every moment.
		l, err := s.Read(context.Background(), meta.ID)
		if err != nil || l.Torn > 0 || l.Unreadable > 0 {
			return fail("while full: %v, %+v", err, l)
		}
	}
	if failures == 0 {
		return fail("the disk was never full")
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		return fail("limit: %v", err)
	}
	if err := w.Close(); err != nil {
		return fail("close: %v", err)
	}
	l, err := s.Read(context.Background(), meta.ID)
	if err != nil || l.Len() != 11 || l.Torn > 0 || l.Unreadable > 0 {
		return fail("afterwards: %v, %d turns, %d torn, %d unreadable", err, l.Len(), l.Torn, l.Unreadable)
	}
	return 0
}
