package fake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// directive plays one line of the script. Its error says what was wanted and
// what came.
func (r *runner) directive(ctx context.Context, i int, verb, rest string) error {
	switch verb {
	case "->":
		return r.sendLine(rest)
	case "<-":
		return r.expectNext(ctx, i, rest)
	case "<~":
		return r.expectSomewhere(ctx, rest)
	case "!!":
		return r.refuse(i, rest)
	case "ignore":
		p, err := parsePattern(rest)
		r.ignored = append(r.ignored, p)
		// Also what is here already: how much that is, is chance.
		r.unread = slices.DeleteFunc(r.unread, func(l *outLine) bool { return r.fits(p, l) })
		return err
	case "within":
		d, err := time.ParseDuration(rest)
		r.within = d
		return err
	case "sleep":
		d, err := time.ParseDuration(rest)
		if err == nil {
			r.sleep(d)
		}
		return err
	case "quiet":
		r.mode.Quiet()
		return nil
	case "backend":
		return r.backendLine(ctx, rest)
	case "gate":
		name, ok := strings.CutPrefix(rest, "open ")
		if !ok {
			return errors.New("want gate open NAME")
		}
		r.transcript.add("gate open %s", name)
		r.backend.Open(name)
		return nil
	case "eof":
		r.eof()
		return nil
	case "exit":
		code, err := strconv.Atoi(rest)
		if err != nil {
			return err
		}
		return r.exit(code)
	case "signal":
		return r.signal(rest)
	case "restart":
		return r.restart(rest)
	case "stdout":
		return r.stdoutLine(rest)
	case "stderr":
		return r.soon(ctx, func() error { return r.stderrLine(rest) })
	case "file":
		return r.soon(ctx, func() error { return r.fileLine(rest) })
	case "files":
		return r.filesLine(rest)
	case "browser":
		return r.browserLine(rest)
	case "callback", "callback&":
		return r.callbackLine(verb, rest)
	case "page":
		return r.pageLine(ctx, rest)
	case "occupy":
		return r.occupyLine(rest)
	case "provider":
		return r.providerLine(ctx, rest)
	case "write":
		return r.writeLine(rest)
	case "processes":
		return r.processesLine(ctx, rest)
	}
	return fmt.Errorf("unknown directive %q", verb)
}

func (r *runner) sleep(d time.Duration) {
	r.transcript.add("sleep %v", d)
	time.Sleep(d)
}

// sendLine writes a message to the server, or with raw any bytes.
func (r *runner) sendLine(rest string) error {
	text, isRaw := strings.CutPrefix(rest, "raw ")
	var err error
	if isRaw {
		if text, err = r.fillText(text); err == nil {
			text, err = parseRaw(text)
		}
	} else {
		text, err = fill(rest, r.vars)
		text += "\n"
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		r.noteRequest(line)
	}
	r.transcript.add("-> %s", strings.TrimSuffix(text, "\n"))
	r.send.send([]byte(text))
	return nil
}

// noteRequest remembers a request for the check that it is answered.
func (r *runner) noteRequest(line string) {
	m, _ := mustDecodeOr([]byte(strings.TrimSpace(line)), nil).(map[string]any)
	method, ok := m["method"].(string)
	if !ok {
		return
	}
	switch id := m["id"].(type) {
	case string:
		r.sent = append(r.sent, sentRequest{encodeJSON(id), method})
	case number:
		if _, err := strconv.ParseInt(string(id), 10, 64); err == nil {
			r.sent = append(r.sent, sentRequest{encodeJSON(id), method})
		}
	}
}

func parsePattern(text string) (any, error) {
	v, err := decodeJSON([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("pattern: %w", err)
	}
	return v, nil
}

// expectNext wants the next unread line to match.
func (r *runner) expectNext(ctx context.Context, i int, rest string) error {
	rest, exact := strings.CutPrefix(rest, "exact ")
	var pattern any = map[string]any{}
	if rest != "" || !r.opts.Update {
		var err error
		if pattern, err = parsePattern(rest); err != nil {
			return err
		}
	}
	l, err := r.take(ctx, r.patience(r.mode.Patience), func(int, *outLine) bool { return true })
	if err != nil {
		return err
	}
	if l.value == nil {
		return fmt.Errorf("the line is no JSON object\n  came: %s", clip(l.raw))
	}
	found, diff := match(pattern, l.value, r.vars, exact)
	if rest == "" {
		diff = "empty"
	}
	if diff != "" && r.canRewrite(i) {
		found = r.rewrite(i, pattern, l.value, exact)
		diff = ""
	}
	if diff != "" {
		return mismatch(rest, l.raw, diff)
	}
	r.learn(found)
	return nil
}

func mismatch(want, got, diff string) error {
	return fmt.Errorf("  want: %s\n  came: %s\n  diff (-want +came):\n%s", clip(want), clip(got), diff)
}

func (r *runner) learn(found vars) {
	for name, v := range found {
		r.vars[name] = v
	}
}

// expectSomewhere wants any unread line, now or soon, to match.
func (r *runner) expectSomewhere(ctx context.Context, rest string) error {
	rest, exact := strings.CutPrefix(rest, "exact ")
	pattern, err := parsePattern(rest)
	if err != nil {
		return err
	}
	var found vars
	_, err = r.take(ctx, r.patience(r.mode.Patience), func(_ int, l *outLine) bool {
		if l.value == nil {
			return false
		}
		var diff string
		found, diff = match(pattern, l.value, r.vars, exact)
		return diff == ""
	})
	if err != nil {
		return fmt.Errorf("no line matches: %w; unread:\n%s", err, r.unreadText())
	}
	r.learn(found)
	return nil
}

func (r *runner) unreadText() string {
	if len(r.unread) == 0 {
		return "  (nothing)\n"
	}
	var b strings.Builder
	for _, l := range r.unread {
		b.WriteString("  " + clip(l.raw) + "\n")
	}
	return b.String()
}

// refuse wants no unread line to match once the server is quiet; with a time
// first that time passes before, with "ever" the whole story is checked at its
// end.
func (r *runner) refuse(i int, rest string) error {
	if text, ok := strings.CutPrefix(rest, "ever "); ok {
		p, err := parsePattern(text)
		r.never = append(r.never, never{r.story.lines[i], p})
		return err
	}
	if word, text, ok := strings.Cut(rest, " "); ok && !strings.HasPrefix(rest, "{") {
		d, err := time.ParseDuration(word)
		if err != nil {
			return err
		}
		r.sleep(d)
		rest = strings.TrimSpace(text)
	}
	p, err := parsePattern(rest)
	if err != nil {
		return err
	}
	r.mode.Quiet()
	r.refill()
	for _, l := range r.unread {
		if r.fits(p, l) {
			return fmt.Errorf("it must not come, but it did\n  came: %s", clip(l.raw))
		}
	}
	return nil
}

var signals = map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP}

func (r *runner) signal(name string) error {
	s, ok := signals[name]
	if !ok {
		return fmt.Errorf("unknown signal %q", name)
	}
	r.transcript.add("signal %s", name)
	return r.process.Signal(s)
}

// stdoutLine plays a parent that reads slowly, or not at all.
func (r *runner) stdoutLine(what string) error {
	r.transcript.add("stdout %s", what)
	switch what {
	case "pause":
		r.out.pause()
	case "resume":
		r.out.resume()
	case "close":
		return r.process.Stdout.Close()
	default:
		return fmt.Errorf("want pause, resume or close")
	}
	return nil
}

func (r *runner) stderrLine(rest string) error {
	text := r.stderr()
	if rest == "empty" {
		if r.mode.Name == "child" && text != "" { // in process the log is at debug
			return fmt.Errorf("stderr is not empty")
		}
		return nil
	}
	return r.contains(rest, text)
}

// contains checks `contains TEXT` and `!contains TEXT`; the text may be quoted
// and may use variables.
func (r *runner) contains(check, text string) error {
	verb, want, _ := strings.Cut(check, " ")
	want, err := r.fillText(strings.TrimSpace(want))
	if err != nil {
		return err
	}
	if unquoted, err := strconv.Unquote(want); err == nil {
		want = unquoted
	}
	switch has := strings.Contains(text, want); {
	case verb == "contains" && !has:
		return fmt.Errorf("the text is not there; got:\n%s", clip(text))
	case verb == "!contains" && has:
		return fmt.Errorf("the text is there")
	case verb != "contains" && verb != "!contains":
		return fmt.Errorf("want contains or !contains")
	}
	return nil
}

// fileLine checks one file below home or project.
func (r *runner) fileLine(rest string) error {
	name, check, _ := strings.Cut(rest, " ")
	path := filepath.Join(r.opts.Dir, filepath.FromSlash(name))
	info, err := os.Stat(path)
	verb, arg, _ := strings.Cut(check, " ")
	switch verb {
	case "absent":
		if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("the file is there (%v)", err)
		}
		return nil
	case "exists":
		return err
	case "mode":
		if err != nil {
			return err
		}
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != arg {
			return fmt.Errorf("mode: want %s, got %s", arg, got)
		}
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if verb == "json" {
		pattern, err := parsePattern(arg)
		if err != nil {
			return err
		}
		_, diff := match(pattern, mustDecodeOr(data, string(data)), r.vars, false)
		if diff != "" {
			return mismatch(arg, string(data), diff)
		}
		return nil
	}
	return r.contains(check, string(data))
}

// filesLine wants a text in no file below home and project, nor on stderr.
func (r *runner) filesLine(rest string) error {
	text, ok := strings.CutPrefix(rest, "!contain ")
	if !ok {
		return errors.New("want files !contain TEXT")
	}
	text, err := r.fillText(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	if name := nameText.FindStringSubmatch(text); name != nil {
		v, ok := r.vars[name[1]]
		if !ok {
			return fmt.Errorf("nothing is known as %s", text)
		}
		text = plainText(v)
	}
	place, err := r.findLeak(text)
	if err != nil || place == "" {
		return err
	}
	return fmt.Errorf("it stands in %s", place)
}

// backendLine checks what came to the backend.
func (r *runner) backendLine(ctx context.Context, rest string) error {
	verb, arg, _ := strings.Cut(rest, " ")
	arg = strings.TrimSpace(arg)
	switch verb {
	case "<-", "<~":
		return r.expectRequest(ctx, arg, verb == "<-")
	case "count":
		return r.countRequests(ctx, arg)
	case "same":
		a, b, err := r.twoRequests(ctx, arg)
		if err == nil && string(a.Body) != string(b.Body) {
			err = fmt.Errorf("bodies differ\n  %s\n  %s", clip(string(a.Body)), clip(string(b.Body)))
		}
		return err
	case "extends":
		a, b, err := r.twoRequests(ctx, arg)
		if err != nil {
			return err
		}
		return extends(a.Body, b.Body)
	case "down":
		r.transcript.add("backend down")
		r.endpoint.Close()
		return nil
	}
	return fmt.Errorf("unknown check %q", verb)
}

// turnRequests are the requests whose path ends in path; with "" those that ask
// the model.
func (r *runner) turnRequests(path string) []Request {
	var out []Request
	for _, q := range r.backend.Requests() {
		if path == "" && isTurn(&q) || path != "" && strings.HasSuffix(q.Path, path) {
			out = append(out, q)
		}
	}
	return out
}

// waitRequests waits until at least n requests of turnRequests have come.
func (r *runner) waitRequests(ctx context.Context, n int, path string) error {
	return r.soon(ctx, func() error {
		if got := len(r.turnRequests(path)); got < n {
			return fmt.Errorf("requests: want %d, got %d", n, got)
		}
		return nil
	})
}

// countRequests waits for so many requests, and wants no more once the server is
// quiet.
func (r *runner) countRequests(ctx context.Context, arg string) error {
	count, path, _ := strings.Cut(arg, " ")
	want, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	if err := r.waitRequests(ctx, want, path); err != nil {
		return err
	}
	r.mode.Quiet()
	if got := len(r.turnRequests(path)); got != want {
		return fmt.Errorf("requests: want %d, got %d", want, got)
	}
	return nil
}

// expectRequest wants a request that the script has not read yet. A pattern
// with a path is about requests of that path, any other about those that ask
// the model.
func (r *runner) expectRequest(ctx context.Context, arg string, inOrder bool) error {
	pattern, err := parsePattern(arg)
	if err != nil {
		return err
	}
	object, _ := pattern.(map[string]any)
	path, _ := object["path"].(string)
	ctx, cancel := bounded(ctx, r.patience(r.mode.Patience))
	defer cancel()
	for seen := 0; ; {
		all := r.backend.Requests()
		for i := seen; i < len(all); i++ {
			if r.taken[i] || path == "" && !isTurn(&all[i]) || path != "" && path != all[i].Path {
				continue
			}
			found, diff := match(pattern, all[i].JSON(), r.vars, false)
			if diff == "" {
				r.taken[i] = true
				r.learn(found)
				return nil
			}
			if inOrder {
				return mismatch(arg, encodeJSON(all[i].JSON()), diff)
			}
		}
		seen = len(all)
		if _, err := r.backend.WaitRequests(ctx, seen+1); err != nil {
			return err
		}
	}
}
