package rpc

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/sourcegraph/jsonrpc2"
)

// probe records in which order the library calls.
type probe struct {
	lines  []string
	calls  []string
	closed chan struct{}
}

func (p *probe) ReadObject(v any) error {
	if len(p.lines) == 0 {
		return io.EOF
	}
	line := p.lines[0]
	p.lines = p.lines[1:]
	p.calls = append(p.calls, "read")
	return v.(json.Unmarshaler).UnmarshalJSON([]byte(line))
}

func (p *probe) WriteObject(any) error {
	p.calls = append(p.calls, "write")
	return nil
}

func (p *probe) Close() error {
	p.calls = append(p.calls, "close")
	close(p.closed)
	return nil
}

func (p *probe) Handle(ctx context.Context, c *jsonrpc2.Conn, r *jsonrpc2.Request) {
	p.calls = append(p.calls, "handle")
	raw := json.RawMessage("1")
	_ = c.SendResponse(ctx, &jsonrpc2.Response{Result: &raw})
	_ = c.Notify(ctx, "", nil, jsonrpc2.ExtraField(lineField, 1))
}

// The stream relies on the order of the library's calls: cur is what the hook
// and the handler are called for, out what WriteObject is called for.
func TestOrderOfLibraryCalls(t *testing.T) {
	p := &probe{lines: []string{string(stubRequest), string(stubNotification), `{"result":0,"id":0}`}, closed: make(chan struct{})}
	hook := func(name string) func(*jsonrpc2.Request, *jsonrpc2.Response) {
		return func(req *jsonrpc2.Request, resp *jsonrpc2.Response) {
			if resp != nil {
				name, req = name+" response", nil
			}
			p.calls = append(p.calls, name)
			name = strings.TrimSuffix(name, " response")
			if req != nil && req.Notif && len(req.ExtraFields) == 1 && req.ExtraFields[0].Value != 1 {
				t.Error("the extra field was changed")
			}
		}
	}
	jsonrpc2.NewConn(context.Background(), p, p, jsonrpc2.OnRecv(hook("recv")), jsonrpc2.OnSend(hook("send")), jsonrpc2.SetLogger(silent{}))
	<-p.closed
	want := "read, recv, handle, send response, write, send, write, " +
		"read, recv, handle, send response, write, send, write, " +
		"read, recv response, close"
	if got := strings.Join(p.calls, ", "); got != want {
		t.Errorf("calls:\n%s\nwant:\n%s", got, want)
	}
}
