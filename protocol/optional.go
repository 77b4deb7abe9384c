package protocol

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Optional is a member that may be absent, null, or a value, three states that
// mean different things: absent keeps a setting, null clears it, a value sets
// it. Tag such fields omitzero.
type Optional[T any] struct {
	// Present is whether the member was there at all.
	Present bool
	// Value is nil where the member was null or absent.
	Value *T
}

// Some is a present value.
func Some[T any](v T) Optional[T] { return Optional[T]{Present: true, Value: &v} }

// Null is a present null.
func Null[T any]() Optional[T] { return Optional[T]{Present: true} }

// IsZero reports whether the member was absent.
func (o Optional[T]) IsZero() bool { return !o.Present }

// MarshalJSONTo writes null or the value.
func (o Optional[T]) MarshalJSONTo(e *jsontext.Encoder) error { return json.MarshalEncode(e, o.Value) }

// UnmarshalJSONFrom is called only where the member is present.
func (o *Optional[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	o.Present = true
	return json.UnmarshalDecode(d, &o.Value)
}
