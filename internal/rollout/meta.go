package rollout

import (
	"cmp"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"app-server/protocol"
)

// Meta is what a thread's first line tells of it: what was fixed when it began.
type Meta struct {
	// ID is the thread's id, a UUID in its usual form.
	ID string
	// ForkedFrom is the id of the thread that this one was copied from, or empty.
	ForkedFrom string
	// Created is when the thread began. Its local time names the file.
	Created       time.Time
	Cwd           string
	Originator    string
	CLIVersion    string
	ModelProvider string
	// Source is what kind of program began the thread, in the form of the files;
	// nil counts as [protocol.SourceAppServer].
	Source jsontext.Value
	// Instructions are the base instructions; nil where the file has none.
	Instructions *string
	// DynamicTools is the list of the parent's tools as it was given, or nil.
	DynamicTools jsontext.Value
	// Git is the state of the repository when the thread began, or nil.
	Git                      *protocol.GitInfo
	AgentNickname, AgentRole *string
}

// sessionMeta is a session_meta payload.
type sessionMeta struct {
	ID           string         `json:"id"`
	ForkedFromID string         `json:"forked_from_id,omitzero"`
	Timestamp    string         `json:"timestamp"`
	Cwd          string         `json:"cwd"`
	Originator   string         `json:"originator"`
	CLIVersion   string         `json:"cli_version"`
	Source       jsontext.Value `json:"source,omitzero"`
	Nickname     *string        `json:"agent_nickname,omitzero"`
	Role         *string        `json:"agent_role,omitzero"`
	Provider     *string        `json:"model_provider,omitzero"`
	Instructions *instructions  `json:"base_instructions,omitzero"`
	DynamicTools jsontext.Value `json:"dynamic_tools,omitzero"`
	Git          *gitMeta       `json:"git,omitzero"`
	// Mode is "paginated" in files that count their lines.
	Mode string `json:"history_mode,omitzero"`
	// Base is what the lines of the file go on from, where they are not all.
	Base *historyBase `json:"history_base,omitzero"`
}

// historyBase names the first lines of another file of the reference 0.169.0.
type historyBase struct {
	// ID is the last one in the file's name: of a thread, or of a later file of it.
	ID    string `json:"thread_id"`
	Lines int64  `json:"end_ordinal_exclusive"`
}

type instructions struct {
	Text string `json:"text"`
}

type gitMeta struct {
	Commit *string `json:"commit_hash,omitzero"`
	Branch *string `json:"branch,omitzero"`
	URL    *string `json:"repository_url,omitzero"`
}

// timeLayout is the form of all times in a file: UTC, milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

func (m *Meta) payload() *sessionMeta {
	p := &sessionMeta{
		ID: m.ID, ForkedFromID: m.ForkedFrom, Timestamp: m.Created.UTC().Format(timeLayout), Cwd: m.Cwd,
		Originator: m.Originator, CLIVersion: m.CLIVersion, Source: m.Source, Nickname: m.AgentNickname,
		Role: m.AgentRole, Provider: &m.ModelProvider, DynamicTools: m.DynamicTools,
	}
	if len(p.Source) == 0 {
		p.Source = jsontext.Value(`"` + protocol.SourceAppServer + `"`)
	}
	if m.Instructions != nil {
		p.Instructions = &instructions{*m.Instructions}
	}
	if g := m.Git; g != nil {
		p.Git = &gitMeta{Commit: g.SHA, Branch: g.Branch, URL: g.OriginURL}
	}
	return p
}

// readMeta reads a session_meta payload. One without an id in the form of a UUID is
// refused: the id names files, and a parent may hand over a file of any origin.
func readMeta(raw jsontext.Value) (Meta, *sessionMeta, error) {
	var p sessionMeta
	if err := json.Unmarshal(raw, &p, lenient); err != nil {
		return Meta{}, nil, err
	}
	id, err := uuid.Parse(p.ID)
	if err != nil {
		return Meta{}, nil, fmt.Errorf("thread id: %w", err)
	}
	m := Meta{
		ID: id.String(), ForkedFrom: p.ForkedFromID, Created: readTime(p.Timestamp), Cwd: p.Cwd, Originator: p.Originator,
		CLIVersion: p.CLIVersion, Source: p.Source, AgentNickname: p.Nickname, AgentRole: p.Role,
		DynamicTools: p.DynamicTools,
	}
	if m.Created.IsZero() && id.Version() == 7 {
		sec, nsec := id.Time().UnixTime()
		m.Created = time.Unix(sec, nsec)
	}
	if spawn := member(member(p.Source, "subagent"), "thread_spawn"); m.AgentNickname == nil && m.AgentRole == nil {
		optional(member(spawn, "agent_nickname"), &m.AgentNickname)
		optional(member(spawn, "agent_role"), &m.AgentRole)
	}
	if p.Provider != nil {
		m.ModelProvider = *p.Provider
	}
	if p.Instructions != nil {
		m.Instructions = &p.Instructions.Text
	}
	m.Git = p.Git.info()
	return m, &p, nil
}

func (g *gitMeta) info() *protocol.GitInfo {
	if g == nil {
		return nil
	}
	return &protocol.GitInfo{SHA: g.Commit, Branch: g.Branch, OriginURL: g.URL}
}

// readTime reads a time of a file; the zero time where it is none.
func readTime(s string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, s)
	return t
}

// SourceKind is the kind of a thread's source, as thread/list filters by it. Some
// sources are of no kind that a list can ask for.
func (m *Meta) SourceKind() string {
	kind, _ := readSource(m.Source)
	return kind
}

// WireSource is the thread's source as the wire tells it.
func (m *Meta) WireSource() jsontext.Value {
	_, wire := readSource(m.Source)
	return wire
}

// agents are threads that the reference begins for itself, by the names in files.
var agents = map[string]string{
	"review": "subAgentReview", "compact": "subAgentCompact", "memory_consolidation": "subAgentMemoryConsolidation",
}

// sourceObject is a source that is no text.
type sourceObject struct {
	Custom   *string        `json:"custom"`
	Subagent jsontext.Value `json:"subagent"`
}

// readSource gives the kind of a source and its form on the wire, which has a
// closed set of them: what does not belong to it is told as another agent, or as
// unknown.
func readSource(raw jsontext.Value) (kind string, wire jsontext.Value) {
	kind = "unknown"
	switch raw.Kind() {
	case '"':
		switch s := text(raw); s {
		case "cli", "vscode", "exec":
			kind = s
		case "mcp", "appServer":
			kind = "appServer"
		}
	case '{':
		var o sourceObject
		if json.Unmarshal(raw, &o, lenient) != nil {
			break
		}
		switch {
		case o.Custom != nil:
			return "custom", jsontext.Value(`{"custom":` + string(quoted(*o.Custom)) + `}`)
		case o.Subagent != nil:
			kind, agent := readAgent(o.Subagent)
			return kind, jsontext.Value(`{"subAgent":` + string(agent) + `}`)
		}
	default:
		kind = protocol.SourceAppServer
	}
	return kind, quoted(kind)
}

func readAgent(raw jsontext.Value) (kind string, wire jsontext.Value) {
	name := text(raw)
	if kind, ok := agents[name]; ok {
		return kind, raw
	}
	if member(raw, "thread_spawn").Kind() == '{' {
		return "subAgentThreadSpawn", raw
	}
	if member(raw, "other").Kind() == '"' {
		return "subAgentOther", raw
	}
	return "subAgentOther", jsontext.Value(`{"other":` + string(quoted(cmp.Or(name, "unknown"))) + `}`)
}
