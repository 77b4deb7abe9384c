package sandbox

import (
	"strings"
	"testing"
)

func TestSeatbelt(t *testing.T) {
	f := Folders{
		Writable: []string{`/Users/a/my "repo"`},
		Kept:     []string{`/Users/a/my "repo"/.git`},
		Never:    []string{`/Users/a/my "repo"/x/home`},
	}
	got, err := seatbelt(plan{Folders: f})
	if err != nil {
		t.Fatal(err)
	}
	rules, ok := strings.CutPrefix(got, seatbeltBase)
	want := `(allow file-write* (subpath "/Users/a/my \"repo\""))
(deny file-write* (subpath "/Users/a/my \"repo\"/.git"))
(deny file-write-unlink (literal "/Users/a/my \"repo\"/.git"))
(deny file-write* (subpath "/Users/a/my \"repo\"/x/home"))
(deny file-write-unlink (literal "/Users/a/my \"repo\"/x") (literal "/Users/a/my \"repo\"/x/home"))
`
	if !ok || rules != want {
		t.Errorf("got %s\nwant %s", rules, want)
	}
	if !strings.HasPrefix(got, "(version 1)\n(deny default)\n") || strings.Contains(got, "network") {
		t.Errorf("not closed by default: %s", got)
	}
	if n := strings.Count(got, "(") - strings.Count(got, ")"); n != 0 {
		t.Errorf("%d parentheses are open", n)
	}
}

func TestSeatbeltNetwork(t *testing.T) {
	got, err := seatbelt(plan{Network: true})
	if err != nil || got != seatbeltBase+seatbeltNetwork {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestSeatbeltRefusesControlCharacters(t *testing.T) {
	if _, err := seatbelt(plan{Folders: Folders{Writable: []string{"/a\n(allow default)"}}}); err == nil {
		t.Error("no error")
	}
}
