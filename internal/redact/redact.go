// Package redact takes tokens out of texts that somebody else wrote: a parent's
// error, a token endpoint's description, before they become part of an error, a
// log line or a page. It knows the secrets that it is given and the common
// looks of tokens; what merely resembles an id or a host name stays.
package redact

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

const (
	// redacted stands for what was taken out.
	redacted = "[redacted]"

	// MaxText is how many bytes [Shorten] leaves of a text. It is made for
	// people; a page of it is enough.
	MaxText = 2048

	// minKnown is the length in bytes from which a known token is looked for.
	// A shorter one would take innocent letters out of the text.
	minKnown = 4
)

var (
	// dotted is three segments as a JWT has them; isJWT decides.
	dotted = regexp.MustCompile(`[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*`)
	// tokenish is what is taken out without a further look: the beginning of a
	// JWT (a header that begins with {" in base64), a bearer, an API key, and
	// any unbroken run that is longer than ids and hashes are.
	tokenish = regexp.MustCompile(`eyJ[A-Za-z0-9_.-]{5,}|(?i:bearer)\s+[^\s",]+|sk-[A-Za-z0-9_-]{8,}|[A-Za-z0-9+/_=-]{72,}`)
)

// Redactor takes tokens out of texts. The zero one knows no secret and still
// finds what looks like a token. It is immutable and safe for concurrent use.
type Redactor struct{ known []string }

// New knows the secrets given; very short ones are left out.
func New(secrets ...protocol.Secret) Redactor {
	var r Redactor
	for _, s := range secrets {
		if t := s.Reveal(); len(t) >= minKnown {
			r.known = append(r.known, t)
		}
	}
	// A token that is the beginning of another one comes after it.
	slices.SortFunc(r.known, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return r
}

// Text returns s without tokens.
func (r Redactor) Text(s string) string {
	for _, t := range r.known {
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

// Shorten cuts a text to MaxText and mends its UTF-8. It is called after the
// cleaning: half a token would not be found.
func Shorten(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if len(s) <= MaxText {
		return s
	}
	cut := MaxText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
