package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"app-server/internal/fake"
	"app-server/internal/sandbox"
)

var (
	updateScripts = flag.Bool("update", false, "rewrite the expectations of stories with what came")
	otherServer   = flag.String("server", "", "run stories as a child against this program instead")
)

// Times of the two modes. Fake time shows how long the server takes. A child runs
// in real time on a machine that may stand still for seconds, so that its times
// are bounds against hangs alone.
const (
	processPatience = 5 * time.Second
	processExit     = 2 * time.Second
	processLimit    = time.Hour // for one story
	childPatience   = time.Minute
	childQuiet      = 250 * time.Millisecond
	childLimit      = 5 * time.Minute
)

// TestMain lets the test's program serve as the sandbox's child too, as main
// does.
func TestMain(m *testing.M) {
	if args := os.Args[1:]; sandbox.Is(args) {
		os.Exit(sandbox.Run(args))
	}
	os.Exit(m.Run())
}

// TestScripts runs each story of testdata/scripts twice: inside this process
// with fake time, and as a child over pipes and loopback.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/scripts/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no stories found (%v)", err)
	}
	server := serverBinary(t)
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		t.Run(name, func(t *testing.T) {
			story, err := fake.ReadStory(path)
			if err != nil {
				t.Fatal(err)
			}
			if story.Only != "child" && *otherServer == "" {
				t.Run("process", func(t *testing.T) { runInProcess(t, story) })
			}
			if story.Only != "process" {
				t.Run("child", func(t *testing.T) { runAsChild(t, story, server) })
			}
		})
	}
}

// serverBinary builds the server, with the race detector where this test has
// it, and returns its path.
func serverBinary(t *testing.T) string {
	t.Helper()
	if *otherServer != "" {
		path, err := filepath.Abs(*otherServer)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := filepath.Join(t.TempDir(), "app-server")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, out)
	}
	return path
}

func runInProcess(t *testing.T, story *fake.Story) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		mode := fake.Mode{Name: "process", Start: startInProcess, Memory: true, Quiet: synctest.Wait,
			Patience: processPatience, Exit: processExit}
		play(t, story, mode, fake.RunOptions{Dir: dir, Update: *updateScripts})
	})
}

func runAsChild(t *testing.T, story *fake.Story, server string) {
	start := func(l fake.Launch, _ http.RoundTripper) (*fake.Process, error) {
		l.Path = server
		if !slices.Contains(l.Args, leadingWord) { // the story may place it
			l.Args = append([]string{leadingWord}, l.Args...)
		}
		return fake.StartChild(l)
	}
	mode := fake.Mode{Name: "child", Start: start, Quiet: func() { time.Sleep(childQuiet) },
		Patience: childPatience, Exit: childPatience}
	update := *updateScripts && story.Only == "child"
	play(t, story, mode, fake.RunOptions{Dir: t.TempDir(), Update: update})
}

// play runs a story and writes its file anew where expectations changed.
func play(t *testing.T, story *fake.Story, mode fake.Mode, o fake.RunOptions) {
	t.Helper()
	limit := childLimit
	if mode.Memory {
		limit = processLimit
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit, fmt.Errorf("the story takes longer than %v", limit))
	defer cancel()
	told := newToldTurns()
	o.Line = told.line
	updated, err := fake.Run(ctx, story, mode, o)
	if err != nil {
		t.Fatal(err)
	}
	told.checkStored(t, filepath.Join(o.Dir, "home"))
	if updated == nil {
		return
	}
	if err := os.WriteFile(story.Path, updated, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s is rewritten", story.Path)
}

// startInProcess runs the whole program on a goroutine, with the most talkative
// log, so that what must not be logged is searched for where it would be.
func startInProcess(l fake.Launch, transport http.RoundTripper) (*fake.Process, error) {
	env := map[string]string{}
	for _, e := range l.Env {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	stdinReader, stdinWriter := io.Pipe()
	stdoutReader, stdoutWriter := io.Pipe()
	stderr := &fake.Log{}
	signals := make(chan os.Signal, 2)
	exit := make(chan int, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // ends with the program
		code := run(ctx, process{
			Args: append([]string{"--log-level", "debug"}, l.Args...), Stdin: stdinReader, Stdout: stdoutWriter,
			Stderr: stderr, Getenv: func(name string) string { return env[name] }, Environ: l.Env, Cwd: l.Dir, System: filepath.Join(env["HOME"], "system"),
			Transport: transport, Listen: l.Listen, Signals: signals,
		})
		// What the kernel does to the pipes of a process that has ended.
		_ = stdinReader.Close()
		_ = stdoutWriter.Close()
		exit <- code
	}()
	return &fake.Process{Stdin: stdinWriter, Stdout: stdoutReader, Stderr: stderr, Exit: exit,
		Signal: func(s os.Signal) error { signals <- s; return nil },
		Kill: func() {
			cancel()
			_ = stdinWriter.Close()
			_ = stdoutReader.Close()
		},
	}, nil
}
