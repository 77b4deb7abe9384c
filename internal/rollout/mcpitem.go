package rollout

import (
	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// mcpItem is a call of an MCP tool as the wire has it.
type mcpItem struct {
	Type       protocol.ItemType   `json:"type"`
	ID         string              `json:"id"`
	Server     string              `json:"server"`
	Tool       string              `json:"tool"`
	Status     protocol.ItemStatus `json:"status"`
	Arguments  jsontext.Value      `json:"arguments"`
	Result     *mcpOutcome         `json:"result"`
	Error      *wireMessage        `json:"error"`
	DurationMS *int64              `json:"durationMs"`
}

// ItemID returns the id.
func (i *mcpItem) ItemID() string { return i.ID }

type mcpOutcome struct {
	Content    jsontext.Value `json:"content"`
	Structured jsontext.Value `json:"structuredContent"`
	Meta       jsontext.Value `json:"_meta"`
}
