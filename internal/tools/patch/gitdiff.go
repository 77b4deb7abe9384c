package patch

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"unicode/utf8"
)

// noBlob is the hash that git writes for a file that is not there.
const noBlob = "0000000000000000000000000000000000000000"

// modeLink is git's mode of a symlink.
const modeLink = "120000"

// version is a file as a git diff sees it. A version without text has its hash
// and size only.
type version struct {
	exists bool
	mode   string // 100644, 100755 or 120000
	blob   string
	data   string
	text   bool // data is there and can be shown
}

// versionOf makes the version of a state.
func versionOf(s *state) version {
	if !s.exists {
		return version{blob: noBlob, text: true}
	}
	v := version{exists: true, mode: "100644", data: s.data}
	switch {
	case s.mode&fs.ModeSymlink != 0:
		v.mode = modeLink
	case s.mode&0o111 != 0:
		v.mode = "100755"
	}
	if s.unread {
		// The hash of what was not read is not known; its size and time make two
		// versions of it differ.
		v.blob = blob(fmt.Sprintf("%d %d", s.info.Size(), s.info.ModTime().UnixNano()))
		return v
	}
	v.blob = blob(s.data)
	v.text = len(s.data) <= maxCompared && isText(s.data)
	return v
}

// isText reports whether content can be shown as lines of text. git asks only
// for zero bytes; the wire carries valid UTF-8 only.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.Contains(s[:min(len(s), 8000)], "\x00")
}

// blob returns git's name for content.
func blob(data string) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(data))
	h.Write([]byte(data))
	return hex.EncodeToString(h.Sum(nil))
}

// pair is one file of a git diff, by its old and its new name.
type pair struct {
	oldName, newName string
	before, after    version
}

// write writes the part of a git diff for one file, or nothing when the file is
// as it was. room is how many bytes of hunks there is room for; what does not
// fit is told as git tells of a binary file, so that the diff stays well formed.
func (p pair) write(b *strings.Builder, room int) {
	moved := p.oldName != p.newName
	same := p.before.blob == p.after.blob
	if !moved && same && p.before.mode == p.after.mode {
		return
	}
	if p.before.exists && p.after.exists && (p.before.mode == modeLink) != (p.after.mode == modeLink) {
		// A file does not become a link: git has one go and the other come.
		gone := version{blob: noBlob, text: true}
		pair{p.oldName, p.oldName, p.before, gone}.write(b, room)
		pair{p.newName, p.newName, gone, p.after}.write(b, room)
		return
	}
	oldName, newName := quoteName("a/"+p.oldName), quoteName("b/"+p.newName)
	fmt.Fprintf(b, "diff --git %s %s\n", oldName, newName)
	switch {
	case !p.before.exists:
		fmt.Fprintf(b, "new file mode %s\n", p.after.mode)
		oldName = "/dev/null"
	case !p.after.exists:
		fmt.Fprintf(b, "deleted file mode %s\n", p.before.mode)
		newName = "/dev/null"
	case p.before.mode != p.after.mode:
		fmt.Fprintf(b, "old mode %s\nnew mode %s\n", p.before.mode, p.after.mode)
	}
	if moved {
		if same {
			b.WriteString("similarity index 100%\n")
		}
		fmt.Fprintf(b, "rename from %s\nrename to %s\n", quoteName(p.oldName), quoteName(p.newName))
	}
	if same {
		return
	}
	fmt.Fprintf(b, "index %s..%s\n", p.before.blob, p.after.blob)
	size := len(p.before.data) + len(p.after.data)
	if size == 0 && p.before.text && p.after.text {
		return // an empty file comes or goes: git writes no names then
	}
	if p.before.text && p.after.text && size <= maxCompared {
		if hunks := unified(p.before.data, p.after.data, turnContext); len(hunks) <= room {
			fmt.Fprintf(b, "--- %s\n+++ %s\n%s", markTab(oldName), markTab(newName), hunks)
			return
		}
	}
	fmt.Fprintf(b, "Binary files %s and %s differ\n", oldName, newName)
}

// markTab adds the tab by which git ends a name with blanks in it.
func markTab(name string) string {
	if strings.Contains(name, " ") && !strings.HasPrefix(name, `"`) {
		return name + "\t"
	}
	return name
}

// quoteName writes a name as git does: names with control characters, quotes or
// backslashes, or that are no UTF-8, stand in quotes.
func quoteName(name string) string {
	plain := utf8.ValidString(name)
	for i := 0; plain && i < len(name); i++ {
		c := name[i]
		plain = c >= 0x20 && c != '"' && c != '\\' && c != 0x7f
	}
	if plain {
		return name
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		c := name[i]
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < 0x20 || c == 0x7f || r == utf8.RuneError && n == 1:
			b.WriteByte('\\')
			b.WriteString(octal(c))
		default:
			b.WriteString(name[i : i+n])
		}
		i += n
	}
	b.WriteByte('"')
	return b.String()
}

// octal writes a byte in three octal digits.
func octal(c byte) string {
	s := strconv.FormatUint(uint64(c), 8)
	return strings.Repeat("0", 3-len(s)) + s
}
