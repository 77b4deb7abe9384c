package account

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"app-server/protocol"
)

// FuzzAnswer: no answer and no error of a parent makes the reader panic, and a
// token of the sign-in never gets into an error.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"idToken":"a.e30.c","accessToken":"secret-of-ada"}`), "secret-of-ada")
	f.Add([]byte(`{"accessToken":"a.e30.c","chatgptAccountId":"x","chatgptPlanType":null}`), "Bearer x")
	f.Add([]byte(`{"accessToken":5}`), "")
	f.Add([]byte(`null`), "eyJhbGciOiJub25lIn0.e30.c2ln")
	par := newParent()
	m := NewManager(Options{Home: f.TempDir(), Ask: par, Notify: par})
	defer m.Close()
	if _, _, _, err := m.Login(f.Context(), external(idShape(ada("1").jwt(), "secret-of-ada"))); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte, message string) {
		s, fault := externalRefresher{m}.readAnswer(raw, m.Snapshot())
		if fault == nil && !fitsHeader(s.Token.Reveal()) {
			t.Errorf("taken: %+v", s)
		}
		if fault != nil && strings.Contains(fault.Error(), "secret-of-ada") {
			t.Errorf("leak: %v", fault)
		}
		fault = externalRefresher{m}.askFault(t.Context(), &ParentError{Code: 1, Message: message, Data: raw})
		if strings.Contains(fault.Error(), "secret-of-ada") {
			t.Errorf("leak: %v", fault)
		}
	})
}

// TestNoTokenAnywhere drives every path with tokens in it and searches logs at
// debug, errors, notifications and prints of all values.
func TestNoTokenAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewDevelopmentEncoderConfig()), zapcore.AddSync(&out), zap.DebugLevel))
		dump := func(vs ...any) {
			for _, v := range vs {
				fmt.Fprintf(&out, "%v|%+v|%#v|%s|%q\n", v, v, v, v, v)
				log.Debug("value", zap.Any("v", v), zap.Reflect("r", v))
			}
		}
		id, newID := ada("one").jwt(), ada("two").jwt()
		secrets := []string{"access-one", "access-two", "sk-the-key", "bad-access", id, newID, strings.Split(id, ".")[1], strings.Split(newID, ".")[1]}

		home := t.TempDir()
		writeAuth(t, home, `{"OPENAI_API_KEY":"sk-the-key\n"}`)
		b := newLoggedBed(t, home, Policy{Workspaces: []string{"org-a"}}, log)
		params := external(idShape(id, "access-one"))
		dump(params, *params, params.ExternalTokens)
		first := b.signIn(params)
		dump(first, *first, b.Manager)

		bad := external(idShape(identity{account: "org-b"}.jwt(), "bad-access"))
		for _, p := range []*protocol.LoginAccountParams{bad, apiKey("sk-the-key"), external(idShape(id+"\n\x00", "bad-access\n")), external(tokens("-", "bad-access", "org-a", "-"))} {
			r, _, _, err := b.Login(t.Context(), p)
			dump(r, err, p)
		}
		for _, rep := range []reply{
			{err: &ParentError{Code: 1, Message: "access-one " + newID, Data: jsontext.Value(`["access-one","` + id + `"]`)}},
			{result: answer(idShape("bad", "access-two"))},
			{result: answer(idShape(identity{account: "org-b"}.jwt(), "access-two"))},
			{result: jsontext.Value(`{"accessToken":["access-two"],"idToken":"` + newID + `"}`)},
			{err: fmt.Errorf("access-one")},
		} {
			w := b.wait(t.Context(), first.Generation)
			b.parent.reply <- rep
			got := <-w
			synctest.Wait() // printing reads without locks
			dump(got.s, got.err)
		}
		w := b.wait(t.Context(), first.Generation)
		synctest.Wait()
		dump(b.Manager, b.Manager.flight)
		b.say(idShape(newID, "access-two"))
		got := <-w
		synctest.Wait()
		dump(got.s, got.err, b.Manager)
		r, _, _, err := b.Read(t.Context(), &protocol.GetAccountParams{})
		dump(r, err)
		st, _, _, err := b.AuthStatus(t.Context(), &protocol.GetAuthStatusParams{})
		dump(st, err)
		b.signOut()
		dump(b.Manager)
		dump(b.signIn(apiKey("sk-the-key")))
		_, err = b.Refresh(t.Context(), b.Snapshot().Generation)
		dump(err)
		fmt.Fprintln(&out, b.parent.notifications())
		b.Close()

		for _, s := range secrets {
			if i := strings.Index(out.String(), s); i >= 0 {
				from := max(0, i-300)
				t.Errorf("%q shows in …%s…", s, out.String()[from:i+len(s)])
			}
		}
	})
}
