package protocol

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"reflect"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ParamsOptional is implemented by params of methods that may be sent without
// a params member. All others need one, {} at least, as in the reference.
type ParamsOptional interface{ paramsOptional() }

// NoParams are the params of methods that take none; any are ignored.
type NoParams struct{}

func (NoParams) paramsOptional() {}

// Validator is implemented by params that have rules beyond types and required
// members. Validate returns an *Error or nil.
type Validator interface{ Validate() error }

// decodeOptions take what the reference takes: duplicate names (the last one
// counts) and unknown members.
var decodeOptions = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// Decode reads the params of a request, an answer or a notification into the
// value that into points at. It refuses, with an *Error of code
// CodeInvalidRequest that names the member, values of a wrong type, unknown
// values of closed enums and required members that are missing or null. Absent
// params come as nil. Errors never quote the input.
func Decode(params jsontext.Value, into any) error {
	if len(params) == 0 || params.Kind() == 'n' {
		if _, ok := into.(ParamsOptional); ok {
			return nil
		}
		return Invalid(ReasonInvalidRequest, "Invalid request: params are missing")
	}
	if err := json.Unmarshal(params, into, decodeOptions); err != nil {
		return decodeError(err)
	}
	if req := requiredOf(reflect.TypeOf(into)); req != nil {
		if name := req.missing(jsontext.NewDecoder(bytes.NewReader(params), decodeOptions)); name != "" {
			return missingField(name)
		}
	}
	if v, ok := into.(Validator); ok {
		return v.Validate()
	}
	return nil
}

func missingField(name string) *Error {
	return Invalid(ReasonInvalidParams, "Invalid request: missing field `%s`", name)
}

// decodeError says which member was wrong in words of our own: the library's
// errors name Go types and may quote the value.
func decodeError(err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var sem *json.SemanticError
	if errors.As(err, &sem) {
		name := strings.ReplaceAll(strings.TrimPrefix(string(sem.JSONPointer), "/"), "/", ".")
		if name == "" {
			return Invalid(ReasonInvalidParams, "Invalid request: params have a wrong type")
		}
		return Invalid(ReasonInvalidParams, "Invalid request: field `%s` has a wrong type or value", name)
	}
	return Invalid(ReasonInvalidParams, "Invalid request: params are not valid JSON")
}

// required is the tree of members that must be there: of one struct type, or of
// each element of a list or a map.
type required struct {
	names  []string
	nested map[string]*required
	each   *required
}

var requiredCache sync.Map // reflect.Type to *required

// requiredOf reads the required tags of a struct type, through pointers, lists
// and maps. It returns nil where nothing is required. Types that decode themselves
// check themselves.
func requiredOf(t reflect.Type) *required {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Map:
		if each := requiredOf(t.Elem()); each != nil && !decodesItself(t) {
			return &required{each: each}
		}
		return nil
	case reflect.Struct:
	default:
		return nil
	}
	if r, ok := requiredCache.Load(t); ok {
		return r.(*required)
	}
	var r *required
	if !decodesItself(t) {
		r = readRequired(t)
	}
	requiredCache.Store(t, r)
	return r
}

func decodesItself(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[json.UnmarshalerFrom]())
}

func readRequired(t reflect.Type) *required {
	r := &required{nested: map[string]*required{}}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Tag.Get("required") == "true" {
			r.names = append(r.names, name)
		}
		n := requiredOf(f.Type)
		switch {
		case n == nil:
		case f.Anonymous && name == "":
			// Members of an embedded struct stand beside the others.
			r.names = append(r.names, n.names...)
			maps.Copy(r.nested, n.nested)
		default:
			r.nested[name] = n
		}
	}
	if len(r.names) == 0 && len(r.nested) == 0 {
		return nil
	}
	return r
}

// missingInEach is missing for a list or a map.
func (r *required) missingInEach(d *jsontext.Decoder) string {
	open := d.PeekKind()
	if open != '[' && open != '{' {
		_ = d.SkipValue()
		return ""
	}
	_, _ = d.ReadToken()
	first := ""
	for k := d.PeekKind(); k != ']' && k != '}' && k != 0; k = d.PeekKind() {
		if open == '{' {
			_, _ = d.ReadToken() // the name
		}
		first = cmp.Or(first, r.each.missing(d))
	}
	_, _ = d.ReadToken()
	return first
}

// missing returns the first required name that the object lacks, or "". The
// input has been decoded once, so its syntax is known to be good.
func (r *required) missing(d *jsontext.Decoder) string {
	if r.each != nil {
		return r.missingInEach(d)
	}
	if d.PeekKind() != '{' {
		_ = d.SkipValue()
		return ""
	}
	_, _ = d.ReadToken()
	seen := make([]bool, len(r.names))
	first := ""
	for d.PeekKind() == '"' {
		tok, err := d.ReadToken()
		if err != nil {
			return first
		}
		name := tok.String()
		if d.PeekKind() != 'n' {
			for i, n := range r.names {
				if n == name {
					seen[i] = true
				}
			}
		}
		if n := r.nested[name]; n != nil {
			if m := n.missing(d); m != "" && first == "" {
				first = name + "." + m
			}
			continue
		}
		if d.SkipValue() != nil {
			return first
		}
	}
	_, _ = d.ReadToken()
	for i, n := range r.names {
		if !seen[i] {
			return n
		}
	}
	return first
}

// closedEnum reads a text that must be one of known. It is the UnmarshalText of
// enums that a parent sends.
func closedEnum[T ~string](into *T, text []byte, known ...T) error {
	for _, k := range known {
		if string(k) == string(text) {
			*into = k
			return nil
		}
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = "`" + string(k) + "`"
	}
	return Invalid(ReasonInvalidParams, "Invalid request: unknown value, expected one of %s", strings.Join(names, ", "))
}
