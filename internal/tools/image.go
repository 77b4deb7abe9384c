package tools

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/imagefile"
	"app-server/protocol"
)

// How closely the backend looks at an image: scaled to a size that it likes, or
// as it is, which only some models can.
const (
	detailHigh     = "high"
	detailOriginal = "original"
)

// imageTool is view_image: the model looks at an image file. Every file may be
// read, as the sandbox lets commands, too.
func imageTool() Tool {
	return Tool{Name: "view_image", Parallel: true, Local: true, Spec: imageSpec, Run: runImage}
}

func imageSpec(t *Turn) (jsontext.Value, bool) {
	members := map[string]any{"path": textSchema("The path of the image file, absolute or relative to the working directory.")}
	if t.Env.Model.OriginalDetail {
		members["detail"] = choiceSchema("Leave it out to see the image scaled down where it is large. Say original where small details count.", detailOriginal)
	}
	return function("view_image", "Shows you an image file of this machine: PNG, JPEG, GIF or WebP.", objectSchema(members, "path")), t.Env.Model.Images
}

func runImage(_ context.Context, t *Turn, c Call) Output {
	var in struct {
		Path   string  `json:"path" required:"true"`
		Detail *string `json:"detail"`
	}
	if bad, ok := arguments(c, &in); !ok {
		return bad
	}
	detail := detailHigh
	switch {
	case !t.Env.Model.Images:
		return say("This model cannot look at images.")
	case in.Path == "":
		return say("The path of the image is empty.")
	case in.Detail != nil && *in.Detail != detailOriginal:
		return say("The only value of detail is original. Leave it out to see the image scaled down.")
	case in.Detail != nil && t.Env.Model.OriginalDetail:
		detail = detailOriginal
	}
	path := in.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(t.Env.Cwd, path)
	}
	path = filepath.Clean(path)
	url, err := imagefile.DataURL(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err // the path is told already
		}
		return say(fmt.Sprintf("The image %s cannot be shown: %v.", path, err))
	}
	item := &protocol.ImageViewItem{Type: protocol.ItemImageView, ID: c.ID, Path: path}
	t.Host.ItemStarted(item)
	t.Host.ItemCompleted(item)
	return Output{Content: encode([]contentPart{imageContent(url, detail)})}
}
