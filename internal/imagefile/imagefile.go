// Package imagefile makes images ready for the backend: files become data URLs,
// and what the backend would refuse, with the whole request around it, is found
// before it is sent.
//
// It knows neither turns nor tools: the user's images and those that the model
// asks for go the same way.
package imagefile

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// maxBytes is the largest image that is sent, in bytes. The backend takes no
// larger ones, and each request of a thread sends them all again.
const maxBytes = 20 << 20

var (
	errTooLarge = fmt.Errorf("it is larger than %d MiB", maxBytes>>20)
	errNoImage  = errors.New("it is not an image in PNG, JPEG, GIF or WebP form")
	errNoURL    = errors.New("it is neither a data URL of an image nor an http URL")
)

// DataURL reads an image file, at most maxBytes of it, into a data URL. What
// the file holds counts, not its name. The error says in a few words why
// it cannot be sent; those of the file system are *fs.PathError.
func DataURL(path string) (string, error) {
	// A pipe or a device could keep the turn waiting for ever, at the open too.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is not a regular file")
	}
	if info.Size() > maxBytes {
		return "", errTooLarge
	}
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return "", err
	}
	kind, err := kindOf(data)
	if err != nil {
		return "", err
	}
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data), nil
}

// Check reports why the URL of an image cannot be sent. An http URL is taken as
// it is: the backend fetches it.
func Check(url string) error {
	scheme, rest, _ := strings.Cut(url, ":")
	switch {
	case strings.EqualFold(scheme, "http"), strings.EqualFold(scheme, "https"):
		return nil
	case !strings.EqualFold(scheme, "data"):
		return errNoURL
	}
	form, body, ok := strings.Cut(rest, ",")
	if !ok || !strings.HasPrefix(form, "image/") || !strings.HasSuffix(form, ";base64") {
		return errNoURL
	}
	if base64.StdEncoding.DecodedLen(len(body)) > maxBytes+2 {
		return errTooLarge
	}
	data, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return errNoImage
	}
	_, err = kindOf(data)
	return err
}

// kindOf is the media type of an image that the backend takes. Where the
// standard library can read its head, it must be readable.
func kindOf(data []byte) (string, error) {
	if len(data) > maxBytes {
		return "", errTooLarge
	}
	var head func(io.Reader) (image.Config, error)
	kind := http.DetectContentType(data)
	switch kind {
	case "image/png":
		head = png.DecodeConfig
	case "image/jpeg":
		head = jpeg.DecodeConfig
	case "image/gif":
		head = gif.DecodeConfig
	case "image/webp":
		return kind, nil
	default:
		return "", errNoImage
	}
	if _, err := head(bytes.NewReader(data)); err != nil {
		return "", errors.New("the image is damaged")
	}
	return kind, nil
}
