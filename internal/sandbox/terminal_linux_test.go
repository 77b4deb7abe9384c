package sandbox

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
)

// openTerminal makes a pseudo terminal and tells its name.
func openTerminal(t *testing.T) (main *os.File, name string) {
	t.Helper()
	m, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no terminal: %v", err)
	}
	name = tty.Name()
	t.Cleanup(func() { _ = m.Close(); _ = tty.Close() })
	return m, name
}

// startOnTerminal runs a command with the terminal as its own and gives what it
// printed there.
func startOnTerminal(t *testing.T, c Command, dir string, main *os.File, name string) string {
	t.Helper()
	tty, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Dir, cmd.SysProcAttr = dir, c.Attr
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	if err := cmd.Run(); err != nil {
		t.Errorf("command: %v", err)
	}
	if _, err := tty.WriteString("\nend of test\n"); err != nil {
		t.Fatal(err)
	}
	_ = tty.Close()
	var out strings.Builder
	buf := make([]byte, 1024)
	for !strings.Contains(out.String(), "end of test") {
		n, err := main.Read(buf)
		out.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return out.String()
}
