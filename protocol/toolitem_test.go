package protocol

import (
	"testing"

	"github.com/go-json-experiment/json"
)

func TestNilListsOfToolItemsAreNull(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{&DynamicToolCallItem{Type: ItemDynamicToolCall, ID: "c1", Tool: "t", Arguments: []byte(`{}`), Status: ItemInProgress},
			`{"type":"dynamicToolCall","id":"c1","namespace":null,"tool":"t","arguments":{},"status":"inProgress","contentItems":null,"success":null,"durationMs":null}`},
		{FileSystemPermissions{Write: Some([]string{"/a"})}, `{"read":null,"write":["/a"]}`},
	} {
		got, err := json.Marshal(c.value)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
