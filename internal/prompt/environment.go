package prompt

import "strings"

// Surroundings are what the model is told of the machine. Empty members are
// left out.
type Surroundings struct {
	// Cwd is an absolute path, Shell the name of a shell such as bash.
	Cwd, Shell string
	// Date is the local date as YYYY-MM-DD, Timezone an IANA name.
	Date, Timezone string
}

// Environment returns the user message that describes the surroundings.
func Environment(s Surroundings) string {
	var b strings.Builder
	b.WriteString("<environment_context>\n")
	for _, m := range [...]struct{ tag, text string }{
		{"cwd", s.Cwd}, {"shell", s.Shell}, {"current_date", s.Date}, {"timezone", s.Timezone},
	} {
		if m.text != "" {
			b.WriteString("  <" + m.tag + ">" + escape(m.text) + "</" + m.tag + ">\n")
		}
	}
	b.WriteString("</environment_context>")
	return b.String()
}

// escape makes a text safe between tags and inside an attribute. A folder's
// name must not be able to end the element and go on as an instruction.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(oneLine(s))
}
