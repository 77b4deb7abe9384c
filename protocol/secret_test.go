package protocol

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// Every way of printing a secret, alone or inside other values, must hide it.
func TestSecretNeverPrints(t *testing.T) {
	const word = "s3cr3t-t0ken"
	s := NewSecret(word)
	type outer struct {
		Public  Secret
		private Secret
		Pointer *Secret
	}
	o := outer{s, s, &s}
	params := LoginAccountParams{Type: LoginAPIKey, APIKey: &s, ExternalTokens: ExternalTokens{AccessToken: &s}}
	var out bytes.Buffer
	for _, v := range []any{s, &s, o, &o, []Secret{s}, map[string]Secret{"k": s}, params, &params} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		for _, marshal := range []func(any) ([]byte, error){stdjson.Marshal, func(v any) ([]byte, error) { return json.Marshal(v) }} {
			b, err := marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(b)
		}
	}
	fmt.Fprintln(&out, s, fmt.Errorf("wrapped: %v", s))
	text := out.String()
	if strings.Contains(text, word) || strings.Contains(text, fmt.Sprintf("%x", word)) {
		t.Errorf("the secret was printed:\n%s", text)
	}
	if s.Reveal() != word {
		t.Error("Reveal does not give the content back")
	}
}

func TestSecretReads(t *testing.T) {
	var v struct {
		A, B *Secret
		C    Secret
	}
	if err := json.Unmarshal([]byte(`{"A":"x","B":null,"C":""}`), &v); err != nil {
		t.Fatal(err)
	}
	if v.A.Reveal() != "x" || v.B != nil || !v.C.IsEmpty() {
		t.Errorf("got %q, %v, %v", v.A.Reveal(), v.B, v.C.IsEmpty())
	}
	if err := json.Unmarshal([]byte(`{"C":12345}`), &v); err == nil || strings.Contains(err.Error(), "12345") {
		t.Errorf("a number as a secret: %v", err)
	}
	if !NewSecret("a").Equal(NewSecret("a")) || NewSecret("a").Equal(NewSecret("b")) || !(Secret{}).Equal(NewSecret("")) {
		t.Error("Equal")
	}
}
