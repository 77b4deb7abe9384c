package patch

import "strings"

// summaryLine is what one section did: A, M or D and the path as written.
type summaryLine struct {
	op   byte
	path string
}

func (w *planner) note(op byte, path string) {
	l := summaryLine{op, path}
	if !w.noted[l] {
		w.noted[l] = true
		w.summary = append(w.summary, l)
	}
}

// Summary returns the text for the model once the plan has been applied: a
// line for each file with A, M or D and the path as the patch has it, a moved
// file by its new path.
func (p *Plan) Summary() string {
	var b strings.Builder
	b.WriteString("Patch applied. Files changed:\n")
	for _, op := range []byte("AMD") {
		for _, l := range p.summary {
			if l.op == op {
				b.WriteByte(op)
				b.WriteByte(' ')
				b.WriteString(l.path)
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}
