package oauth

import (
	"html"
	"net/http"
	"strconv"
	"strings"
)

// pageText is what a page says. Both are plain text.
type pageText struct{ Title, Text string }

var successPage = pageText{Title: "You are signed in", Text: "You can close this page and go back to the application."}

// failurePage says why a sign-in came to nothing.
func failurePage(err error) pageText {
	text := err.Error()
	if text != "" {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return pageText{Title: "Sign-in failed", Text: strings.TrimRight(text, ".") + ". Go back to the application to try again."}
}

// The page loads nothing and runs nothing, so that its policy can forbid all.
const pageHTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 32rem; margin: 1rem; padding: 2rem; border: 1px solid #8886; border-radius: 12px; }
h1 { margin: 0 0 .5rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0; overflow-wrap: anywhere; }
</style>
</head>
<body><main><h1>{title}</h1><p>{text}</p></main></body>
</html>
`

// pageHeaders keep a page out of caches, frames and referrers.
func pageHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

// show writes a page.
func show(w http.ResponseWriter, status int, p pageText) {
	page := strings.NewReplacer("{title}", html.EscapeString(p.Title), "{text}", html.EscapeString(p.Text)).Replace(pageHTML)
	pageHeaders(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// With its length the page is whole once it is flushed, however soon the port
	// is closed after it.
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(page)) // a browser that has gone needs no page
	_ = http.NewResponseController(w).Flush()
}
