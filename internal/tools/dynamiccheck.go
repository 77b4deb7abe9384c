package tools

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// Lengths of the names that the backend takes, in characters.
const (
	maxToolName  = 128
	maxNamespace = 64
)

// CheckDynamic checks the dynamicTools of thread/start. What the backend would
// refuse, and each request of the thread with it, is refused here. The error is
// for the parent.
func CheckDynamic(list []protocol.DynamicToolSpec) error {
	seen := map[dynamicName]bool{}
	for i := range list {
		if err := checkDynamic(&list[i]); err != nil {
			return err
		}
		name := dynamicNameOf(&list[i])
		if seen[name] {
			return badTool("The dynamic tool %q is given twice", name.name)
		}
		seen[name] = true
	}
	return nil
}

func badTool(format string, args ...any) error {
	return protocol.Invalid(protocol.ReasonInvalidParams, format, args...)
}

// checkDynamic checks one tool. Names that begin as those of MCP tools do are
// kept for them, as in the reference.
func checkDynamic(s *protocol.DynamicToolSpec) error {
	if err := checkName("name of a dynamic tool", s.Name, maxToolName); err != nil {
		return err
	}
	if s.Namespace == nil {
		if s.DeferLoading {
			return badTool("The dynamic tool %q has deferLoading and so needs a namespace", s.Name)
		}
	} else {
		if err := checkName("namespace of a dynamic tool", *s.Namespace, maxNamespace); err != nil {
			return err
		}
		if slices.Contains(backendNamespaces(), *s.Namespace) {
			return badTool("The namespace %q is one of the backend's own", *s.Namespace)
		}
	}
	if !goodSchema(s.InputSchema) {
		return badTool("The inputSchema of the dynamic tool %q is not the schema of an object", s.Name)
	}
	return nil
}

// backendNamespaces are namespaces that the backend keeps for itself, as
// codex app-server 0.169.0 refuses them.
func backendNamespaces() []string {
	return []string{"api_tool", "browser", "computer", "container", "file_search", "functions", "image_gen",
		"multi_tool_use", "python", "submodel_delegator", "terminal", "tool_search", "web"}
}

func checkName(what, name string, most int) error {
	switch {
	case name == "":
		return badTool("The %s is empty", what)
	case len(name) > most:
		return badTool("The %s is longer than %d characters", what, most)
	case strings.ContainsFunc(name, notInName):
		return badTool("The %s may have letters, digits, _ and - only: %q", what, name)
	case name == "mcp" || strings.HasPrefix(name, "mcp__"):
		return badTool("The %s is reserved: %q", what, name)
	}
	return nil
}

// notInName tells the characters that the backend takes in no name.
func notInName(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
}

// schemaMembers are the members of a schema that matter here.
type schemaMembers struct {
	Type       jsontext.Value            `json:"type"`
	Properties map[string]jsontext.Value `json:"properties"`
	Rest       jsontext.Value            `json:",embed"`
}

// goodSchema reports whether a schema is one of an object. What else is in it is
// the backend's business.
func goodSchema(schema jsontext.Value) bool {
	if schema.Kind() != '{' || !schema.IsValid() {
		return false
	}
	var s schemaMembers
	return json.Unmarshal(schema, &s) == nil && (len(s.Type) == 0 || string(s.Type) == `"object"`)
}

// parameters is a schema in the form that the backend insists on: the type and
// the properties are named, and each list says what is in it.
func parameters(schema jsontext.Value) jsontext.Value {
	var s schemaMembers
	if err := json.Unmarshal(schema, &s); err != nil {
		return schema
	}
	if len(s.Type) == 0 || s.Properties == nil {
		if s.Properties == nil {
			s.Properties = map[string]jsontext.Value{}
		}
		s.Type = jsontext.Value(`"object"`)
		schema = encode(s)
	}
	var tree any
	if json.Unmarshal(schema, &tree) == nil && fillLists(tree) {
		return encode(tree)
	}
	return schema
}

// fillLists gives the lists in a schema that do not say what is in them texts, as
// the reference does: the backend refuses a schema without. It reports whether
// there were any.
func fillLists(v any) (filled bool) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			filled = fillLists(e) || filled
		}
	case map[string]any:
		for _, e := range v {
			filled = fillLists(e) || filled
		}
		if kind, ok := v["type"].(string); ok && kind == "array" && v["items"] == nil && v["prefixItems"] == nil {
			v["items"] = map[string]any{"type": "string"}
			filled = true
		}
	}
	return filled
}
