package session

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"app-server/internal/config"
	"app-server/internal/excerpt"
	"app-server/internal/imagefile"
	"app-server/internal/plainfile"
	"app-server/protocol"
)

// checkInput refuses input over the limit, with the data that the reference
// gives. It returns the number of characters.
func checkInput(input []protocol.UserInput) (int, error) {
	chars := inputChars(input)
	if chars <= maxInputChars {
		return chars, nil
	}
	e := protocol.Errorf(protocol.CodeInvalidParams, protocol.ReasonInputTooLarge, "The input has %d characters; at most %d are taken", chars, maxInputChars)
	e.Data = map[string]any{"input_error_code": "input_too_large", "max_chars": maxInputChars, "actual_chars": chars}
	return chars, e
}

// inputChars counts the characters that a user may have typed. Images are not
// counted.
func inputChars(input []protocol.UserInput) int {
	n := 0
	for _, in := range input {
		n += utf8.RuneCountInString(in.Text) + utf8.RuneCountInString(in.Name)
	}
	return n
}

// preview is the beginning of what the user typed, for lists of threads.
func preview(input []protocol.UserInput) string {
	var parts []string
	for _, in := range input {
		if in.Type == protocol.InputText && in.Text != "" {
			parts = append(parts, in.Text)
		}
	}
	return cutPreview(strings.Join(parts, "\n"))
}

// cutPreview is a copy where it is shorter, since the text may be large.
func cutPreview(text string) string {
	return strings.Clone(excerpt.Head(text, maxPreview))
}

// part is one part of a message to the backend.
type part struct {
	Type     string `json:"type"`
	Text     string `json:"text,omitzero"`
	ImageURL string `json:"image_url,omitzero"`
	Detail   string `json:"detail,omitzero"`
}

func textPart(text string) part { return part{Type: "input_text", Text: text} }

// What stands around an image. One from a file has a name, by which the user's words
// may speak of it.
const (
	imageOpen  = "<image>"
	imageName  = "<image name="
	imageClose = "</image>"
)

// isImageMark reports whether a text is what stands around an image.
func isImageMark(text string) bool {
	return text == imageOpen || text == imageClose || strings.HasPrefix(text, imageName) && strings.HasSuffix(text, ">")
}

// imageParts wraps an image as the backend expects it. The user wants it looked at
// closely: the backend's own choice may be less.
func imageParts(open, url string) []part {
	return []part{textPart(open), {Type: "input_image", ImageURL: url, Detail: "high"}, textPart(imageClose)}
}

// inputParts turns the user's input into the parts of a message. It reads image
// files, and so may wait for the disk. URLs of images go as given, and skills
// follow in messages of their own. Relative paths start at cwd.
func inputParts(input []protocol.UserInput, cwd string) []part {
	var parts []part
	images := 0
	for _, in := range input {
		if in.Type == protocol.InputImage || in.Type == protocol.InputLocalImage {
			images++
		}
		switch in.Type {
		case protocol.InputText:
			if in.Text != "" { // the backend refuses empty parts
				parts = append(parts, textPart(in.Text))
			}
		case protocol.InputImage:
			parts = append(parts, imageParts(imageOpen, in.URL)...)
		case protocol.InputLocalImage:
			url, err := imagefile.DataURL(config.Absolute(in.Path, cwd))
			if err != nil {
				parts = append(parts, textPart(fmt.Sprintf("The image %s could not be read: %v", in.Path, plainfile.Cause(err))))
				continue
			}
			parts = append(parts, imageParts(fmt.Sprintf("%s[Image #%d]>", imageName, images), url)...)
		case protocol.InputMention:
			parts = append(parts, textPart(fmt.Sprintf("The user refers to %q (%s).", in.Name, in.Path)))
		}
	}
	return parts
}

// words are what the user said in words: what inputParts makes of the input
// without its images.
func words(input []protocol.UserInput) []string {
	var out []string
	for _, in := range input {
		if in.Type == protocol.InputImage || in.Type == protocol.InputLocalImage {
			continue
		}
		for _, p := range inputParts([]protocol.UserInput{in}, "") {
			out = append(out, p.Text)
		}
	}
	return out
}
