package fake

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// post asks the backend and returns status and body; a body that breaks off
// gives an error with what came.
func post(e *Endpoint, bearer, body string) (int, string, error) {
	req, err := http.NewRequest(http.MethodPost, e.URL+"/v1/responses", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := e.Transport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	encoding := resp.Header.Get("Content-Encoding")
	got, err := readBody(resp.Body, encoding)
	return resp.StatusCode, string(got), err
}

func parse(t *testing.T, text string) *Backend {
	t.Helper()
	replies, err := ParseReplies(text, 1)
	if err != nil {
		t.Fatal(err)
	}
	return NewBackend(replies...)
}

const script = `
# The first token has expired.
always 401 {"error":{"message":"expired"}}
when bearer old
reply sse
when body special
header x-test: yes
answer "Special."
reply sse
created
pause 10s
message m
delta "Hel"
hold gate
done "Hello"
completed
reply sse
encode zstd
event {"type":"x"}
comment keep-alive
reply sse
encode gzip
raw 3 * "ab" + "\n"
reply sse
raw "data: {"
cut
reply 200 {"plan_type":"pro"}
when path /wham/usage
`

func TestBackendInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := parse(t, script)
		e := b.ListenMemory()
		defer b.Close()
		defer e.Close()

		if status, body, err := post(e, "old", "{}"); status != 401 || !strings.Contains(body, "expired") || err != nil {
			t.Errorf("old token: %d %q %v", status, body, err)
		}
		if status, body, err := post(e, "new", "a special one"); status != 200 || !strings.Contains(body, "Special.") || err != nil {
			t.Errorf("special: %d %q %v", status, body, err)
		}
		start := time.Now()
		go func() { // ends in a moment
			time.Sleep(time.Minute)
			b.Open("gate")
		}()
		_, body, err := post(e, "new", "{}")
		if err != nil || !strings.Contains(body, `"delta":"Hel"`) || !strings.Contains(body, "response.completed") {
			t.Errorf("stream: %q %v", body, err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("the gate held for %v", took)
		}
		if _, body, err := post(e, "new", "{}"); err != nil || body != "event: x\ndata: {\"type\":\"x\"}\n\n: keep-alive\n\n" {
			t.Errorf("zstd: %q %v", body, err)
		}
		if _, body, err := post(e, "new", "{}"); err != nil || body != "ababab\n" {
			t.Errorf("gzip: %q %v", body, err)
		}
		if _, body, err := post(e, "new", "{}"); err == nil || body != "data: {" {
			t.Errorf("cut: %q %v", body, err)
		}
		if status, _, err := post(e, "new", "{}"); status != 500 || err != nil {
			t.Errorf("no reply left: %d %v", status, err)
		}
		requests := b.Requests()
		if n := len(requests); n != 7 || requests[6].Scripted || !requests[0].Scripted || requests[0].Bearer() != "old" {
			t.Errorf("requests are not kept as they came: %d", n)
		}
	})
}

func TestBackendKeepsOpenUntilClosed(t *testing.T) {
	b := parse(t, "reply sse\ncreated\nkeep")
	e, err := b.ListenLoopback()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { // ends when the backend closes
		_, _, err := post(e, "x", "{}")
		done <- err
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := b.WaitRequests(ctx, 1); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if err := <-done; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the stream ended with %v", err)
	}
	e.Close()
	if _, err := b.WaitRequests(canceled(), 2); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting ended with %v", err)
	}
}

// A JSON body waits with its status, whatever stands behind it in the script.
func TestBodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := parse(t, "reply 401 {}\nwhen bearer x\nhold gate\npause 3s")
		e := b.ListenMemory()
		defer b.Close()
		defer e.Close()
		begin := time.Now()
		time.AfterFunc(2*time.Second, func() { b.Open("gate") })
		req, err := http.NewRequest(http.MethodPost, e.URL+"/responses", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer x")
		resp, err := e.Transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if took := time.Since(begin); resp.StatusCode != 401 || took != 5*time.Second {
			t.Errorf("status %d after %v", resp.StatusCode, took)
		}
	})
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestMemoryRefusesOtherHosts(t *testing.T) {
	b := NewBackend()
	e := b.ListenMemory()
	defer b.Close()
	defer e.Close()
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:9/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Transport.RoundTrip(req); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("another host: %v", err)
	}
}

func TestParseRepliesErrors(t *testing.T) {
	for text, want := range map[string]string{
		"\nanswer \"x\"":                "line 11: answer \"x\": it must come after reply or always",
		"reply maybe":                   "want sse or a status",
		"reply sse\nanswer x":           "line 11: answer x: invalid syntax",
		"reply sse\nevent {":            "write odd data with raw",
		"reply sse\nwhen moon full":     "unknown condition",
		"reply sse\nheader x":           "NAME: VALUE",
		"reply sse\ncall a b":           "CALLID NAME ARGUMENTS",
		"reply sse\ncompleted one":      "usage is four numbers",
		"reply sse\npause long":         "invalid duration",
		"reply sse\nraw x * \"a\"":      "repeat",
		"reply sse\nsing a song":        "unknown directive",
		"reply sse\nraw \"a\" + b\"c\"": "quoted text",
	} {
		if _, err := ParseReplies(text, 10); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
