package config

import (
	"errors"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"app-server/protocol"
)

// set is an edit in short: key, JSON value, and upsert where merge says so.
type set struct {
	key, value string
	merge      protocol.MergeStrategy
}

func (s set) wire() protocol.ConfigEdit {
	if s.merge == "" {
		s.merge = protocol.MergeReplace
	}
	return protocol.ConfigEdit{KeyPath: s.key, Value: jsontext.Value(s.value), MergeStrategy: s.merge}
}

// edited makes edits in a text.
func edited(text string, sets ...set) (string, error) {
	src := &source{name: "/home/config.toml", dir: "/home", broken: -1, data: []byte(text)}
	tree, problems := parseFile(src)
	if len(problems) > 0 {
		return "", errors.New(problems[0].Details)
	}
	var edits []edit
	for _, s := range sets {
		e, err := readEdit(s.wire())
		if err != nil {
			return "", err
		}
		edits = append(edits, e)
	}
	out, _, err := editText([]byte(text), tree, edits)
	return string(out), err
}

const sample = `# My settings.

# The model.
model = "gpt-5.2" # the good one
approval_policy = 'never'

# Where requests go.
[model_providers.m] # m
name = "M"
base_url = "http://localhost/v1"   # spaces stay

[tui]
theme = "x"
colours = [
  "red", # remark
  "blue",
]
`

func TestEdits(t *testing.T) {
	up := protocol.MergeUpsert
	for name, tt := range map[string]struct {
		in   string
		sets []set
		want string
	}{
		"value":             {"a = 1 # x\nb = 2\n", []set{{"a", `"q\"\\ \u0001\n"`, ""}}, "a = \"q\\\"\\\\ \\u0001\\n\" # x\nb = 2\n"},
		"every kind":        {"", []set{{"a", `true`, ""}, {"b", `-5`, ""}, {"c", `1.5`, ""}, {"d", `["x",[1],{"k":2}]`, ""}}, "a = true\nb = -5\nc = 1.5\nd = [\"x\", [1], { k = 2 }]\n"},
		"same value":        {"a  =  0x10\n", []set{{"a", `16`, ""}}, "a  =  0x10\n"},
		"no last newline":   {"a = 1", []set{{"b", `2`, ""}}, "a = 1\nb = 2\n"},
		"carriage returns":  {"a = 1\r\n[t]\r\nb = 2\r\n", []set{{"c", `3`, ""}, {"t.d", `4`, ""}, {"u.e", `5`, ""}}, "a = 1\r\nc = 3\r\n[t]\r\nb = 2\r\nd = 4\r\n\r\n[u]\r\ne = 5\r\n"},
		"first top level":   {"# File.\n\n# Table.\n[t]\nb = 1\n", []set{{"a", `1`, ""}}, "# File.\n\na = 1\n\n# Table.\n[t]\nb = 1\n"},
		"only a comment":    {"# File.\n", []set{{"a", `1`, ""}}, "# File.\na = 1\n"},
		"into a table":      {"[t]\na = 1\n\n# Next.\n[u]\nb = 1\n", []set{{"t.z", `2`, ""}}, "[t]\na = 1\nz = 2\n\n# Next.\n[u]\nb = 1\n"},
		"into a bare table": {"[t]\n\n[u]\n", []set{{"t.z", `2`, ""}}, "[t]\nz = 2\n\n[u]\n"},
		"new table":         {"a = 1\n", []set{{"t.u", `{"x":1,"v":{"y":2},"w":{}}`, ""}}, "a = 1\n\n[t.u]\nx = 1\n\n[t.u.v]\ny = 2\n\n[t.u.w]\n"},
		"tables of tables":  {"", []set{{"t", `{"u":{"v":{"x":1}}}`, ""}}, "[t.u.v]\nx = 1\n"},
		"table above":       {"[t.u]\na = 1\n", []set{{"t.b", `2`, ""}}, "[t.u]\na = 1\n\n[t]\nb = 2\n"},
		"dotted":            {"t.a = 1\nz = 2\n[u]\n", []set{{"t.b", `3`, ""}}, "t.a = 1\nt.b = 3\nz = 2\n[u]\n"},
		"dotted in a table": {"[s]\nt.a = 1\n[u]\n", []set{{"s.t.b", `3`, ""}}, "[s]\nt.a = 1\nt.b = 3\n[u]\n"},
		"inline table":      {"t = { a = 1, b = { c = 2 } } # r\n", []set{{"t.b.d", `3`, ""}, {"t.a", `null`, ""}}, "t = { b = { c = 2, d = 3 } } # r\n"},
		"array":             {"a = [\n 1, # x\n 2\n] # end\nb = 1\n", []set{{"a", `[3]`, ""}}, "a = [3] # end\nb = 1\n"},
		"multi-line text":   {"a = \"\"\"\nx\n\"\"\" # end\nb = 1\n", []set{{"a", `"y"`, ""}}, "a = \"y\" # end\nb = 1\n"},
		"array of tables":   {"[[l]]\na = 1\n[[l]]\na = 2\n[z]\nb = 1\n", []set{{"l", `[{"a":3}]`, ""}}, "l = [{ a = 3 }]\n\n[z]\nb = 1\n"},
		"quoted keys":       {"", []set{{`projects."/a.b/c".trust_level`, `"trusted"`, ""}, {"projects./x/y.z", `1`, ""}}, "[projects.\"/a.b/c\"]\ntrust_level = \"trusted\"\n\n[projects.\"/x/y\"]\nz = 1\n"},
		"remove":            {"a = 1\n# about b\nb = 2\nc = 3\n", []set{{"b", `null`, ""}}, "a = 1\n# about b\nc = 3\n"},
		"remove nothing":    {"a = 1\n", []set{{"b", `null`, ""}}, "a = 1\n"},
		"remove a table":    {"a = 1\n\n[t] # r\nb = 2\n# kept\n\n[t.u]\nc = 3\n\n[v]\nd = 4\n", []set{{"t", `null`, ""}}, "a = 1\n\n# kept\n\n[v]\nd = 4\n"},
		"remove the last":   {"[t]\na = 1\n", []set{{"t.a", `null`, ""}}, "[t]\n"},
		"remove dotted":     {"t.a = 1\nb = 2\n", []set{{"t.a", `null`, ""}}, "b = 2\n"},
		"replace a table":   {"[t]\na = 1 # r\nb = 2\n[t.u]\nc = 3\n", []set{{"t", `{"a":1,"d":4}`, ""}}, "[t]\na = 1 # r\nd = 4\n"},
		"upsert a table":    {"[t]\na = 1 # r\nb = 2\n[t.u]\nc = 3\n", []set{{"t", `{"a":5,"u":{"d":4}}`, up}}, "[t]\na = 5 # r\nb = 2\n[t.u]\nc = 3\nd = 4\n"},
		"value to table":    {"a = 1\n", []set{{"a", `{"b":2}`, ""}}, "a = { b = 2 }\n"},
		"table to value":    {"[a]\nb = 1\n", []set{{"a", `2`, ""}}, "a = 2\n"},
		"twice":             {"a = 1\n", []set{{"a", `2`, ""}, {"a", `3`, ""}}, "a = 3\n"},
		"make and fill":     {"", []set{{"t", `{}`, ""}, {"t.a", `1`, ""}, {"t.b", `2`, ""}}, "[t]\na = 1\nb = 2\n"},
		"there and back":    {sample, []set{{"model", `"z"`, ""}, {"model", `"gpt-5.2"`, ""}}, sample},
		"dates stay":        {"t = { d = 2025-01-01, f = 1_0.5e1, b = 1 }\n", []set{{"t.b", `2`, ""}}, "t = { d = 2025-01-01, f = 1_0.5e1, b = 2 }\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := edited(tt.in, tt.sets...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEditsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		set  set
		code protocol.ConfigWriteErrorCode
	}{
		"empty key":       {"", set{"", `1`, ""}, protocol.WriteValidationError},
		"empty part":      {"", set{"a..b", `1`, ""}, protocol.WriteValidationError},
		"through a value": {"a = 1\n", set{"a.b", `1`, ""}, protocol.WriteValidationError},
		"through a list":  {"[[a]]\nb = 1\n", set{"a.b", `1`, ""}, protocol.WriteValidationError},
		"null inside":     {"", set{"a", `[1,null]`, ""}, protocol.WriteValidationError},
		"null deeper":     {"", set{"a", `{"b":{"c":null}}`, ""}, protocol.WriteValidationError},
		"below a value":   {"a = 1\n", set{"a.b", `null`, ""}, protocol.WritePathNotFound},
		"nothing above":   {"", set{"a.b", `null`, ""}, protocol.WritePathNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := edited(tt.in, tt.set)
			var e *protocol.Error
			if !errors.As(err, &e) || e.Data[protocol.ConfigWriteErrorKey] != tt.code {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// Whatever the file looks like and whatever is set: the result says what was
// meant, or the edit is refused.
func FuzzEdit(f *testing.F) {
	f.Add(sample, "model", `"x"`, "tui.theme", `null`)
	f.Add("a.b = 1\n[c]\nd.e = 2\n[[l]]\nx = { y = 1 }\n", "c.d.f", `{"g":[1]}`, "l", `[]`)
	f.Add("\r\n[t]\r\n", "t", `{"a":{"b":{}}}`, "t.a.b", `7`)
	f.Fuzz(func(t *testing.T, text, key1, value1, key2, value2 string) {
		if !jsontext.Value(value1).IsValid() || !jsontext.Value(value2).IsValid() {
			return
		}
		out, err := edited(text, set{key1, value1, ""}, set{key2, value2, protocol.MergeUpsert})
		if err != nil {
			return
		}
		again, err := edited(out, set{key2, value2, protocol.MergeUpsert})
		if value2 == "null" {
			return
		}
		if err != nil || again != out {
			t.Errorf("not stable: %v\n%q\n%q", err, out, again)
		}
	})
}
