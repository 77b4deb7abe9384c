package patch

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	addX := []Section{{Kind: Add, Path: "x", Content: "1\n", Line: 2}}
	at := func(line int) []Section {
		return []Section{{Kind: Add, Path: "x", Content: "1\n", Line: line}}
	}
	tests := []struct {
		name, text string
		want       []Section
	}{
		{"plain", wrap("*** Add File: x\n+1"), addX},
		{"blank space around", "  \n *** Begin Patch \n*** Add File: x\n+1\n *** End Patch  \n\n", at(3)},
		{"heredoc", "<<'EOF'\n*** Begin Patch\n*** Add File: x\n+1\n*** End Patch\nEOF\n", at(3)},
		{"heredoc, no quotes", "<<EOF\n*** Begin Patch\n*** Add File: x\n+1\n*** End Patch\nEOF", at(3)},
		{"heredoc, double quotes", "<<\"EOF\"\n*** Begin Patch\n*** Add File: x\n+1\n*** End Patch\nEOF", at(3)},
		{"CRLF", strings.ReplaceAll(wrap("*** Add File: x\n+1"), "\n", "\r\n"), addX},
		{"indented header", wrap("  *** Add File: x  \n+1"), addX},
		{"empty file", wrap("*** Add File: x"), []Section{{Kind: Add, Path: "x", Line: 2}}},
		{"delete then indented add", wrap("*** Delete File: a b\n *** Add File: x\n+1"),
			[]Section{{Kind: Delete, Path: "a b", Line: 2}, at(3)[0]}},
		{"hunks", wrap("*** Update File: a\n*** Move to: b/c\n@@ func f()\n one\n-two\n+2\n\n@@\n+z\n*** End of File"),
			[]Section{{Kind: Update, Path: "a", MovePath: "b/c", Line: 2, Hunks: []Hunk{
				{Header: "func f()", Line: 4, Lines: []Line{{Context, "one"}, {Remove, "two"}, {Insert, "2"}, {Context, ""}}},
				{Line: 9, EndOfFile: true, Lines: []Line{{Insert, "z"}}},
			}}}},
		{"first hunk without a mark", wrap("*** Update File: a\n one\n-two\n*** Delete File: b"),
			[]Section{
				{Kind: Update, Path: "a", Line: 2, Hunks: []Hunk{{Line: 3, Lines: []Line{{Context, "one"}, {Remove, "two"}}}}},
				{Kind: Delete, Path: "b", Line: 5},
			}},
		{"blank lines behind the header", wrap("*** Update File: a\n\n \n@@\n-one\n*** Update File: b\n\n-two"),
			[]Section{
				{Kind: Update, Path: "a", Line: 2, Hunks: []Hunk{{Line: 5, Lines: []Line{{Remove, "one"}}}}},
				{Kind: Update, Path: "b", Line: 7, Hunks: []Hunk{{Line: 9, Lines: []Line{{Remove, "two"}}}}},
			}},
		{"marks with blanks behind", wrap("*** Update File: a\n@@  \n-one\n*** End of File  \n\n*** Delete File: b"),
			[]Section{
				{Kind: Update, Path: "a", Line: 2, Hunks: []Hunk{{Line: 3, EndOfFile: true, Lines: []Line{{Remove, "one"}}}}},
				{Kind: Delete, Path: "b", Line: 7},
			}},
		{"header of a file as context", wrap("*** Update File: a\n@@\n *** Add File: q\n-one"),
			[]Section{{Kind: Update, Path: "a", Line: 2, Hunks: []Hunk{{Line: 3, Lines: []Line{{Context, "*** Add File: q"}, {Remove, "one"}}}}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got.Sections); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name, text string
		line       int
		says       string
	}{
		{"nothing", "", 1, "Begin Patch"},
		{"blank", " \n ", 2, "Begin Patch"},
		{"no begin", "*** Add File: x\n+1\n*** End Patch", 1, "Begin Patch"},
		{"text before", "Here:\n" + wrap("*** Add File: x"), 1, "Begin Patch"},
		{"no end", "*** Begin Patch\n*** Add File: x\n+1", 3, "End Patch"},
		{"text behind", wrap("*** Add File: x") + "done", 4, "End Patch"},
		{"begin alone", "*** Begin Patch", 1, "End Patch"},
		{"no files", "*** Begin Patch\n*** End Patch", 2, "names no file"},
		{"other heredoc", "<<'X'\n" + wrap("*** Add File: x") + "X", 1, "Begin Patch"},
		{"empty line first", wrap("\n*** Add File: x"), 2, "file header"},
		{"unknown header", wrap("*** Rename File: x"), 2, "file header"},
		{"header without a blank", wrap("*** Update File:x\n@@\n-a"), 2, "file header"},
		{"header in lower case", wrap("*** update file: x"), 2, "file header"},
		{"no path", wrap("*** Add File: \n+1"), 2, "names no file"},
		{"line without plus", wrap("*** Add File: x\n+1\nhello"), 4, "file header"},
		{"empty line in an add", wrap("*** Add File: x\n+1\n\n+2"), 4, "file header"},
		{"body of a delete", wrap("*** Delete File: x\n-one"), 3, "file header"},
		{"update without hunks", wrap("*** Update File: x"), 2, "no hunk"},
		{"move without hunks", wrap("*** Update File: x\n*** Move to: y"), 2, "no hunk"},
		{"move to nothing", wrap("*** Update File: x\n*** Move to: \n@@\n-a"), 3, "names no file"},
		{"two moves", wrap("*** Update File: x\n*** Move to: y\n*** Move to: z\n@@\n-a"), 4, "begins with"},
		{"empty hunk", wrap("*** Update File: x\n@@"), 4, "without lines"},
		{"end of file alone", wrap("*** Update File: x\n@@\n*** End of File"), 4, "begins with"},
		{"two headers", wrap("*** Update File: x\n@@ a\n@@ b\n-c"), 4, "begins with"},
		{"header against the mark", wrap("*** Update File: x\n@@foo\n-a"), 3, "begins with"},
		{"text in the first hunk", wrap("*** Update File: x\n@@\n-a\nfoo\n+b"), 5, `"@@"`},
		{"git's mark", wrap("*** Update File: x\n@@\n-a\n\\ No newline at end of file"), 5, `"@@"`},
		{"tab for a blank", wrap("*** Update File: x\n@@\n\tone"), 4, "begins with"},
		{"too large", strings.Repeat("x", maxPatch+1), 1, "larger"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.text)
			var pe *ParseError
			if !errors.As(err, &pe) {
				t.Fatalf("got %v, want a *ParseError", err)
			}
			if pe.Line != tt.line || !strings.Contains(pe.Reason, tt.says) {
				t.Errorf("got %v, want line %d and %q", err, tt.line, tt.says)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(wrap("*** Update File: a\n*** Move to: b\n@@ x\n one\n-two\n+2\n*** End of File"))
	f.Add("<<EOF\n*** Begin Patch\n*** Add File: x\n+1\n*** Delete File: y\n*** End Patch\nEOF")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			var pe *ParseError
			if !errors.As(err, &pe) || pe.Line < 1 || pe.Line > strings.Count(text, "\n")+1 {
				t.Fatalf("bad error %v", err)
			}
			return
		}
		for _, s := range p.Sections {
			if s.Path == "" || (s.Kind == Update) != (len(s.Hunks) > 0) {
				t.Fatalf("bad section %+v", s)
			}
			for _, h := range s.Hunks {
				if len(h.Lines) == 0 {
					t.Fatalf("empty hunk in %+v", s)
				}
			}
		}
	})
}
