package main

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"app-server/internal/fake"
)

// Colours of a terminal.
const (
	colourOff   = "\x1b[0m"
	colourDim   = "\x1b[2m"
	colourBold  = "\x1b[1m"
	colourGreen = "\x1b[32m"
	colourBlue  = "\x1b[36m"
)

// shownLine is how much of a wire line is printed, in characters.
const shownLine = 400

// printer writes for people. It is safe for concurrent use.
type printer struct {
	mu      sync.Mutex
	file    *os.File
	colours bool
	secrets []string // guarded by mu
}

// newPrinter writes to f, with colours where it is a terminal.
func newPrinter(f *os.File) *printer {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &printer{file: f, colours: terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// hide puts <token N> in place of the Nth of these texts on every wire line.
func (p *printer) hide(secrets ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secrets = append(p.secrets, secrets...)
}

// wire prints a line of the wire.
func (p *printer) wire(d fake.Direction, line []byte) {
	colour := colourGreen
	if d == fake.FromServer {
		colour = colourBlue
	}
	p.print(colour+string(d)+colourOff+" "+colourDim, p.shorten(string(line)), colourOff)
}

// say prints a line of the conversation.
func (p *printer) say(who, text string) {
	p.print("\n"+colourBold+"   "+who+": ", text, colourOff+"\n")
}

// note prints a remark.
func (p *printer) note(format string, args ...any) {
	p.print(colourBold+"## ", fmt.Sprintf(format, args...), colourOff)
}

func (p *printer) print(before, text, after string) {
	if !p.colours {
		before, after = plain(before), plain(after)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.file, before+text+after)
}

func plain(s string) string {
	for _, c := range []string{colourOff, colourDim, colourBold, colourGreen, colourBlue} {
		s = strings.ReplaceAll(s, c, "")
	}
	return s
}

// shorten replaces tokens and cuts long lines.
func (p *printer) shorten(line string) string {
	p.mu.Lock()
	secrets := p.secrets
	p.mu.Unlock()
	for i, s := range secrets {
		if s != "" {
			line = strings.ReplaceAll(line, s, fmt.Sprintf("<token %d>", i+1))
		}
	}
	if runes := []rune(line); len(runes) > shownLine {
		line = string(runes[:shownLine]) + "..."
	}
	return line
}
