package sandbox

import (
	"fmt"
	"strings"
)

// seatbeltBase is what every command may do on macOS: read, run programs, talk
// to processes of its own sandbox, use terminals, and look things up at the few
// system services without which common tools do not start. All else is denied,
// so also Apple events and launch services, by which a command could start a
// program outside of the sandbox.
const seatbeltBase = `(version 1)
(deny default)
(allow process-exec process-fork)
(allow process-info* (target same-sandbox))
(allow signal (target same-sandbox))
(allow file-read* file-map-executable)
(allow sysctl-read user-preference-read)
(allow ipc-posix-sem ipc-posix-shm*)
(allow pseudo-tty)
(allow mach-lookup
  (global-name "com.apple.system.opendirectoryd.libinfo")
  (global-name "com.apple.system.opendirectoryd.membership")
  (global-name "com.apple.system.logger")
  (global-name "com.apple.system.notification_center"))
(allow file-write-data file-ioctl
  (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty") (literal "/dev/ptmx")
  (regex #"^/dev/ttys[0-9]+$") (regex #"^/dev/fd/[0-9]+$"))
`

// seatbeltNetwork is what a command needs for the network: sockets of the
// internet families, and the resolver, certificate and proxy services.
const seatbeltNetwork = `(allow network-outbound (remote ip))
(allow network-inbound network-bind (local ip))
(allow network-outbound (literal "/private/var/run/mDNSResponder"))
(allow system-socket)
(allow mach-lookup
  (global-name "com.apple.SystemConfiguration.configd")
  (global-name "com.apple.SystemConfiguration.DNSConfiguration")
  (global-name "com.apple.networkd")
  (global-name "com.apple.trustd.agent")
  (global-name "com.apple.SecurityServer"))
`

// seatbelt is the profile of a plan in the language of sandbox-exec. Later rules
// win, so what is kept read-only comes after what is writable.
func seatbelt(p plan) (string, error) {
	var b strings.Builder
	b.WriteString(seatbeltBase)
	if p.Network {
		b.WriteString(seatbeltNetwork)
	}
	// Folders inside of others must come later, whichever kind they are.
	for _, o := range p.Folders.layers() {
		path, err := seatbeltQuote(o.path)
		if err != nil {
			return "", err
		}
		verb := "deny"
		if o.writable {
			verb = "allow"
		}
		fmt.Fprintf(&b, "(%s file-write* (subpath %s))\n", verb, path)
		if !o.writable {
			// The folders on the way must not be moved aside either.
			fmt.Fprintf(&b, "(deny file-write-unlink %s)\n", seatbeltAncestors(p.Folders, o.path))
		}
	}
	return b.String(), nil
}

// seatbeltAncestors names a path and all folders between it and its root.
func seatbeltAncestors(f Folders, path string) string {
	var out []string
	for _, dir := range append(f.between(path), path) {
		if q, err := seatbeltQuote(dir); err == nil {
			out = append(out, "(literal "+q+")")
		}
	}
	return strings.Join(out, " ")
}

// seatbeltQuote writes a path as a string of the profile language.
func seatbeltQuote(path string) (string, error) {
	if strings.ContainsAny(path, "\x00\n\r") {
		return "", fmt.Errorf("sandbox: folder name %q has a control character", path)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"`, nil
}
