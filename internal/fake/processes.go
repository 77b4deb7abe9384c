package fake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// processesLine wants that no process has a text in its command line, now or
// soon. Only Linux tells.
func (r *runner) processesLine(ctx context.Context, rest string) error {
	text, ok := strings.CutPrefix(rest, "!contain ")
	if !ok {
		return errors.New("want processes !contain TEXT")
	}
	text, err := r.fillText(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	return r.soon(ctx, func() error {
		if found := processWith(text); found != "" {
			return fmt.Errorf("a process is left: %s", found)
		}
		return nil
	})
}

// processWith finds the command line of a process.
func processWith(text string) string {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err == nil && bytes.Contains(line, []byte(text)) {
			return string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		}
	}
	return ""
}
