package session

import "testing"

func TestLinkedZone(t *testing.T) {
	for link, want := range map[string]string{
		"/usr/share/zoneinfo/Europe/Berlin": "Europe/Berlin", "../usr/share/zoneinfo/Etc/UTC": "Etc/UTC",
		"/var/db/timezone/zoneinfo/America/New_York": "America/New_York", "": "", "/etc/elsewhere": "",
	} {
		if got := linkedZone(link); got != want {
			t.Errorf("%q is %q, want %q", link, got, want)
		}
	}
}
