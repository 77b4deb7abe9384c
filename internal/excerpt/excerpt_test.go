package excerpt

import "testing"

func TestExcerpts(t *testing.T) {
	for _, tt := range []struct {
		s                string
		n                int
		head, tail, ends string
	}{
		{"", 3, "", "", ""},
		{"abc", 3, "abc", "abc", "abc"},
		{"abcdef", 3, "abc", "def", "a|f"},
		{"abcdef", 4, "abcd", "cdef", "a|ef"},
		{"äöü", 4, "äö", "öü", "|ü"},
		{"äöü", 3, "ä", "ü", "|"},
		{"äöü", 1, "", "", "|"},
		{"a\xff\xfe\xfd", 2, "a\xff", "\xfe\xfd", "|\xfd"},
	} {
		if got := Head(tt.s, tt.n); got != tt.head {
			t.Errorf("Head(%q, %d) = %q", tt.s, tt.n, got)
		}
		if got := Tail(tt.s, tt.n); got != tt.tail {
			t.Errorf("Tail(%q, %d) = %q", tt.s, tt.n, got)
		}
		if got := Ends(tt.s, tt.n, "|"); got != tt.ends {
			t.Errorf("Ends(%q, %d) = %q", tt.s, tt.n, got)
		}
	}
}
