package config

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// jsonOf is a value as JSON: members in the order of their names, no white
// space, dates as texts. What TOML does not allow (kindBad) and what JSON cannot
// say (inf, nan) is null. Unpaired surrogates cannot occur, so it never fails.
func jsonOf(n *node) jsontext.Value {
	raw, err := json.Marshal(plain(n), json.Deterministic(true))
	if err != nil {
		return jsontext.Value("null")
	}
	return raw
}

// plain is a value in Go's own types.
func plain(n *node) any {
	if n == nil {
		return nil
	}
	switch n.kind {
	case kindText, kindDate:
		return n.text
	case kindInt:
		return n.num
	case kindFloat:
		return jsonFloat(n.text)
	case kindBool:
		return n.flag
	case kindList:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			out[i] = plain(item)
		}
		return out
	case kindTable:
		out := make(map[string]any, len(n.members))
		for name, m := range n.members {
			out[name] = plain(m)
		}
		return out
	}
	return nil
}

// jsonFloat writes a number with a fraction the way the reference does, which
// keeps the fraction of whole numbers: 1.0 and not 1.
func jsonFloat(text string) any {
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return nil
	}
	out := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(out, ".e") {
		out += ".0"
	}
	return jsontext.Value(out)
}

// versionOf tells states of a layer apart. It is the hash that the reference
// makes of the same settings, so that a version is good for either server.
func versionOf(n *node) string {
	sum := sha256.Sum256(jsonOf(n))
	return "sha256:" + hex.EncodeToString(sum[:])
}
