package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logFormat is how log lines look.
type logFormat string

const (
	formatConsole logFormat = "console"
	formatJSON    logFormat = "json"
)

// levelOff is above every level in use.
const levelOff = zapcore.FatalLevel + 1

func parseLevel(s string) (zapcore.Level, error) {
	switch strings.ToLower(s) {
	case "trace", "debug":
		return zapcore.DebugLevel, nil
	case "info":
		return zapcore.InfoLevel, nil
	case "warn", "warning":
		return zapcore.WarnLevel, nil
	case "error":
		return zapcore.ErrorLevel, nil
	case "off":
		return levelOff, nil
	}
	return 0, fmt.Errorf("unknown log level %q", s)
}

func parseFormat(s string) (logFormat, error) {
	switch f := logFormat(strings.ToLower(s)); f {
	case formatConsole, formatJSON:
		return f, nil
	}
	return "", fmt.Errorf("unknown log format %q", s)
}

// levelFromEnv reads APP_SERVER_LOG, else RUST_LOG, which parents of the
// reference set. RUST_LOG may hold filters of a kind that means nothing here;
// what is no plain level leaves the default.
func levelFromEnv(getenv func(string) string) zapcore.Level {
	for _, name := range []string{"APP_SERVER_LOG", "RUST_LOG"} {
		if l, err := parseLevel(getenv(name)); err == nil {
			return l
		}
	}
	return zapcore.InfoLevel
}

func formatFromEnv(getenv func(string) string) logFormat {
	if f, err := parseFormat(getenv("LOG_FORMAT")); err == nil {
		return f
	}
	return formatConsole
}

// Limits of the way to stderr.
const (
	// logQueue is how many lines wait for a slow stderr before lines are dropped.
	logQueue = 1024
	// logFlush is how long the end of the program waits for them.
	logFlush = 200 * time.Millisecond
)

// logger writes to stderr through a queue, because a parent that does not drain
// the pipe must not stop the protocol.
type logger struct {
	*zap.Logger
	out *lineQueue
}

// newLogger starts a logger. Its close must be called.
func newLogger(w io.Writer, level zapcore.Level, format logFormat) *logger {
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	enc := zapcore.NewConsoleEncoder(cfg)
	if format == formatJSON {
		enc = zapcore.NewJSONEncoder(cfg)
	}
	q := newLineQueue(w)
	return &logger{zap.New(zapcore.NewCore(enc, q, level)), q}
}

// close flushes what it can within logFlush.
func (l *logger) close() { l.out.close() }

// lineQueue is a writer that never waits. When logQueue lines wait, further
// lines are dropped and counted; the count is told once there is room.
type lineQueue struct {
	lines   chan []byte
	dropped atomic.Int64
	done    chan struct{}
	mu      sync.Mutex // guards closed, against a write on a closed channel
	closed  bool
}

func newLineQueue(w io.Writer) *lineQueue {
	q := &lineQueue{lines: make(chan []byte, logQueue), done: make(chan struct{})}
	go q.drain(w) // ends when lines is closed, or with the process if stderr is stuck
	return q
}

func (q *lineQueue) drain(w io.Writer) {
	defer close(q.done)
	for line := range q.lines {
		if n := q.dropped.Swap(0); n > 0 {
			fmt.Fprintf(w, "app-server: %d log lines dropped, stderr was not read\n", n)
		}
		_, _ = w.Write(line)
	}
}

// Write queues a copy of one line.
func (q *lineQueue) Write(b []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return len(b), nil
	}
	select {
	case q.lines <- append([]byte(nil), b...):
	default:
		q.dropped.Add(1)
	}
	return len(b), nil
}

// Sync does nothing: waiting for stderr is what the queue exists to avoid.
func (q *lineQueue) Sync() error { return nil }

func (q *lineQueue) close() {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.lines)
	}
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-time.After(logFlush):
	}
}
