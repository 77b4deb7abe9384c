package redact

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// jwt is an unsigned token.
const jwt = "eyJhbGciOiJub25lIn0.eyJlbWFpbCI6ImFkYUBleGFtcGxlLmNvbSJ9.c2ln"

func TestText(t *testing.T) {
	r := New(protocol.NewSecret("opaque-token"), protocol.NewSecret("opaque-token-longer"), protocol.NewSecret("a"))
	spaced := base64.RawURLEncoding.EncodeToString([]byte("{ \"alg\": 1 }")) + ".cGF5bG9hZA.c2ln"
	tests := []struct{ in, want string }{
		{"", ""},
		{"no token", "no token"},
		{"bad opaque-token!", "bad [redacted]!"},
		{"bad opaque-token-longer!", "bad [redacted]!"},
		{"a " + jwt + " b", "a [redacted] b"},
		{"a " + jwt[:12] + " b", "a [redacted] b"},
		{"a " + spaced + " b", "a [redacted] b"},
		{"a e30.e30.c2ln b", "a [redacted] b"},
		{"Authorization: Bearer abc.def", "Authorization: [redacted]"},
		{"key sk-proj-abcdefghijk", "key [redacted]"},
		{"Missing bearer or basic authentication; bearer token. The bearer 1234abcd", "Missing bearer or basic authentication; bearer token. The [redacted]"},
		{"disk-encryption and task-management", "disk-encryption and task-management"},
		{"see https://auth.example.com.au/v1.22.333 (id 11111111-2222-4333-8444-555555555555)",
			"see https://auth.example.com.au/v1.22.333 (id 11111111-2222-4333-8444-555555555555)"},
		{strings.Repeat("ab3", 40), "[redacted]"},
	}
	for _, tt := range tests {
		if got := r.Text(tt.in); got != tt.want {
			t.Errorf("text(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// What is configured counts in all the ways in which it may come back; the longest
// goes first, since the rest of one that holds another would stay.
func TestValues(t *testing.T) {
	var r Redactor
	r.AddValue("12345678")
	r.AddValue("12345678-and-more")
	r.AddValue("short")
	before := r
	r.AddQuery("v", "7 7")
	r.AddURL("http://me:top%20secret@host/?key=abc")
	r.AddURL("http://host/?sig=a;secret&k=%zz")
	r.AddURL("http://@host/")
	r.AddURL("http://[::1")
	for in, want := range map[string]string{
		"a 12345678-and-more b 12345678 short": "a [redacted] b [redacted] short",
		"at /x?v=7+7&w=7":                      "at /x?[redacted]&w=7",
		"http://me:top%20secret@host/?key=abc": "http://[redacted]host/?[redacted]",
		"it was top secret":                    "it was [redacted]",
		"Basic bWU6dG9wIHNlY3JldA==":           "Basic [redacted]",
		"at /x?sig=a;secret&k=%zz":             "at /x?[redacted]",
		"c@d":                                  "c@d",
	} {
		if got := r.Text(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := before.Text("top secret"); got != "top secret" {
		t.Errorf("a copy knows %q", got)
	}
}

func TestData(t *testing.T) {
	r := New(protocol.NewSecret("opaque-token"))
	tests := []struct{ in, want string }{
		{``, ``}, {`null`, ``}, {`"plain"`, `plain`}, {`"opaque-\u0074oken"`, `[redacted]`},
		{`{ "a" : [1, 12345678901234567890, true, null] }`, `{"a":[1,12345678901234567890,true,null]}`},
		{`{"opaque-token":"x","opaque-token":{"b":"opaque-token"}}`, `{"[redacted]":"x","[redacted]":{"b":"[redacted]"}}`},
		{`7`, `7`}, {`false`, `false`}, {`[]`, `[]`}, {`{"a":`, ``}, {`nonsense`, ``},
	}
	for _, tt := range tests {
		if got := r.Data(jsontext.Value(tt.in)); got != tt.want {
			t.Errorf("data(%s) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestShorten(t *testing.T) {
	for in, want := range map[string]string{"": "", "abcd": "abcd", "abcde": "abcd…", "aéé": "aé…", "a\xffb": "a\uFFFD…"} {
		if got := Shorten(in, 4); got != want {
			t.Errorf("Shorten(%q) = %q, want %q", in, got, want)
		}
	}
}
