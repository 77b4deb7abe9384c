package fake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// visit is one journey of a story's browser, from an address to the last page.
type visit struct {
	request *http.Request // without its context
	knows   bool          // it carries the state of the login
	done    chan struct{}

	// Set before done is closed.
	err      error
	status   int
	body     string
	header   http.Header
	location string // of the last page
}

// visitPatience is how long a journey may take.
const visitPatience = time.Minute

// maxPage is in bytes.
const maxPage = 1 << 20

// browserLine plays `browser ADDRESS`: a person signs in at the provider, and
// the browser follows where it is sent.
func (r *runner) browserLine(rest string) error {
	address, err := r.fillText(rest)
	if err != nil {
		return err
	}
	q, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	r.page = r.visit(q)
	return nil
}

// callbackLine plays `callback AUTHURL NAME=VALUE ...`: a browser comes back to
// the server with the right state, unless the values say otherwise. A value with
// spaces is quoted; @host, @path and @method are those of the request. Of
// `callback& ...` the page is not looked at.
func (r *runner) callbackLine(verb, rest string) error {
	words, err := splitWords(rest)
	if err != nil || len(words) == 0 {
		return fmt.Errorf("want callback AUTHURL NAME=VALUE ... (%v)", err)
	}
	for i := range words {
		if words[i], err = r.fillText(words[i]); err != nil {
			return err
		}
	}
	auth, back, err := callbackOf(words[0])
	if err != nil {
		return err
	}
	query, method, host := url.Values{"state": {auth.Get("state")}}, http.MethodGet, ""
	for _, w := range words[1:] {
		name, value, ok := strings.Cut(w, "=")
		switch {
		case !ok:
			return fmt.Errorf("%q is no NAME=VALUE", w)
		case name == "@host":
			host = value
		case name == "@path":
			back.Path = value
		case name == "@method":
			method = value
		case value == "":
			query.Del(name)
		default:
			query.Set(name, value)
		}
	}
	back.RawQuery = query.Encode()
	q, err := http.NewRequest(method, back.String(), nil)
	if err != nil {
		return err
	}
	if host != "" {
		q.Host = host
	}
	v := r.visit(q)
	v.knows = query.Get("state") == auth.Get("state")
	if verb != "callback&" {
		r.page = v
	}
	return nil
}

// splitWords splits at white space outside of double quotes.
func splitWords(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	open, quoted := false, false
	for _, c := range s {
		switch {
		case c == '"':
			quoted = !quoted
			open = true
		case c == ' ' && !quoted:
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(c)
			open = true
		}
	}
	if open {
		words = append(words, word.String())
	}
	if quoted {
		return nil, errors.New("a quote is not closed")
	}
	return words, nil
}

// callbackOf reads where an authorization address leads back to.
func callbackOf(authURL string) (query url.Values, back *url.URL, err error) {
	u, err := url.Parse(authURL)
	if err != nil {
		return nil, nil, err
	}
	back, err = url.Parse(u.Query().Get("redirect_uri"))
	if err != nil || back.Port() == "" {
		return nil, nil, fmt.Errorf("%q leads back to no port (%v)", authURL, err)
	}
	return u.Query(), back, nil
}

// client reaches the provider and the server's port. It keeps no connection: the
// server would have to wait for it.
func (r *runner) client() *http.Client {
	t := r.endpoint.Transport.Clone()
	t.DisableKeepAlives = true
	return &http.Client{Transport: t}
}

// visit starts a journey. It goes on beside the script.
func (r *runner) visit(q *http.Request) *visit {
	v := &visit{request: q, done: make(chan struct{})}
	r.visits = append(r.visits, v)
	r.transcript.add("browser %s %s", q.Method, q.URL.Path)
	go func() { // ends with the journey, visitPatience at the latest
		defer close(v.done)
		ctx, cancel := context.WithTimeout(context.Background(), visitPatience)
		defer cancel()
		v.err = v.fetch(r.client(), q.WithContext(ctx))
		r.transcript.add("browser shows %d %s", v.status, v.location)
	}()
	return v
}

func (v *visit) fetch(c *http.Client, q *http.Request) error {
	answer, err := c.Do(q)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxPage))
	v.status, v.body, v.header, v.location = answer.StatusCode, string(body), answer.Header, answer.Request.URL.String()
	return err
}

// strange reports whether somebody else answered: the server of another run that has
// got the port of the machine meanwhile. The login's own knows its state. In memory
// nobody else is there.
func (v *visit) strange() bool {
	return v.knows && v.err == nil && v.status == http.StatusBadRequest
}

// pageLine checks the page that the browser ended on: `page STATUS`, `page
// STATUS contains TEXT`, `page STATUS !contains TEXT`, `page STATUS at PATH`,
// `page gone` where the server does not answer any more, now or soon.
func (r *runner) pageLine(ctx context.Context, rest string) error {
	if r.page == nil {
		return errors.New("no browser was sent anywhere")
	}
	if rest == "gone" {
		return r.soon(ctx, func() error {
			v := r.page
			<-v.done // visitPatience at the latest
			if _, refused := errors.AsType[*net.OpError](v.err); refused || !r.mode.Memory && v.strange() {
				return nil
			}
			r.page = r.visit(v.request)
			r.page.knows = v.knows
			return fmt.Errorf("the server still answers: %d (%v)", v.status, v.err)
		})
	}
	ctx, cancel := bounded(ctx, r.patience(r.mode.Patience))
	defer cancel()
	select {
	case <-r.page.done:
	case <-ctx.Done():
		return fmt.Errorf("the browser is still on its way: %w", context.Cause(ctx))
	}
	v := r.page
	if v.err != nil {
		return fmt.Errorf("the browser failed: %w", v.err)
	}
	status, check, _ := strings.Cut(rest, " ")
	if got := fmt.Sprint(v.status); got != status {
		return fmt.Errorf("status: want %s, got %s\n%s", status, got, clip(v.body))
	}
	for _, s := range r.knownSecrets() {
		if strings.Contains(v.body, s) || strings.Contains(v.location, s) && !strings.Contains(v.location, "state=") {
			return errors.New("a secret stands on the page or in its address")
		}
	}
	path, isPath := strings.CutPrefix(check, "at ")
	if u, err := url.Parse(v.location); isPath && (err != nil || u.Path != path || u.RawQuery != "") {
		return fmt.Errorf("the page is at %s (%v)", v.location, err)
	}
	if check == "" || isPath {
		return nil
	}
	return r.contains(check, v.body)
}

// knownSecrets are the story's and those that came by at the provider.
func (r *runner) knownSecrets() []string {
	var all []string
	for _, s := range r.story.secrets {
		all = append(all, s.value)
	}
	if p := r.backend.Provider; p != nil {
		all = append(all, p.Secrets()...)
	}
	return all
}

// occupyLine plays `occupy PORT`: another program has the port. One that is
// taken already is as good.
func (r *runner) occupyLine(port string) error {
	listen := r.endpoint.Listen
	if listen == nil {
		listen = net.Listen
	}
	if l, err := listen("tcp4", net.JoinHostPort("127.0.0.1", port)); err == nil {
		r.occupied = append(r.occupied, l)
	}
	return nil
}

// providerLine plays `provider approve`, and checks `provider granted N`,
// `provider reused N` and `provider revoked NAME ...`.
func (r *runner) providerLine(ctx context.Context, rest string) error {
	p := r.backend.Provider
	if p == nil {
		return errors.New("the story has no provider section")
	}
	verb, want, _ := strings.Cut(rest, " ")
	var got func() string
	switch verb {
	case "approve":
		p.Approve()
		return nil
	case "granted":
		got = func() string { granted, _ := p.Counts(); return fmt.Sprint(granted) }
	case "reused":
		got = func() string { _, reused := p.Counts(); return fmt.Sprint(reused) }
	case "revoked":
		names := strings.Fields(want)
		for i, name := range names {
			names[i] = "${" + name + "}"
		}
		want = strings.Join(names, " ")
		got = func() string { return r.transcript.hide(strings.Join(p.Revoked(), " ")) }
	default:
		return errors.New("want provider approve, granted, reused or revoked")
	}
	r.mode.Quiet()
	return r.soon(ctx, func() error {
		if got := got(); got != want {
			return fmt.Errorf("%s: want %q, got %q", verb, want, got)
		}
		return nil
	})
}

// makeProvider reads the provider section: `issue ID ACCESS REFRESH` lines, in
// the order in which tokens are given out ("-" leaves one out), and `interval
// TEXT`.
func (r *runner) makeProvider() (*Provider, error) {
	p := &Provider{}
	var queue []*IssuedTokens
	for _, line := range r.story.provider {
		line, err := r.fillText(line)
		if err != nil {
			return nil, err
		}
		words := strings.Fields(line)
		switch {
		case words[0] == "issue" && len(words) == 4:
			for i, w := range words {
				if w == "-" {
					words[i] = ""
				}
			}
			queue = append(queue, &IssuedTokens{ID: words[1], Access: words[2], Refresh: words[3]})
		case words[0] == "interval" && len(words) == 2:
			p.Interval = words[1]
		case words[0] == "ready":
		default:
			return nil, fmt.Errorf("unknown line %q of the provider", line)
		}
	}
	p.Next = func() *IssuedTokens { // called under the provider's lock
		if len(queue) == 0 {
			return nil
		}
		next := queue[0]
		queue = queue[1:]
		return next
	}
	return p, nil
}

// writeLine plays `write PATH TEXT`: another program replaces a file, or with
// `write PATH` removes it.
func (r *runner) writeLine(rest string) error {
	name, text, _ := strings.Cut(rest, " ")
	path := filepath.Join(r.opts.Dir, filepath.FromSlash(name))
	text, err := r.fillText(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	r.transcript.add("write %s", name)
	if text == "" {
		return os.Remove(path)
	}
	return os.WriteFile(path, []byte(text), 0o600)
}
