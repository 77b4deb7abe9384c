package oauth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"app-server/protocol"
)

// ring is a keyring in memory.
type ring struct {
	mu      sync.Mutex
	entries map[string]string
	err     error         // of every call, if set
	stuck   chan struct{} // every call waits for it, if set
	small   bool          // nothing more fits in
}

func (r *ring) do(f func() error) error {
	if r.stuck != nil {
		<-r.stuck
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	if r.entries == nil {
		r.entries = map[string]string{}
	}
	return f()
}

func (r *ring) Get(service, user string) (secret string, err error) {
	err = r.do(func() error {
		var ok bool
		if secret, ok = r.entries[service+"/"+user]; !ok {
			return ErrNoEntry
		}
		return nil
	})
	return secret, err
}

func (r *ring) Set(service, user, secret string) error {
	return r.do(func() error {
		if r.small {
			return errors.New("too large")
		}
		r.entries[service+"/"+user] = secret
		return nil
	})
}

func (r *ring) Delete(service, user string) error {
	return r.do(func() error { delete(r.entries, service+"/"+user); return nil })
}

func (r *ring) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.entries)
}

func open(t *testing.T, kind, home string, r Keyring) *Store {
	t.Helper()
	s, err := OpenStore(StoreOptions{Kind: kind, Home: home, Keyring: r})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signIn is a managed sign-in with the refresh token given.
func signIn(refresh string) *Auth {
	return &Auth{Mode: protocol.AuthModeChatGPT, LastRefresh: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		Tokens: &StoredTokens{AccountID: "org-a", Tokens: Tokens{ID: protocol.NewSecret("id"), Access: protocol.NewSecret("access"), Refresh: protocol.NewSecret(refresh)}}}
}

var byContent = cmp.Options{
	cmp.Comparer(func(a, b protocol.Secret) bool { return a.Equal(b) }),
	cmpopts.IgnoreUnexported(Auth{}, StoredTokens{}),
}

func wantStored(t *testing.T, s *Store, want *Auth) {
	t.Helper()
	got, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, byContent); d != "" {
		t.Errorf("stored (-want +got):\n%s", d)
	}
}

func yes() bool { return true }
func no() bool  { return false }

func TestStores(t *testing.T) {
	for _, kind := range []string{"", "file", "keyring", "auto", "ephemeral"} {
		t.Run(kind, func(t *testing.T) {
			ctx := t.Context()
			s := open(t, kind, filepath.Join(t.TempDir(), "home"), &ring{})
			wantStored(t, s, nil)
			if _, err := s.Remove(ctx); err != nil {
				t.Error(err)
			}
			if err := s.Save(ctx, signIn("r0"), no); !errors.Is(err, ErrChanged) {
				t.Errorf("stored what is not wanted: %v", err)
			}
			wantStored(t, s, nil)
			if err := s.Save(ctx, signIn("r1"), yes); err != nil {
				t.Fatal(err)
			}
			wantStored(t, s, signIn("r1"))
			if err := s.Replace(ctx, protocol.NewSecret("r0"), signIn("r2")); !errors.Is(err, ErrChanged) {
				t.Errorf("replaced another one: %v", err)
			}
			if err := s.Replace(ctx, protocol.NewSecret("r1"), signIn("r2")); err != nil {
				t.Error(err)
			}
			wantStored(t, s, signIn("r2"))
			if _, err := s.Remove(ctx); err != nil {
				t.Error(err)
			}
			wantStored(t, s, nil)
			if err := s.Replace(ctx, protocol.NewSecret("r2"), signIn("r3")); !errors.Is(err, ErrChanged) {
				t.Errorf("replaced what was removed: %v", err)
			}
			wantStored(t, s, nil)
		})
	}
	if _, err := OpenStore(StoreOptions{Kind: "vault"}); err == nil {
		t.Error("an unknown kind is taken")
	}
}

// One refresh at a time, and the next one goes on when it has ended.
func TestRefreshLock(t *testing.T) {
	for _, kind := range []string{"file", "keyring", "auto", "ephemeral"} {
		t.Run(kind, func(t *testing.T) {
			home := t.TempDir()
			a := open(t, kind, home, &ring{})
			b := a
			if kind != "ephemeral" { // another process's
				b = open(t, kind, home, &ring{})
			}
			release, err := a.LockRefresh(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error)
			go func() {
				_, err := b.LockRefresh(ctx)
				failed <- err
			}()
			cancel()
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("second lock: %v", err)
			}
			release()
			release, err = b.LockRefresh(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			release()
		})
	}
}

func TestKeyringEntry(t *testing.T) {
	r, home := &ring{}, t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(home, link); err != nil {
		t.Skip(err)
	}
	if err := open(t, "keyring", link, r).Save(t.Context(), signIn("r1"), yes); err != nil {
		t.Fatal(err)
	}
	// One home is one entry, whatever it is called.
	wantStored(t, open(t, "keyring", home, r), signIn("r1"))
	wantStored(t, open(t, "keyring", t.TempDir(), r), nil)
	for name := range r.entries {
		if !strings.HasPrefix(name, "Codex Auth/cli|") || len(name) != len("Codex Auth/cli|")+16 {
			t.Errorf("entry %q", name)
		}
	}
	if _, err := os.Stat(filepath.Join(home, AuthFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("auth.json: %v", err)
	}
}

// Whatever a keyring says in an error may quote what it was given.
func TestKeyringFaults(t *testing.T) {
	r := &ring{err: errors.New("cannot store top-secret")}
	s := open(t, "keyring", t.TempDir(), r)
	_, loadErr := s.Load(t.Context())
	_, removeErr := s.Remove(t.Context())
	for _, err := range []error{loadErr, s.Save(t.Context(), signIn("top-secret"), yes), removeErr} {
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("error %v", err)
		}
	}
	r.err = nil
	r.entries = map[string]string{"Codex Auth/" + s.place.(*ringPlace).user(): "top-secret, no JSON"}
	if _, err := s.Load(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

// A keyring that asks somebody who is not there is given up.
func TestKeyringHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &ring{stuck: make(chan struct{})}
		s := open(t, "keyring", t.TempDir(), r)
		start := time.Now()
		if _, err := s.Load(t.Context()); err == nil || time.Since(start) != keyringTime {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		close(r.stuck)
		synctest.Wait()
	})
}

// What was given up must not come back once the keyring answers.
func TestKeyringAnswersLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &ring{stuck: make(chan struct{})}
		s := open(t, "auto", t.TempDir(), r)
		if err := s.Save(t.Context(), signIn("r1"), yes); err != nil {
			t.Fatal(err) // auth.json has it
		}
		if _, err := s.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		close(r.stuck)
		synctest.Wait()
		wantStored(t, s, nil)
	})
}

// A lock is done without where there can be none, and for no other reason.
func TestLockless(t *testing.T) {
	for err, want := range map[error]bool{
		syscall.EROFS: true, syscall.EACCES: true, syscall.EPERM: true, syscall.ENOLCK: true, syscall.ENOSYS: true,
		syscall.EMFILE: false, syscall.EIO: false, syscall.EISDIR: false, context.DeadlineExceeded: false,
	} {
		if got := lockless(&os.PathError{Op: "open", Path: refreshLock, Err: err}); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func TestAutoStore(t *testing.T) {
	home, r := t.TempDir(), &ring{err: errors.New("down")}
	path := filepath.Join(home, AuthFile)
	s := open(t, "auto", home, r)
	if err := s.Save(t.Context(), signIn("r1"), yes); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("auth.json: %v", err)
	}
	// With a keyring the file is still read; what is written next goes into the
	// keyring and takes the file away.
	r.err = nil
	wantStored(t, s, signIn("r1"))
	if err := s.Replace(t.Context(), protocol.NewSecret("r1"), signIn("r3")); err != nil || r.count() != 1 {
		t.Errorf("%v, %d entries", err, r.count())
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("auth.json: %v", err)
	}
	wantStored(t, s, signIn("r3"))
	// What does not fit into the keyring must not be hidden by what is there.
	r.small = true
	if err := s.Save(t.Context(), signIn("r4"), yes); err != nil || r.count() != 0 {
		t.Errorf("%v, %d entries", err, r.count())
	}
	wantStored(t, s, signIn("r4"))
	if _, err := s.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	wantStored(t, s, nil)
}

// Several homes may share one file by a link, as they can with the reference.
func TestFileBehindLink(t *testing.T) {
	home, path := t.TempDir(), filepath.Join(t.TempDir(), "shared.json")
	if err := os.WriteFile(path, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(home, AuthFile)); err != nil {
		t.Skip(err)
	}
	s := open(t, "file", home, nil)
	if err := s.Save(t.Context(), signIn("r1"), yes); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(raw), "r1") {
		t.Errorf("%s, %v", raw, err)
	}
	if st, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if _, err := s.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantStored(t, s, nil)
	if raw, err := os.ReadFile(path); err != nil || strings.Contains(string(raw), "r1") {
		t.Errorf("after the sign-in has ended: %s, %v", raw, err)
	}
}

// A link that cannot lead to a sign-in takes none, and goes with a logout.
func TestBrokenLink(t *testing.T) {
	for name, to := range map[string]string{"circle": AuthFile, "folder": ".", "nowhere": "none/file"} {
		home := t.TempDir()
		path := filepath.Join(home, AuthFile)
		if err := os.Symlink(to, path); err != nil {
			t.Skip(err)
		}
		s := open(t, "file", home, nil)
		if err := s.Save(t.Context(), signIn("r1"), yes); err == nil {
			t.Errorf("%s: saved", name)
		}
		if _, err := s.Remove(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the link is there, %v", name, err)
		}
	}
}

// A file in a folder that takes no other files is written in place.
func TestFileWrittenInPlace(t *testing.T) {
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("no folder is closed to this user")
	}
	home := t.TempDir()
	s := open(t, "file", home, nil)
	if err := s.Save(t.Context(), signIn("a long refresh token"), yes); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(home, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(home, 0o700) })
	if err := s.Save(t.Context(), signIn("r2"), yes); err != nil {
		t.Fatal(err)
	}
	wantStored(t, s, signIn("r2"))
}

func TestFileKeepsUnknownMembers(t *testing.T) {
	home := t.TempDir()
	text := `{"auth_mode":"chatgpt","OPENAI_API_KEY":"sk","tokens":{"id_token":"i","access_token":"a","refresh_token":"r","account_id":null,"later":{"x":[1.50]}},"last_refresh":"2026-01-02T03:04:05.000000006Z","agent":null}`
	if err := os.WriteFile(filepath.Join(home, AuthFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, "", home, nil)
	a, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := a.Refreshed(Tokens{Access: protocol.NewSecret("a2")}, time.Unix(0, 0))
	if err := s.Save(t.Context(), next, yes); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(home, AuthFile))
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "auth_mode": "chatgpt",
  "OPENAI_API_KEY": "sk",
  "tokens": {
    "id_token": "i",
    "access_token": "a2",
    "refresh_token": "r",
    "account_id": null,
    "later": {
      "x": [
        1.50
      ]
    }
  },
  "last_refresh": "1970-01-01T00:00:00Z",
  "agent": null
}
`
	if d := cmp.Diff(want, string(raw)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if a.Tokens.Access.Reveal() != "a" {
		t.Error("the old one was changed")
	}
	// What is not known here may be a secret of somebody else.
	for _, v := range []any{a, *a, a.Tokens, *a.Tokens} {
		if text := fmt.Sprintf("%v %+v %#v", v, v, v); strings.Contains(text, "1.50") || strings.Contains(text, "49 46 53") {
			t.Errorf("printed: %s", text)
		}
	}
}

// FuzzDecodeAuth: no content of auth.json makes the reader panic, and what it
// takes it writes so that it reads the same.
func FuzzDecodeAuth(f *testing.F) {
	f.Add([]byte(`{"auth_mode":"chatgpt","tokens":{"id_token":"i","access_token":"a","refresh_token":"r","account_id":"o","x":1},"last_refresh":"2026-01-02T03:04:05Z","y":[]}`))
	f.Add([]byte(`{"OPENAI_API_KEY":"k"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := decodeAuth(raw)
		if err != nil || a == nil {
			return
		}
		again, err := a.encode()
		if err != nil {
			t.Fatalf("%q cannot be written: %v", raw, err)
		}
		b, err := decodeAuth(again)
		if err != nil {
			t.Fatalf("%q became %q: %v", raw, again, err)
		}
		if d := cmp.Diff(a, b, byContent, cmp.Comparer(func(x, y time.Time) bool { return x.Equal(y) })); d != "" {
			t.Errorf("%q became %q:\n%s", raw, again, d)
		}
	})
}

// A keyring that hangs costs its time once. What was stored in auth.json instead
// holds, also when the keyring answers again and still has what was there before.
func TestAutoWhileTheKeyringHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		home, r := t.TempDir(), &ring{}
		s := open(t, "auto", home, r)
		old, next := signIn("r1"), signIn("r2")
		next.LastRefresh = old.LastRefresh.Add(time.Hour)
		if err := s.Save(t.Context(), old, yes); err != nil || r.count() != 1 {
			t.Fatalf("%v, %d entries", err, r.count())
		}
		r.stuck = make(chan struct{})
		start := time.Now()
		if _, err := s.Load(t.Context()); !errors.Is(err, errKeyringHangs) {
			t.Errorf("what nobody can read is told as %v", err)
		}
		if err := s.Replace(t.Context(), protocol.NewSecret("r1"), next); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != keyringTime {
			t.Errorf("all of it took %v", took)
		}
		wantStored(t, s, next)
		wantStored(t, open(t, "auto", home, &ring{entries: map[string]string{"Codex Auth/" + s.place.(*autoPlace).ring.user(): encoded(t, old)}}), next)
		close(r.stuck)
		synctest.Wait()
	})
}

func encoded(t *testing.T, a *Auth) string {
	t.Helper()
	raw, err := a.encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// The successor of a refresh token is stored, whoever holds the lock and however
// little time is left.
func TestReplaceToTheLast(t *testing.T) {
	s := open(t, "file", t.TempDir(), nil)
	if err := s.Save(t.Context(), signIn("r1"), yes); err != nil {
		t.Fatal(err)
	}
	release, err := s.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.Save(ended, signIn("r9"), yes); err == nil {
		t.Error("a change that can be repeated is made without the lock")
	}
	if err := s.Replace(ended, protocol.NewSecret("r1"), signIn("r2")); err != nil {
		t.Error(err)
	}
	wantStored(t, s, signIn("r2"))
}
