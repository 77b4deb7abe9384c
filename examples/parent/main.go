// Command parent is a small parent application: it starts app-server as a
// child, hands in tokens that it owns itself, runs some turns, answers the
// server's questions for new tokens and for approval, and prints every line of
// the wire beside the conversation.
//
// Without -base-url it brings its own backend on loopback, whose first token
// has expired, so that the refresh can be watched, and whose scripted model
// changes a small project and mends what it broke.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"app-server/internal/fake"
)

// timeLimit bounds the whole run, so that a server that hangs is an error.
const timeLimit = 5 * time.Minute

// envToken is where -access-token is taken from by default, because a command
// line can be read by other users of the machine.
const envToken = "APP_SERVER_ACCESS_TOKEN"

// options are the command line.
type options struct {
	server, baseURL, token, account, model string
	prompts                                []string
	quiet                                  bool
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
		defer cancel()
		err = run(ctx, o, newPrinter(os.Stdout))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "parent:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	o := options{}
	fs := flag.NewFlagSet("parent", flag.ContinueOnError)
	fs.StringVar(&o.server, "server", "", "the server's program (default: app-server beside this one, ./bin/app-server, or in PATH)")
	fs.StringVar(&o.baseURL, "base-url", "", "a Responses API to talk to; its /responses is called (default: a scripted one on loopback)")
	fs.StringVar(&o.token, "access-token", "", "the access token, or @FILE (default: $"+envToken+")")
	fs.StringVar(&o.account, "account", "", "the ChatGPT account id that belongs to the token")
	fs.StringVar(&o.model, "model", "gpt-5.2", "the model")
	fs.BoolVar(&o.quiet, "quiet", false, "print the conversation without the wire")
	prompt := fs.String("prompt", "", "what to ask (default: small talk, and a small task)")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", fs.Arg(0))
	}
	o.prompts = []string{"Are you still there?", "And once more?", task}
	if *prompt != "" {
		o.prompts = []string{*prompt}
	}
	var err error
	if o.token, err = readToken(o.token); err != nil {
		return o, err
	}
	if o.baseURL != "" && (o.token == "" || o.account == "") {
		return o, fmt.Errorf("-base-url needs -account, and a token in $%s or -access-token", envToken)
	}
	o.server, err = findServer(o.server)
	return o, err
}

// readToken takes the token from the flag, from a file, or from the
// environment.
func readToken(value string) (string, error) {
	if file, ok := strings.CutPrefix(value, "@"); ok {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("access token: %w", err)
		}
		return strings.TrimSpace(string(data)), nil
	}
	if value == "" {
		value = os.Getenv(envToken)
	}
	return value, nil
}

// findServer looks for the server's program where it usually is.
func findServer(path string) (string, error) {
	if path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("server: %w", err)
		}
		return filepath.Abs(path)
	}
	places := []string{"bin/app-server"}
	if self, err := os.Executable(); err == nil {
		places = append([]string{filepath.Join(filepath.Dir(self), "app-server")}, places...)
	}
	for _, place := range places {
		if found, err := exec.LookPath(place); err == nil {
			return filepath.Abs(found)
		}
	}
	if found, err := exec.LookPath("app-server"); err == nil {
		return found, nil
	}
	return "", errors.New("no app-server found; build it with 'make build' or name it with -server")
}

// tokens are what the parent owns: the one it logs in with, and the one it
// answers the refresh with.
type tokens struct{ first, next, account, plan string }

// run starts everything, plays the conversation, and ends everything.
func run(ctx context.Context, o options, out *printer) (err error) {
	mine := tokens{first: o.token, next: o.token, account: o.account}
	if o.baseURL == "" {
		backend, tokens := scriptedBackend()
		endpoint, err := backend.ListenLoopback()
		if err != nil {
			return err
		}
		defer backend.Close()
		defer endpoint.Close()
		o.baseURL, mine = endpoint.URL+"/v1", tokens
		out.note("a backend listens on %s; its first token has expired", endpoint.URL)
	}
	home, err := makeHome(o)
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	project := filepath.Join(home, "project")
	if err := makeProject(project); err != nil {
		return err
	}
	out.hide(mine.first, mine.next)

	c := newConversation(out, mine)
	c.agrees = mine.plan != "" // the scripted model is known to do no harm
	options := c.options()
	if !o.quiet {
		options.Trace = out.wire
	}
	parent, err := fake.Spawn(fake.Launch{Path: o.server, Args: []string{"app-server"}, Dir: project,
		Env: append(os.Environ(), "CODEX_HOME="+filepath.Join(home, "home"))}, options)
	if err != nil {
		return err
	}
	out.note("started %s", o.server)
	talkErr := c.talk(ctx, parent, o)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	code, closeErr := parent.Close(closing)
	if talkErr != nil {
		return withStderr(talkErr, parent.Stderr())
	}
	if closeErr != nil {
		return closeErr
	}
	if code != 0 {
		return withStderr(fmt.Errorf("the server ended with exit code %d", code), parent.Stderr())
	}
	out.note("stdin closed, the server ended with exit code 0")
	return nil
}

func withStderr(err error, stderr string) error {
	if stderr = strings.TrimSpace(stderr); stderr == "" {
		return err
	}
	return fmt.Errorf("%w\nthe server's stderr:\n%s", err, stderr)
}

// makeHome makes a temporary folder with a CODEX_HOME in it, whose config points
// at the backend.
func makeHome(o options) (string, error) {
	home, err := os.MkdirTemp("", "app-server-demo-")
	if err != nil {
		return "", fmt.Errorf("home: %w", err)
	}
	config := fmt.Sprintf(`model = %q
model_provider = "demo"
approval_policy = "on-request"
sandbox_mode = "workspace-write"

[model_providers.demo]
name = "Demo"
base_url = %q
wire_api = "responses"
requires_openai_auth = true
`, o.model, o.baseURL)
	err = os.Mkdir(filepath.Join(home, "home"), 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(home, "home", "config.toml"), []byte(config), 0o600)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("home: %w", err), os.RemoveAll(home))
	}
	return home, nil
}

// scriptedBackend refuses the first token and answers the second one in pieces.
func scriptedBackend() (*fake.Backend, tokens) {
	user := fake.Identity{Email: "user@example.com", Plan: "pro", User: "user-1", Account: "org-demo"}
	first, next := user, user
	first.Serial, first.Expires = "first", time.Now().Add(-time.Minute).Unix()
	next.Serial, next.Expires = "next", time.Now().Add(time.Hour).Unix()
	t := tokens{first: first.Token(), next: next.Token(), account: user.Account, plan: user.Plan}

	expired := fake.Status(401, `{"error":{"message":"the token has expired","code":"token_expired"}}`)
	expired.When.Bearer, expired.Always = t.first, true
	replies := append([]fake.Reply{expired,
		slowly(fake.Answer(1, "Yes, I am here; you did not even notice that your token had expired.")),
		slowly(fake.Answer(2, "Always. This time the new token was good from the start.")),
	}, agentReplies()...)
	return fake.NewBackend(replies...), t
}

// slowly puts a short pause before each step, so that streaming can be seen.
func slowly(steps []fake.Step) fake.Reply {
	var out []fake.Step
	for _, s := range steps {
		out = append(out, fake.Pause(40*time.Millisecond), s)
	}
	return fake.Stream(out...)
}
