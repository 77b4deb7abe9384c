package rollout

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

func TestSecondWriterGetsErrInUse(t *testing.T) {
	s := New(t.TempDir())
	m, other := newMeta(t), newMeta(t)
	w := create(t, s, m)
	_, records := turnOf(1)
	put(t, w, records...)
	if _, _, err := s.Continue(t.Context(), m.ID); !errors.Is(err, ErrInUse) {
		t.Errorf("continue: %v", err)
	}
	if _, _, err := New(s.home).Continue(t.Context(), m.ID); !errors.Is(err, ErrInUse) {
		t.Errorf("continue by another store: %v", err)
	}
	if _, err := s.Archive(m.ID); !errors.Is(err, ErrInUse) {
		t.Errorf("archive: %v", err)
	}
	put(t, create(t, s, other), records...)
	readBack(t, s, m.ID)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again, _, err := s.Continue(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestClosedWriter(t *testing.T) {
	s := New(t.TempDir())
	m := newMeta(t)
	w := create(t, s, m)
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(RolledBack(1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if _, err := s.Find(m.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("a thread without a record left a file: %v", err)
	}
}

// TestTornEnd cuts a file at every byte of its last lines and continues it.
func TestTornEnd(t *testing.T) {
	s := New(t.TempDir())
	m := newMeta(t)
	w := create(t, s, m)
	_, records := turnOf(1)
	put(t, w, records...)
	w.Close()
	whole, err := os.ReadFile(w.Path())
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte{'\n'})
	kept := len(whole) - len(lines[len(lines)-2]) - len(lines[len(lines)-3])
	next, more := turnOf(2)
	for end := kept; end <= len(whole); end++ {
		if err := os.WriteFile(w.Path(), whole[:end], 0o600); err != nil {
			t.Fatal(err)
		}
		start := bytes.LastIndexByte(whole[:end], '\n') + 1
		torn := int64(end - start)
		if end < len(whole) && whole[end] == '\n' {
			torn = 0 // only the newline is missing
			start = end
		}
		c, l, err := s.Continue(t.Context(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		if l.Torn != torn {
			t.Errorf("cut at %d: torn %d, want %d", end, l.Torn, torn)
		}
		put(t, c, more...)
		closeFast(t, c)
		got, err := os.ReadFile(w.Path())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(got, whole[:start]) {
			t.Fatalf("cut at %d: what was whole is not kept", end)
		}
		l = readBack(t, s, m.ID)
		if l.Unreadable > 0 || l.Torn > 0 {
			t.Errorf("cut at %d: unreadable %d, torn %d", end, l.Unreadable, l.Torn)
		}
		if diff := cmp.Diff(asJSON(t, next), asJSON(t, allTurns(t, l)[1])); diff != "" {
			t.Fatal(diff)
		}
	}
}

// TestDamage puts rubbish in the middle of a file.
func TestDamage(t *testing.T) {
	s := New(t.TempDir())
	m := newMeta(t)
	w := create(t, s, m)
	first, records := turnOf(1)
	put(t, w, records...)
	w.Close()
	f, err := os.OpenFile(w.Path(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	rubbish := "\n{\"timestamp\":\"20\n" + strings.Repeat("\x00", 5000) + "\n[1]\n{}\n{\"type\":\"event_msg\"}\n" +
		`{"type":"event_msg","payload":[]}` + "\n" + `{"type":"response_item","payload":7}` + "\n" + `{"type":"new_line","payload":{}}` + "\n" +
		strings.Repeat("{", 100_000) + "\n"
	if _, err := f.WriteString(rubbish); err != nil {
		t.Fatal(err)
	}
	f.Close()
	c, l, err := s.Continue(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if l.Unreadable != 4 || l.Torn != 0 {
		t.Errorf("unreadable %d, torn %d", l.Unreadable, l.Torn)
	}
	second, records := turnOf(2)
	put(t, c, records...)
	c.Close()
	if diff := cmp.Diff(asJSON(t, []protocol.Turn{first, second}), asJSON(t, allTurns(t, readBack(t, s, m.ID)))); diff != "" {
		t.Error(diff)
	}
}

// TestFailingDiskComesBack makes the folder of the day impossible, then possible.
// TestForeignID continues files whose first line names what is no thread: the id
// would name a lock elsewhere.
func TestForeignID(t *testing.T) {
	home := t.TempDir()
	s := New(home)
	mine := filepath.Join(home, "precious.lock")
	if err := os.WriteFile(mine, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"../precious", "", "x"} {
		path := filepath.Join(t.TempDir(), "given.jsonl")
		if err := os.WriteFile(path, []byte(`{"type":"session_meta","payload":{"id":"`+id+`"}}`+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if w, _, err := s.ContinueFile(t.Context(), path); err == nil {
			w.Close()
			t.Errorf("a thread %q", id)
		}
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
}

func TestFailingDiskComesBack(t *testing.T) {
	s := New(t.TempDir())
	block := filepath.Join(s.home, sessionsDir)
	if err := os.WriteFile(block, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := newMeta(t)
	w := create(t, s, m)
	want, records := turnOf(1)
	var failed *WriteError
	for i, r := range records {
		err := w.Append(r)
		if !errors.As(err, &failed) || failed.Repeated != (i > 0) || failed.GaveUp {
			t.Fatalf("append %d: %v", i, err)
		}
	}
	if err := os.Remove(block); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(Named("x")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asJSON(t, []protocol.Turn{want}), asJSON(t, allTurns(t, readBack(t, s, m.ID)))); diff != "" {
		t.Error(diff)
	}
}

func TestGivesUp(t *testing.T) {
	s := New(t.TempDir())
	block := filepath.Join(s.home, sessionsDir)
	if err := os.WriteFile(block, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := create(t, s, newMeta(t))
	big := ResponseItem(message("user", strings.Repeat("x", maxBacklog/4)))
	var seen []WriteError
	for range 7 {
		var e *WriteError
		if err := w.Append(big); !errors.As(err, &e) {
			t.Fatal(err)
		}
		seen = append(seen, WriteError{Repeated: e.Repeated, GaveUp: e.GaveUp})
	}
	want := []WriteError{{}, {Repeated: true}, {Repeated: true}, {GaveUp: true}, {Repeated: true, GaveUp: true}, {Repeated: true, GaveUp: true}, {Repeated: true, GaveUp: true}}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	if w.backlog.Cap() > 0 {
		t.Error("what was dropped is still held")
	}
}

func TestBadRecordKeepsNothing(t *testing.T) {
	s := New(t.TempDir())
	m := newMeta(t)
	w := create(t, s, m)
	_, records := turnOf(1)
	put(t, w, records...)
	size := fileSize(t, w.Path())
	var failed *WriteError
	if err := w.Append(Named("x"), ResponseItem([]byte("{"))); err == nil || errors.As(err, &failed) {
		t.Errorf("append: %v", err)
	}
	if got := fileSize(t, w.Path()); got != size {
		t.Errorf("size %d, was %d", got, size)
	}
}

func fileSize(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestAppendTogether appends by many goroutines; each record is one whole line.
func TestAppendTogether(t *testing.T) {
	s := New(t.TempDir())
	m := newMeta(t)
	w := create(t, s, m)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if err := w.Append(ResponseItem(message("user", strings.Repeat("word ", 50)))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() { // readers meet any state of the file
		for range 20 {
			if _, err := s.Read(t.Context(), m.ID); err != nil && !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if got := len(historyTexts(t, readBack(t, s, m.ID))); got != 400 {
		t.Errorf("%d items", got)
	}
}

// TestBackgroundSync looks at a file a second after a write: it was synced, and
// the goroutine that did it is gone. A later write starts another one.
func TestBackgroundSync(t *testing.T) {
	s := New(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		w := create(t, s, newMeta(t))
		for range 3 {
			put(t, w, Named("x"))
			w.mu.Lock()
			if !w.dirty || !w.syncing {
				t.Error("nobody will sync what was written")
			}
			w.mu.Unlock()
			time.Sleep(time.Second)
			synctest.Wait()
			w.mu.Lock()
			if w.dirty {
				t.Error("not synced within a second")
			}
			w.mu.Unlock()
			time.Sleep(syncDelay)
			synctest.Wait()
			if w.syncing {
				t.Error("the goroutine is left")
			}
		}
	})
}

// TestNewlinesInRawItems keeps a raw item with newlines on one line.
func TestNewlinesInRawItems(t *testing.T) {
	s := New(t.TempDir())
	m := newMeta(t)
	w := create(t, s, m)
	put(t, w, ResponseItem([]byte("{\n \"type\": \"message\",\n \"role\": \"user\", \"content\": [{\"type\": \"input_text\", \"text\": \"a\\nb\"}]\n}\n")))
	if diff := cmp.Diff([]string{"a\nb"}, historyTexts(t, readBack(t, s, m.ID))); diff != "" {
		t.Error(diff)
	}
	data, err := os.ReadFile(w.Path())
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(data, []byte{'\n'}); n != 2 {
		t.Errorf("%d lines", n)
	}
}

// TestOddText writes texts that strict readers do not take.
func TestOddText(t *testing.T) {
	for name, raw := range map[string]string{
		"bytes":          "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"text\":\"a\xff\xfeb\"}]}",
		"half a pair":    `{"type":"message","role":"user","content":[{"text":"a\ud83d\uD83Db"}]}`,
		"a pair":         `{"type":"message","role":"user","content":[{"text":"a\ud83d\ude00b"}]}`,
		"a name, a half": `{"type":"message","role":"user","\udead":1,"content":[{"text":"ab"}]}`,
		"a number":       `{"type":"message","role":"user","n":[1.0,1e400,12345678901234567890],"content":[{"text":"a\udddd"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := New(t.TempDir())
			m := newMeta(t)
			w := create(t, s, m)
			item := rawItem(t, `{"type":"mcpToolCall","id":"t","server":"s","tool":"t","status":"failed","arguments":`+raw+`,"result":null,"error":{"message":"no"},"durationMs":7}`)
			_, records := turnOf(1, item)
			put(t, w, records...)
			put(t, w, ResponseItem([]byte(raw)))
			data, err := os.ReadFile(w.Path())
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range bytes.Split(bytes.TrimSpace(data), []byte{'\n'}) {
				if !jsontext.Value(line).IsValid() { // strictly
					t.Errorf("line %q", line)
				}
			}
			if strings.Contains(raw, "1e400") && !bytes.Contains(data, []byte("[1.0,1e400,12345678901234567890]")) {
				t.Error("a number was changed")
			}
			readBack(t, s, m.ID)
		})
	}
}

// TestAppendNow: a record that the disk does not take is not kept, and those
// that waited before still wait.
func TestAppendNow(t *testing.T) {
	s := New(t.TempDir())
	blocked := filepath.Join(s.home, "sessions")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, records := turnOf(1)
	w, err := s.Create(newMeta(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Append(records...); err == nil {
		t.Fatal("the disk took what it cannot")
	}
	var failed *WriteError
	if err := w.AppendNow(RolledBack(1)); !errors.As(err, &failed) {
		t.Fatalf("AppendNow = %v", err)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(Named("x")); err != nil {
		t.Fatal(err)
	}
	log, err := s.ReadFile(t.Context(), w.Path())
	if err != nil || log.Len() != 1 {
		t.Fatalf("%d turns, %v", log.Len(), err)
	}
	if err := w.AppendNow(RolledBack(1)); err != nil {
		t.Fatal(err)
	}
	if log, err = s.ReadFile(t.Context(), w.Path()); err != nil || log.Len() != 0 {
		t.Fatalf("%d turns, %v", log.Len(), err)
	}
	closeFast(t, w)
}

// TestToldSettings: those of a turn that was rolled back are not what the model
// knows, but still the thread's last ones.
func TestToldSettings(t *testing.T) {
	s := New(t.TempDir())
	w, err := s.Create(newMeta(t))
	if err != nil {
		t.Fatal(err)
	}
	developer := "Be brief."
	for i, model := range []string{"one", "two"} {
		turn := &protocol.Turn{ID: fmt.Sprintf("turn-%d", i), Status: protocol.TurnCompleted}
		set := &Settings{Model: model, Developer: &developer, Sandbox: protocol.SandboxPolicy{Type: protocol.PolicyReadOnly}, Approval: protocol.ApprovalPolicy{Mode: protocol.ApprovalNever}}
		if err := w.Append(TurnStarted(turn, nil, ""), TurnContext(set)); err != nil {
			t.Fatal(err)
		}
		log, err := s.ReadFile(t.Context(), w.Path())
		if err != nil || !log.Unended() {
			t.Errorf("a turn that runs counts as ended (%v)", err)
		}
		if err := w.Append(TurnEnded(turn, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Append(RolledBack(1)); err != nil {
		t.Fatal(err)
	}
	log, err := s.ReadFile(t.Context(), w.Path())
	if err != nil {
		t.Fatal(err)
	}
	if log.Unended() || log.Compactions() != 0 {
		t.Error("an ended turn runs")
	}
	if log.Settings.Model != "two" || log.Told.Model != "one" || *log.Told.Developer != developer {
		t.Errorf("settings of %s, told %s, developer %v", log.Settings.Model, log.Told.Model, log.Told.Developer)
	}
	if err := w.Append(RolledBack(1)); err != nil {
		t.Fatal(err)
	}
	if log, err = s.ReadFile(t.Context(), w.Path()); err != nil || log.Told != nil || log.Settings == nil {
		t.Errorf("told %v, settings %v (%v)", log.Told, log.Settings, err)
	}
	closeFast(t, w)
}
