package config

import (
	"fmt"
	"strconv"
	"strings"
)

// inline writes a value on one line, as TOML.
func inline(n *node) string {
	switch n.kind {
	case kindText:
		return quoted(n.text)
	case kindInt:
		return strconv.FormatInt(n.num, 10)
	case kindBool:
		return strconv.FormatBool(n.flag)
	case kindList:
		parts := make([]string, len(n.items))
		for i, item := range n.items {
			parts[i] = inline(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case kindTable:
		parts := make([]string, len(n.names))
		for i, name := range n.names {
			parts[i] = joinKey(name) + " = " + inline(n.members[name])
		}
		if len(parts) == 0 {
			return "{}"
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return n.text
}

// joinKey makes a dotted key of its parts. Parts that are no bare TOML keys are
// quoted.
func joinKey(path ...string) string {
	parts := make([]string, len(path))
	for i, p := range path {
		if parts[i] = p; p == "" || strings.IndexFunc(p, func(r rune) bool { return r > 127 || !isBare(byte(r)) }) >= 0 {
			parts[i] = quoted(p)
		}
	}
	return strings.Join(parts, ".")
}

// isBare reports whether c may stand in an unquoted TOML key.
func isBare(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// quoted writes a basic TOML string.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
