package prompt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"app-server/internal/excerpt"
	"app-server/internal/plainfile"
	"app-server/internal/project"
)

// Names of the files with instructions for agents, best first.
const (
	overrideDoc = "AGENTS.override.md"
	projectDoc  = "AGENTS.md"
)

// maxHomeDoc bounds the home's file, in bytes: more would leave no room for a
// conversation.
const maxHomeDoc = 1 << 20

// DocsOptions say where to look for instruction files.
type DocsOptions struct {
	// Cwd and Home are absolute paths. Home is the server's folder.
	Cwd, Home string
	// MaxBytes bounds the contents of the project's files together; 0 switches
	// them off. That of the home is the user's own and not counted.
	MaxBytes int
	// RootMarkers are the names by which the project's root is known.
	RootMarkers []string
	// Fallback are further file names to look for in the project.
	Fallback []string
}

// Docs is what the instruction files say.
type Docs struct {
	// Text is a user message, empty where there is nothing to tell.
	Text string
	// Sources are the absolute paths of the files that count, in the order of Text.
	// A project's file that says nothing is among them.
	Sources []string
	// Warnings tell what was left out or altered, one sentence each.
	Warnings []string
}

// ProjectDocs gathers the instruction files: that of the home, then one for
// each folder from the project's root down to the working directory. The root
// is the nearest folder upwards that holds one of the markers; without one only the
// working directory counts. It reads files and never fails.
func ProjectDocs(o DocsOptions) Docs {
	g := &gatherer{left: maxHomeDoc}
	names := []string{overrideDoc, projectDoc}
	if o.Home != "" {
		g.folder(o.Home, names, said)
	}
	g.left = o.MaxBytes
	for _, name := range o.Fallback {
		switch {
		case name == "" || name == "." || name == ".." || name != filepath.Base(name):
			g.warn("A fallback name for instruction files is no plain file name and was left out: %s", oneLine(name))
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	if o.MaxBytes > 0 {
		for _, dir := range project.Folders(o.Cwd, o.RootMarkers) {
			g.folder(dir, names, blank)
		}
	}
	if g.text.Len() > 0 {
		g.docs.Text = "<project_instructions>\nThese files hold standing instructions for work in " + escape(o.Cwd) +
			". Where two of them disagree, the later one wins; the user's own words win over all.\n" + g.text.String() + "</project_instructions>"
	}
	return g.docs
}

// gatherer collects files until the budget is used up.
type gatherer struct {
	left int
	text strings.Builder
	seen []fs.FileInfo
	docs Docs
}

func (g *gatherer) warn(format string, args ...any) {
	g.docs.Warnings = append(g.docs.Warnings, fmt.Sprintf(format, args...))
}

// outcome is what came of looking for a file.
type outcome int

const (
	absent outcome = iota
	// blank is a file with nothing but white space.
	blank
	// said is a file that counts, or would if there were room for it.
	said
)

// folder takes the first of the named files of which at least so much comes. In a
// project a blank file stands for the others, so that it can switch them off.
func (g *gatherer) folder(dir string, names []string, enough outcome) {
	for _, name := range names {
		path := filepath.Join(dir, name)
		switch got := g.file(path); {
		case got < enough:
			continue
		case got == blank:
			g.docs.Sources = append(g.docs.Sources, path)
		}
		return
	}
}

// file takes one file.
func (g *gatherer) file(path string) outcome {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return absent
	case err != nil:
		g.warn("The instruction file %s could not be read: %v", oneLine(path), plainfile.Cause(err))
		return absent
	case info.IsDir():
		return absent
	case slices.ContainsFunc(g.seen, func(other fs.FileInfo) bool { return os.SameFile(info, other) }):
		return said
	}
	if g.left <= 0 {
		g.warn("The instruction file %s was left out, because the limit for such files is used up.", oneLine(path))
		return said
	}
	data, _, err := plainfile.Read(path, g.left+1)
	if err != nil {
		g.warn("The instruction file %s could not be read: %v", oneLine(path), plainfile.Cause(err))
		return absent
	}
	cut := len(data) > g.left
	content := strings.TrimPrefix(excerpt.Head(string(data), g.left), "\uFEFF")
	if !utf8.ValidString(content) {
		g.warn("The instruction file %s is not valid UTF-8; bad bytes were replaced.", oneLine(path))
		content = strings.ToValidUTF8(content, "\uFFFD")
		if len(content) > g.left {
			content, cut = excerpt.Head(content, g.left), true
		}
	}
	if strings.TrimSpace(content) == "" {
		return blank
	}
	g.seen = append(g.seen, info)
	g.left -= len(content)
	if cut {
		// Nothing of later files may follow a text that was cut.
		g.left = 0
		g.warn("The instruction file %s was cut, because it exceeds the limit for such files.", oneLine(path))
	}
	g.docs.Sources = append(g.docs.Sources, path)
	g.text.WriteString("\n<file path=\"" + escape(path) + "\">\n" + strings.TrimRight(content, "\r\n") + "\n")
	if cut {
		g.text.WriteString("[The rest of this file was left out because of its size.]\n")
	}
	g.text.WriteString("</file>\n")
	return said
}
