package protocol

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// redacted stands wherever a secret would have been printed.
const redacted = "[redacted]"

// Secret holds a token or key. Whatever prints it (fmt with any verb, zap,
// encoding/json in either version) shows a placeholder; only [Secret.Reveal]
// gives the content. The zero Secret is empty. It is immutable and safe for
// concurrent use.
//
// The content sits behind a pointer because fmt prints the unexported fields
// of an enclosing struct without asking their methods.
type Secret struct{ content *string }

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{content: &s} }

// Reveal returns the content. Its callers are few and easily listed: those that
// send it to the backend, store it where its mode demands so, or answer
// getAuthStatus.
func (s Secret) Reveal() string {
	if s.content == nil {
		return ""
	}
	return *s.content
}

// IsEmpty reports whether there is no content.
func (s Secret) IsEmpty() bool { return s.content == nil || *s.content == "" }

// Equal compares contents in constant time.
func (s Secret) Equal(t Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(t.Reveal())) == 1
}

// String returns a placeholder.
func (Secret) String() string { return redacted }

// GoString returns a placeholder.
func (Secret) GoString() string { return redacted }

// Format writes a placeholder for every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText returns a placeholder.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns a placeholder.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(strconv.Quote(redacted)), nil }

// MarshalJSONTo writes a placeholder.
func (Secret) MarshalJSONTo(e *jsontext.Encoder) error {
	return e.WriteToken(jsontext.String(redacted))
}

// errSecretKind tells the kind that was wanted and not the value that came.
var errSecretKind = errors.New("a text is expected")

// UnmarshalJSONFrom reads a JSON string. Its errors never quote the input.
func (s *Secret) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	switch d.PeekKind() {
	case 'n':
		_, err := d.ReadToken()
		*s = Secret{}
		return err
	case '"':
		t, err := d.ReadToken()
		if err != nil {
			return err
		}
		*s = NewSecret(t.String())
		return nil
	}
	if err := d.SkipValue(); err != nil {
		return err
	}
	return errSecretKind
}
