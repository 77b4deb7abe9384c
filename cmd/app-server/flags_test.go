package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zapcore"
)

func noEnv(string) string { return "" }

// How real parents start the server; see docs/differences.md for the word.
func TestParseArgsTakes(t *testing.T) {
	for _, c := range []struct {
		args      string
		overrides []string
		action    action
	}{
		{"", nil, actionServe},
		{"app-server", nil, actionServe},
		{"app-server --listen stdio://", nil, actionServe},
		{"app-server --listen=stdio://", nil, actionServe},
		{"app-server --stdio", nil, actionServe},
		{`-c a="b" app-server --listen stdio://`, []string{`a="b"`}, actionServe},
		{"app-server -c a=1 --config b=2", []string{"a=1", "b=2"}, actionServe},
		{"--config a=1 -c b.c=x=y app-server", []string{"a=1", "b.c=x=y"}, actionServe},
		{"--enable x --disable y", []string{"features.x=true", "features.y=false"}, actionServe},
		{"--version", nil, actionVersion},
		{"app-server --version", nil, actionVersion},
		{"-V", nil, actionVersion},
		{"--help", nil, actionHelp},
		{"app-server -h", nil, actionHelp},
	} {
		opts, err := parseArgs(strings.Fields(c.args), noEnv)
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		if diff := cmp.Diff(c.overrides, opts.overrides); diff != "" || opts.action != c.action {
			t.Errorf("%s: action %d, want %d; overrides %s", c.args, opts.action, c.action, diff)
		}
	}
}

func TestParseArgsRefuses(t *testing.T) {
	for _, args := range []string{
		"serve", "app-server app-server", "--nope", "-c", "-c novalue", "-c =x", "--listen ws://127.0.0.1:1",
		"--log-level loud", "--log-format xml",
	} {
		if _, err := parseArgs(strings.Fields(args), noEnv); err == nil {
			t.Errorf("%s: taken", args)
		}
	}
	if _, err := parseArgs([]string{"-c", "=sk-secret"}, noEnv); err == nil || strings.Contains(err.Error(), "sk-secret") {
		t.Errorf("the error of a setting: %v", err)
	}
}

func TestLogSettings(t *testing.T) {
	for _, c := range []struct {
		args   string
		env    map[string]string
		level  zapcore.Level
		format logFormat
	}{
		{"", nil, zapcore.InfoLevel, formatConsole},
		{"", map[string]string{"RUST_LOG": "error"}, zapcore.ErrorLevel, formatConsole},
		{"", map[string]string{"RUST_LOG": "trace"}, zapcore.DebugLevel, formatConsole},
		{"", map[string]string{"RUST_LOG": "codex=debug,info"}, zapcore.InfoLevel, formatConsole},
		{"", map[string]string{"APP_SERVER_LOG": "warn", "RUST_LOG": "debug"}, zapcore.WarnLevel, formatConsole},
		{"", map[string]string{"LOG_FORMAT": "json"}, zapcore.InfoLevel, formatJSON},
		{"--log-level debug --log-format console", map[string]string{"APP_SERVER_LOG": "off", "LOG_FORMAT": "json"}, zapcore.DebugLevel, formatConsole},
		{"--log-level off", nil, levelOff, formatConsole},
	} {
		opts, err := parseArgs(strings.Fields(c.args), func(k string) string { return c.env[k] })
		if err != nil {
			t.Fatal(err)
		}
		if opts.logLevel != c.level || opts.logFormat != c.format {
			t.Errorf("%q %v: %v %v, want %v %v", c.args, c.env, opts.logLevel, opts.logFormat, c.level, c.format)
		}
	}
}

// A stderr that nobody reads must not stop whoever logs.
func TestLogNeverWaits(t *testing.T) {
	r, w := io.Pipe()
	log := newLogger(w, zapcore.InfoLevel, formatJSON)
	for range 4 * logQueue {
		log.Info("a line")
	}
	var out bytes.Buffer
	read := make(chan struct{})
	go func() { defer close(read); _, _ = io.Copy(&out, r) }()
	log.close()
	_ = w.Close()
	<-read
	if text := out.String(); !strings.Contains(text, "log lines dropped") || !strings.Contains(text, `"a line"`) {
		t.Errorf("neither lines nor the count of dropped ones: %.200s", text)
	}
}

func TestUsageAndVersionStand(t *testing.T) {
	for _, c := range []struct{ arg, want string }{{"--version", "app-server " + version}, {"--help", "Usage: app-server"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), process{Args: []string{c.arg}, Stdout: &out, Stderr: &errs, Getenv: noEnv}); code != exitOK {
			t.Errorf("%s: exit %d", c.arg, code)
		}
		if !strings.Contains(out.String(), c.want) || errs.Len() > 0 {
			t.Errorf("%s: %q, %q", c.arg, out.String(), errs.String())
		}
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), process{Args: []string{"--nope"}, Stdout: &out, Stderr: &errs, Getenv: noEnv}); code != exitUsage || out.Len() > 0 || errs.Len() == 0 {
		t.Errorf("a wrong option: exit %d, %q, %q", code, out.String(), errs.String())
	}
}
