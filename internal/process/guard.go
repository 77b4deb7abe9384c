package process

import (
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

// guardScript kills the groups that it was told of when its input ends, which
// is when the server has gone without a word. It reads "+ N" and "- N".
// Its first argument is the mark of descendants that left their group.
const guardScript = `trap '' HUP INT TERM
groups=' '
while read -r op n; do
  case $op in
  +) groups="$groups$n " ;;
  -) groups="${groups%% $n *} ${groups#* $n }" ;;
  esac
done
for n in $groups; do kill -s KILL -- "-$n" 2>/dev/null; done
grep -lszF -- "$1" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ n _; do
  kill -s KILL "$n" 2>/dev/null
done
`

// guard is a small shell that outlives a killed server just long enough to
// kill the server's commands. It runs only while there are any that have been
// running for a while. Where there is no shell there is no guard.
type guard struct {
	mark string

	mu     sync.Mutex
	groups map[int]bool
	cmd    *exec.Cmd // nil while there is nothing to guard
	tell   io.WriteCloser
}

func newGuard(mark string) *guard {
	return &guard{mark: mark, groups: map[int]bool{}}
}

func (g *guard) add(pgid int) {
	if runtime.GOOS == "windows" {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cmd == nil && !g.start() {
		return
	}
	g.groups[pgid] = true
	io.WriteString(g.tell, "+ "+strconv.Itoa(pgid)+"\n") // a guard that was killed is none
}

func (g *guard) remove(pgid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.groups[pgid] {
		return
	}
	delete(g.groups, pgid)
	if len(g.groups) == 0 {
		g.stop()
		return
	}
	io.WriteString(g.tell, "- "+strconv.Itoa(pgid)+"\n")
}

func (g *guard) start() bool {
	cmd := exec.Command("/bin/sh", "-c", guardScript, "sh", g.mark)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = attributes(syscall.SysProcAttr{}, false)
	survive(cmd.SysProcAttr)
	tell, err := cmd.StdinPipe()
	if err != nil {
		return false
	}
	if err := cmd.Start(); err != nil {
		tell.Close()
		return false
	}
	g.cmd, g.tell = cmd, tell
	return true
}

// stop kills the guard before it can kill anybody, and reaps it. It may have been
// stopped by a command of the same user, and would hear of nothing else.
func (g *guard) stop() {
	if g.cmd == nil {
		return
	}
	g.cmd.Process.Kill()
	g.cmd.Wait() // closes tell
	g.cmd, g.tell = nil, nil
}

func (g *guard) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.groups)
	g.stop()
}
