package fake

import (
	"context"
	"errors"
	"fmt"
)

// restart ends the server, by the end of its input or with SIGKILL, checks what
// came from it, and starts another one in the same folders. Variables, patterns
// and the backend stay.
func (r *runner) restart(how string) error {
	r.transcript.add("restart %s", how)
	switch how {
	case "":
		if err := r.finish(); err != nil {
			return err
		}
		r.drain()
		if err := r.checkAll(); err != nil {
			return err
		}
	case "killed":
		if r.mode.Name != "child" {
			return errors.New("only a child can be killed")
		}
		r.process.Kill()
		ctx, cancel := bounded(context.Background(), killPatience)
		defer cancel()
		if _, err := r.process.waitExit(ctx); err != nil {
			return err
		}
		r.drain()
		// Turns and answers may be missing, but nothing else.
		lines := r.out.all()
		if n := len(lines); n > 0 && lines[n-1].value == nil {
			lines = lines[:n-1] // it was being written
		}
		if err := errors.Join(r.checkLines(lines), r.checkNever(lines), r.checkSecrets(lines)); err != nil {
			return fmt.Errorf("before the kill:\n%w", err)
		}
	default:
		return errors.New("want restart, or restart killed")
	}
	r.pastStderr += r.process.Stderr.String()
	r.out = newStdout()
	r.unread, r.sent, r.inputDone, r.exited = nil, nil, false, false
	return r.start()
}

// drain reads what the server wrote last and closes its pipes.
func (r *runner) drain() {
	r.out.resume()
	<-r.out.done
	_ = r.process.Stdout.Close()
	r.send.close()
	<-r.send.done
}
