package fake

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseReplies reads the backend section of a story: one directive a line, as
// testdata/scripts/README.md lists them. firstLine is the number of the text's
// first line in its file, for errors.
func ParseReplies(text string, firstLine int) ([]Reply, error) {
	p := &replyParser{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := p.directive(line); err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", firstLine+i, line, err)
		}
	}
	return p.replies, nil
}

type replyParser struct {
	replies []Reply
	answers int    // numbers the ids of answers
	message string // id of the message that delta belongs to
	body    bool   // the last step of the reply is its JSON body, which waits as events do
}

func (p *replyParser) directive(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	if verb == "reply" || verb == "always" {
		return p.reply(rest, verb == "always")
	}
	if len(p.replies) == 0 {
		return fmt.Errorf("it must come after reply or always")
	}
	r := &p.replies[len(p.replies)-1]
	switch verb {
	case "when":
		return r.When.parse(rest)
	case "header":
		name, value, ok := strings.Cut(rest, ":")
		if !ok {
			return fmt.Errorf("a header is written NAME: VALUE")
		}
		r.Header.Set(name, strings.TrimSpace(value))
		return nil
	case "encode":
		r.Encoding = rest
		return nil
	}
	steps, err := p.steps(verb, rest)
	at := len(r.Steps)
	if p.body = p.body && (verb == "pause" || verb == "hold"); p.body {
		at--
	}
	r.Steps = slices.Insert(r.Steps, at, steps...)
	return err
}

// reply begins a reply: "sse", or a status with an optional body.
func (p *replyParser) reply(rest string, always bool) error {
	r := Stream()
	if rest != "sse" {
		status, body, _ := strings.Cut(rest, " ")
		code, err := strconv.Atoi(status)
		if err != nil {
			return fmt.Errorf("want sse or a status: %w", err)
		}
		r = Status(code, body)
		if body == "sse" {
			r = Reply{Status: code, Header: http.Header{"Content-Type": {"text/event-stream"}}}
		}
	}
	r.Always = always
	p.body = len(r.Steps) > 0
	p.replies = append(p.replies, r)
	return nil
}

func (w *When) parse(rest string) error {
	what, value, _ := strings.Cut(rest, " ")
	switch what {
	case "path":
		w.Path = value
	case "method":
		w.Method = value
	case "bearer":
		w.Bearer = value
	case "body":
		w.Body = value
	case "header":
		name, v, _ := strings.Cut(value, ":")
		if w.Header == nil {
			w.Header = map[string]string{}
		}
		w.Header[name] = strings.TrimSpace(v)
	default:
		return fmt.Errorf("unknown condition %q", what)
	}
	return nil
}

func (p *replyParser) steps(verb, rest string) ([]Step, error) {
	switch verb {
	case "answer":
		text, err := strconv.Unquote(rest)
		p.answers++
		return Answer(p.answers, text), err
	case "created":
		p.answers++
		return []Step{Created("resp-" + strconv.Itoa(p.answers))}, nil
	case "message":
		p.message = rest
		return []Step{MessageAdded(rest)}, nil
	case "delta":
		text, err := strconv.Unquote(rest)
		return []Step{TextDelta(p.message, text)}, err
	case "done":
		text, err := strconv.Unquote(rest)
		return []Step{MessageDone(p.message, text)}, err
	case "call":
		parts := strings.SplitN(rest, " ", 3)
		if len(parts) != 3 {
			return nil, fmt.Errorf("a call is written CALLID NAME ARGUMENTS")
		}
		return []Step{FunctionCall(parts[0], parts[1], parts[2])}, nil
	case "custom":
		parts := strings.SplitN(rest, " ", 3)
		if len(parts) != 3 {
			return nil, fmt.Errorf("a custom call is written CALLID NAME TEXT")
		}
		text, err := strconv.Unquote(parts[2])
		return []Step{CustomCall(parts[0], parts[1], text)}, err
	case "completed":
		u := answerUsage
		if rest != "" {
			if _, err := fmt.Sscan(rest, &u.Input, &u.Cached, &u.Output, &u.Reasoning); err != nil {
				return nil, fmt.Errorf("usage is four numbers: %w", err)
			}
		}
		return []Step{Completed("resp-"+strconv.Itoa(max(p.answers, 1)), u)}, nil
	case "event":
		if _, err := decodeJSON([]byte(rest)); err != nil {
			return nil, fmt.Errorf("event: %w (write odd data with raw)", err)
		}
		return []Step{Event([]byte(rest))}, nil
	case "comment":
		return []Step{Raw(": " + rest + "\n\n")}, nil
	case "raw":
		text, err := parseRaw(rest)
		return []Step{Raw(text)}, err
	case "pause":
		d, err := time.ParseDuration(rest)
		return []Step{Pause(d)}, err
	case "hold":
		return []Step{Hold(rest)}, nil
	case "flush":
		return []Step{Flush()}, nil
	case "cut":
		return []Step{Cut()}, nil
	case "keep":
		return []Step{KeepOpen()}, nil
	}
	return nil, fmt.Errorf("unknown directive %q", verb)
}

// parseRaw reads a Go string literal with an optional "N * " before it, which
// repeats it. Several of them stand one after the other, with + between.
func parseRaw(s string) (string, error) {
	var out strings.Builder
	for s = strings.TrimSpace(s); s != ""; {
		times := 1
		if n, rest, ok := strings.Cut(s, "* "); ok && !strings.ContainsAny(n, "\"`") {
			count, err := strconv.Atoi(strings.TrimSpace(n))
			if err != nil {
				return "", fmt.Errorf("repeat: %w", err)
			}
			times, s = count, strings.TrimSpace(rest)
		}
		literal, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", fmt.Errorf("want a quoted text: %w", err)
		}
		text, err := strconv.Unquote(literal)
		if err != nil {
			return "", err
		}
		out.WriteString(strings.Repeat(text, times))
		s = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(s[len(literal):]), "+"))
	}
	return out.String(), nil
}
