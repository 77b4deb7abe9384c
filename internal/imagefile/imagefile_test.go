package imagefile

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Heads of images: enough to tell what they are and how large.
const (
	pngData = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
	gifData = "R0lGODlhAQABAAAAACw="
	webp    = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="
	bmp     = "Qk0eAAAAAAAAABoAAAAMAAAAAQABAAEAGAAAAP8A"
)

func decoded(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDataURL(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		data []byte
		kind string // empty: it cannot be sent
		says string
	}{
		{"a.png", decoded(t, pngData), "image/png", ""},
		{"named.txt", decoded(t, pngData), "image/png", ""},
		{"a.gif", decoded(t, gifData), "image/gif", ""},
		{"a.webp", decoded(t, webp), "image/webp", ""},
		{"a.bmp", decoded(t, bmp), "", "not an image"},
		{"a.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), "", "not an image"},
		{"text.png", []byte("hello"), "", "not an image"},
		{"empty.png", nil, "", "not an image"},
		{"cut.png", decoded(t, pngData)[:20], "", "damaged"},
		{"cut.jpg", []byte("\xff\xd8\xff\xe0\x00\x10JFIF"), "", "damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, c.name)
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			url, err := DataURL(path)
			if c.kind == "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("error %v", err)
				}
				return
			}
			if want := "data:" + c.kind + ";base64," + base64.StdEncoding.EncodeToString(c.data); err != nil || url != want {
				t.Errorf("%.60s, %v", url, err)
			}
			if err := Check(url); err != nil {
				t.Errorf("its own URL is refused: %v", err)
			}
		})
	}
	var pe *fs.PathError
	if _, err := DataURL(filepath.Join(dir, "none")); !errors.As(err, &pe) {
		t.Errorf("missing: %v", err)
	}
	if _, err := DataURL(dir); err == nil {
		t.Error("a folder was read")
	}
	big := filepath.Join(dir, "a.png")
	if err := os.Truncate(big, maxBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, err := DataURL(big); !errors.Is(err, errTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if err := os.Truncate(big, maxBytes); err != nil {
		t.Fatal(err)
	}
	if url, err := DataURL(big); err != nil || Check(url) != nil {
		t.Errorf("just small enough: %v", err)
	}
}

func TestCheck(t *testing.T) {
	for url, says := range map[string]string{
		"https://x/y.png":                  "",
		"HTTP://x":                         "",
		"data:image/png;base64," + pngData: "",
		"data:;base64," + pngData:          "neither",
		"data:text/plain;base64,AAAA":      "neither",
		"data:image/png;base64,AAAA":       "not an image",
		"data:image/png;base64,!!!":        "not an image",
		"data:image/png," + pngData:        "neither",
		"data:image/png;base64" + pngData:  "neither",
		"file:///etc/passwd":               "neither",
		"zzz":                              "neither",
		"":                                 "neither",
		"data:image/png;base64," + strings.Repeat("A", 28<<20): "larger",
	} {
		if err := Check(url); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%.40s: %v", url, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{pngData, gifData, webp} {
		f.Add("data:image/png;base64," + s)
	}
	f.Fuzz(func(_ *testing.T, url string) { _ = Check(url) })
}
