package tools

// The parts of JSON Schema that our own tools are described with.

// objectSchema is an object that has no members but these.
func objectSchema(properties map[string]any, required ...string) map[string]any {
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func textSchema(description string) map[string]any {
	return map[string]any{"type": "string", "description": description}
}

func choiceSchema(description string, values ...string) map[string]any {
	return map[string]any{"type": "string", "description": description, "enum": values}
}

func listSchema(description string, items any) map[string]any {
	return map[string]any{"type": "array", "description": description, "items": items}
}
