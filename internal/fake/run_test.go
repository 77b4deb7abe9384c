package fake

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tinyServer answers `echo` with its params, `slow` after 10 s, `ask` with a
// request of its own whose answer it sends back, `backend` with the status of a
// request to the model; `leak` writes its params to stderr.
func tinyServer(stdin io.Reader, stdout, stderr io.Writer, transport http.RoundTripper, base string) int {
	var asker any
	in := bufio.NewScanner(stdin)
	for in.Scan() {
		m, _ := mustDecodeOr(in.Bytes(), nil).(map[string]any)
		reply := map[string]any{"id": m["id"], "result": m["params"]}
		switch m["method"] {
		case "slow":
			time.Sleep(10 * time.Second)
		case "ask":
			asker = m["id"]
			reply = map[string]any{"method": "question", "id": number("0"), "params": map[string]any{}}
		case nil:
			reply["id"], reply["result"] = asker, m["result"]
		case "backend":
			req, err := http.NewRequest(http.MethodPost, base+"/v1/responses", strings.NewReader("{}"))
			if err != nil {
				return 1
			}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				return 1
			}
			_ = resp.Body.Close()
			reply["result"] = number(fmt.Sprint(resp.StatusCode))
		case "leak":
			fmt.Fprintln(stderr, encodeJSON(m["params"]))
		case "mute":
			continue
		case "noise":
			fmt.Fprintln(stdout, "this is no JSON")
		case "turn/start":
			reply["result"] = map[string]any{"turn": map[string]any{"id": "turn-1"}}
		}
		fmt.Fprintln(stdout, encodeJSON(reply))
	}
	return 0
}

func tinyMode() Mode {
	start := func(l Launch, transport http.RoundTripper) (*Process, error) {
		stdinReader, stdinWriter := io.Pipe()
		stdoutReader, stdoutWriter := io.Pipe()
		log, exit := &Log{}, make(chan int, 1)
		go func() { // ends with its input
			code := tinyServer(stdinReader, stdoutWriter, log, transport, "http://"+memoryHost)
			_ = stdinReader.Close()
			_ = stdoutWriter.Close()
			exit <- code
		}()
		return &Process{Stdin: stdinWriter, Stdout: stdoutReader, Stderr: log, Exit: exit,
			Signal: func(os.Signal) error { return nil },
			Kill: func() {
				_ = stdinWriter.Close()
				_ = stdoutReader.Close()
			}}, nil
	}
	return Mode{Name: "process", Start: start, Memory: true, Quiet: synctest.Wait, Patience: 5 * time.Second, Exit: 2 * time.Second}
}

func runText(t *testing.T, text string, o RunOptions) ([]byte, error) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "story.txtar")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	story, err := ReadStory(path)
	if err != nil {
		return nil, err
	}
	o.Dir = filepath.Join(dir, "run")
	var updated []byte
	synctest.Test(t, func(*testing.T) { updated, err = Run(context.Background(), story, tinyMode(), o) })
	return updated, err
}

func TestRunPasses(t *testing.T) {
	_, err := runText(t, `A story that uses what there is.
stores: KEPT

-- project/note.txt --
${KEPT}
-- backend --
reply 503
-- script --
token T1 {"email":"a@example.com"}
secret KEPT something-secret
-> {"id":1,"method":"echo","params":{"b":[1,2],"a":null}}
<- exact {"id":1,"result":{"a":null,"b":[1,"$two"]}}
-> {"id":2,"method":"echo",
  "params":{"n":"$two"}}
<- {"id":2,"result":{"n":2}}
-> {"id":3,"method":"slow","params":{}}
!! 9s {"id":3}
within 2s
<- {"id":3}
-> {"id":"q","method":"ask","params":{}}
<- {"method":"question","id":"$asked"}
-> {"id":"$asked","result":{"yes":true}}
<- {"id":"q","result":{"yes":true}}
-> raw "{\"id\":4,\"method\":\"backend\"}\n{\"id\":5,\"method\":\"echo\",\"params\":1}\n"
<~ {"id":5}
<- {"id":4,"result":503}
backend <- {"method":"POST","path":"/v1/responses","bearer":"$absent","body":{}}
backend count 1
stderr empty
files !contain $T1
file project/note.txt contains something
file project/note.txt mode 0600
file home/auth.json absent
!! ever {"method":"never"}
eof
exit 0
`, RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRunFails(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"mismatch", "-> {\"id\":1,\"method\":\"echo\",\"params\":{\"a\":1}}\n<- {\"id\":1,\"result\":{\"a\":2}}", "story.txtar:3: <- {\"id\":1"},
		{"nothing comes", "-> {\"id\":1,\"method\":\"slow\"}\n<- {\"id\":1}", "nothing came within 5s"},
		{"somewhere", "-> {\"id\":1,\"method\":\"echo\",\"params\":{}}\n<~ {\"id\":2}", "no line matches"},
		{"must not come", "-> {\"id\":1,\"method\":\"echo\",\"params\":{}}\n!! {\"id\":1}", "must not come"},
		{"must never come", "!! ever {\"id\":1}\n-> {\"id\":1,\"method\":\"echo\",\"params\":{}}\n<- {\"id\":1}", "story.txtar:2: !! ever"},
		{"unknown variable", "-> {\"id\":\"$who\"}", `nothing is known as "who"`},
		{"unknown directive", "hop", "unknown directive"},
		{"exit code", "eof\nexit 3", "want 3, got 0"},
		{"no answer", "-> {\"id\":1,\"method\":\"mute\"}", "request 1 (mute): 0 answers, want 1"},
		{"no JSON on stdout", "-> {\"id\":1,\"method\":\"noise\"}\n<~ {\"id\":1}", "no JSON object"},
		{"turn without end", "-> {\"id\":1,\"method\":\"turn/start\"}\n<- {\"id\":1}", "turn turn-1: 0 turn/completed"},
		{"backend over", "-> {\"id\":1,\"method\":\"backend\"}\n<- {\"id\":1}", "found no reply"},
		{"leak to stderr", "secret S very-secret\n-> {\"id\":1,\"method\":\"leak\",\"params\":\"a ${S}\"}\n<~ {\"id\":1}", "secret S stands in stderr"},
		{"leak to stdout", "secret S very-secret\n-> {\"id\":1,\"method\":\"echo\",\"params\":\"a ${S}\"}\n<~ {\"id\":1}", "secret S stands on stdout"},
		{"requests", "backend count 1", "waited 5s: requests: want 1, got 0"},
		{"request in time", "within 1s\nbackend <- {}", "request 1 at the backend: waited 1s"},
		{"file", "file home/config.toml absent", "waited 5s: the file is there"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := runText(t, "-- script --\n"+tt.script+"\n", RunOptions{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v\nwant %q in it", err, tt.want)
			}
			if strings.Contains(err.Error(), "very-secret") {
				t.Errorf("the error shows the secret: %v", err)
			}
			if !strings.Contains(err.Error(), "--- conversation (process) ---") {
				t.Errorf("the error lacks the conversation: %v", err)
			}
		})
	}
}

func TestRunUpdates(t *testing.T) {
	const before = `A story.

-- script --
secret S very-secret
-> {"id":1,"method":"echo","params":{"a":1,"b":"01a21116-41a9-7431-b6d0-1639b9978fe6","c":"x","doneAt":5}}
<-
-> {"id":2,"method":"echo","params":{"a":{"b":[1,2]},"c":"y"}}
<- {"id":2,"result":{"a":{"b":[1,3]},
  "c":"$c","gone":true}}
-> {"id":3,"method":"echo","params":"y"}
<- {"id":3,"result":"$c"}
# The end.
`
	want := strings.NewReplacer(
		"\n<-\n", `
<- {"id":1,"result":{"a":1,"b":"$uuid","c":"x","doneAt":"$number"}}
`, `<- {"id":2,"result":{"a":{"b":[1,3]},
  "c":"$c","gone":true}}`, `<- {"id":2,"result":{"a":{"b":[1,2]},"c":"$c"}}`).Replace(before)
	got, err := runText(t, before, RunOptions{Update: true})
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	again, err := runText(t, want, RunOptions{Update: true})
	if err != nil || again != nil {
		t.Errorf("the second update changes the file again (%v):\n%s", err, again)
	}
}

func TestReadStoryErrors(t *testing.T) {
	for text, want := range map[string]string{
		"prose":                                      "no script",
		"-- what --\n":                               "unknown section",
		"only: child\n-- script --\neof\n":           "the reason",
		"-- script --\n  eof\n":                      "line 2 continues nothing",
		"-- script --\nsecret S short\n":             "shorter than",
		"-- script --\ntoken T {\"email\":1}\n":      "token T",
		"-- script --\neof\ninclude nothing-there\n": "line 3: include",
	} {
		if _, err := runText(t, text, RunOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		process, err := tinyMode().Start(Launch{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var traced strings.Builder
		p := NewParent(process, ParentOptions{
			Trace: func(d Direction, line []byte) { fmt.Fprintf(&traced, "%s %s\n", d, line) },
		})
		var got map[string]any
		if err := p.Call(context.Background(), "echo", map[string]any{"a": true}, &got); err != nil || got["a"] != true {
			t.Errorf("echo: %v %v", got, err)
		}
		short, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := p.Call(short, "mute", nil, nil); !strings.Contains(fmt.Sprint(err), "deadline exceeded") {
			t.Errorf("mute: %v", err)
		}
		if code, err := p.Close(context.Background()); code != 0 || err != nil {
			t.Errorf("close: %d %v", code, err)
		}
		if err := p.Call(context.Background(), "echo", nil, nil); !strings.Contains(fmt.Sprint(err), ErrServerGone.Error()) {
			t.Errorf("after the end: %v", err)
		}
		want := "-> {\"id\":1,\"method\":\"echo\",\"params\":{\"a\":true}}\n<- {\"id\":1,\"result\":{\"a\":true}}\n"
		if !strings.HasPrefix(traced.String(), want) {
			t.Errorf("traced:\n%s", traced.String())
		}
	})
}
