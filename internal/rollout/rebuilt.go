package rollout

import (
	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// The items that are rebuilt from the reference's events, as the wire has them.

type plainItem struct {
	Type protocol.ItemType `json:"type"`
	ID   string            `json:"id"`
}

func (i *plainItem) ItemID() string { return i.ID }

type planText struct {
	Type protocol.ItemType `json:"type"`
	ID   string            `json:"id"`
	Text string            `json:"text"`
}

func (i *planText) ItemID() string { return i.ID }

type viewItem struct {
	Type protocol.ItemType `json:"type"`
	ID   string            `json:"id"`
	Path string            `json:"path"`
}

func (i *viewItem) ItemID() string { return i.ID }

type reviewItem struct {
	Type   protocol.ItemType `json:"type"`
	ID     string            `json:"id"`
	Review string            `json:"review"`
}

func (i *reviewItem) ItemID() string { return i.ID }

type commandItem struct {
	Type       protocol.ItemType `json:"type"`
	ID         string            `json:"id"`
	Command    string            `json:"command"`
	Cwd        string            `json:"cwd"`
	ProcessID  *string           `json:"processId"`
	Source     string            `json:"source"`
	Status     string            `json:"status"`
	Actions    []commandAction   `json:"commandActions"`
	Output     *string           `json:"aggregatedOutput"`
	ExitCode   *int64            `json:"exitCode"`
	DurationMS *int64            `json:"durationMs"`
}

func (i *commandItem) ItemID() string { return i.ID }

type commandAction struct {
	Type    string                    `json:"type"`
	Command string                    `json:"command"`
	Name    protocol.Optional[string] `json:"name,omitzero"`
	Query   protocol.Optional[string] `json:"query,omitzero"`
	Path    protocol.Optional[string] `json:"path,omitzero"`
}

type fileChangeItem struct {
	Type    protocol.ItemType `json:"type"`
	ID      string            `json:"id"`
	Changes []fileUpdate      `json:"changes"`
	Status  string            `json:"status"`
}

func (i *fileChangeItem) ItemID() string { return i.ID }

type fileUpdate struct {
	Path string     `json:"path"`
	Kind changeKind `json:"kind"`
	Diff string     `json:"diff"`
}

type changeKind struct {
	Type     string                    `json:"type"`
	MovePath protocol.Optional[string] `json:"move_path,omitzero"`
}

type mcpItem struct {
	Type       protocol.ItemType `json:"type"`
	ID         string            `json:"id"`
	Server     string            `json:"server"`
	Tool       string            `json:"tool"`
	Status     string            `json:"status"`
	Arguments  jsontext.Value    `json:"arguments"`
	Result     *mcpOutcome       `json:"result"`
	Error      *wireMessage      `json:"error"`
	DurationMS *int64            `json:"durationMs"`
}

func (i *mcpItem) ItemID() string { return i.ID }

type mcpOutcome struct {
	Content    jsontext.Value `json:"content"`
	Structured jsontext.Value `json:"structuredContent"`
	Meta       jsontext.Value `json:"_meta"`
}

type dynamicItem struct {
	Type         protocol.ItemType `json:"type"`
	ID           string            `json:"id"`
	Namespace    *string           `json:"namespace"`
	Tool         string            `json:"tool"`
	Arguments    jsontext.Value    `json:"arguments"`
	Status       string            `json:"status"`
	ContentItems jsontext.Value    `json:"contentItems"`
	Success      *bool             `json:"success"`
	DurationMS   *int64            `json:"durationMs"`
}

func (i *dynamicItem) ItemID() string { return i.ID }
