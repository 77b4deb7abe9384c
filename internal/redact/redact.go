// Package redact takes secrets out of texts that somebody else wrote (a backend's
// or a parent's error, a token endpoint's description) before they become part of
// an error, a log line or a page. It knows the secrets that it is given and the
// common looks of tokens; what merely resembles an id or a host name stays.
package redact

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/excerpt"
	"app-server/protocol"
)

const (
	// redacted stands for what was taken out.
	redacted = "[redacted]"

	// minSecret is the length in bytes from which a known secret is looked for,
	// minValue that of a value which may be none. A shorter one would take
	// innocent letters out of the text.
	minSecret, minValue = 4, 8
)

var (
	// dotted is three segments as a JWT has them; isJWT decides.
	dotted = regexp.MustCompile(`[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*`)
	// tokenish is what is taken out without a further look: the beginning of a
	// JWT (a header that begins with {" in base64), a bearer (words such as
	// "bearer authentication" are none), an API key, and any unbroken run that is
	// longer than ids and hashes are.
	tokenish = regexp.MustCompile(`eyJ[A-Za-z0-9_.-]{5,}|(?i:bearer)\s+(?:[^\s",]*[0-9.][^\s",]+|[^\s",]{16,})|\bsk-[A-Za-z0-9_-]{8,}|[A-Za-z0-9+/_=-]{72,}`)
)

// Redactor takes secrets out of texts. The zero one knows none and still finds
// what looks like a token. A copy learns nothing of what is added to the other.
type Redactor struct{ known []string }

// New knows the secrets given; very short ones are left out.
func New(secrets ...protocol.Secret) Redactor {
	var r Redactor
	r.Add(secrets...)
	return r
}

// Add makes further secrets known.
func (r *Redactor) Add(secrets ...protocol.Secret) {
	for _, s := range secrets {
		r.add(s.Reveal(), minSecret)
	}
}

// AddValue makes a value known that may be a secret, such as that of a header.
func (r *Redactor) AddValue(value string) { r.add(value, minValue) }

// AddQuery makes a parameter of a query known. A short one counts where it stands
// beside its name.
func (r *Redactor) AddQuery(name, value string) {
	r.AddValue(value)
	if value != "" {
		r.know(name+"="+value, url.QueryEscape(name)+"="+url.QueryEscape(value))
	}
}

// AddURL makes known what a URL holds beside host and path: user, password, query.
func (r *Redactor) AddURL(text string) {
	u, err := url.Parse(text)
	if err != nil {
		return
	}
	r.AddValue(u.RawQuery) // Query passes over what does not fit, and it is sent all the same
	for name, values := range u.Query() {
		for _, value := range values {
			r.AddQuery(name, value)
		}
	}
	name := u.User.Username() // u.User may be nil
	password, _ := u.User.Password()
	if name+password == "" {
		return
	}
	r.AddValue(name)
	r.AddValue(password)
	// As the URL has it, and as the header of basic authentication.
	r.know(u.User.String()+"@", base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
}

// add takes a value, as it is and as a URL would have it.
func (r *Redactor) add(value string, least int) {
	if len(value) >= least {
		r.know(value, url.QueryEscape(value), url.PathEscape(value))
	}
}

func (r *Redactor) know(texts ...string) { r.known = append(slices.Clip(r.known), texts...) }

// Text returns s without secrets.
func (r Redactor) Text(s string) string {
	if s == "" {
		return ""
	}
	// The longest first: one may be a part of another.
	for _, t := range slices.SortedFunc(slices.Values(r.known), func(a, b string) int { return cmp.Compare(len(b), len(a)) }) {
		s = strings.ReplaceAll(s, t, redacted)
	}
	s = dotted.ReplaceAllStringFunc(s, func(hit string) string {
		if isJWT(hit) {
			return redacted
		}
		return hit
	})
	return tokenish.ReplaceAllString(s, redacted)
}

// isJWT reports whether one of the first two segments is the base64 of what
// begins like a JSON object. Host names and versions are not.
func isJWT(s string) bool {
	for _, part := range strings.SplitN(s, ".", 3)[:2] {
		// What comes before a bad byte is returned in spite of the error.
		head, _ := base64.RawURLEncoding.DecodeString(part)
		rest, brace := strings.CutPrefix(strings.TrimLeft(string(head), " \t\r\n"), "{")
		rest = strings.TrimLeft(rest, " \t\r\n")
		if brace && rest != "" && (rest[0] == '"' || rest[0] == '}') {
			return true
		}
	}
	return false
}

// Data returns a JSON value without tokens and as a text: a string as it is, all
// else in compact JSON. Strings are decoded first, since an escape could hide a
// token; what is not JSON becomes nothing.
func (r Redactor) Data(v jsontext.Value) string {
	switch v.Kind() {
	case 0, 'n':
		return ""
	}
	lenient := jsontext.AllowDuplicateNames(true)
	d := jsontext.NewDecoder(bytes.NewReader(v), lenient, jsontext.AllowInvalidUTF8(true))
	var out bytes.Buffer
	e := jsontext.NewEncoder(&out, lenient, jsontext.AllowInvalidUTF8(true))
	for {
		t, err := d.ReadToken()
		if err != nil {
			break
		}
		if t.Kind() == '"' {
			s := r.Text(t.String())
			if v.Kind() == '"' {
				return s
			}
			t = jsontext.String(s)
		}
		if e.WriteToken(t) != nil || d.StackDepth() == 0 {
			break
		}
	}
	if d.StackDepth() != 0 {
		return ""
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// Shorten cuts a text to most bytes and mends its UTF-8. It is called after the
// cleaning: half a token would not be found.
func Shorten(s string, most int) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if len(s) <= most {
		return s
	}
	return excerpt.Head(s, most) + "…"
}
