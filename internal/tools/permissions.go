package tools

import (
	"sync"

	"app-server/internal/sandbox"
)

// grants are permissions beyond the sandbox policy that the user gave. The zero
// value is none.
type grants struct {
	mu      sync.Mutex
	folders []string
	network bool
}

func (g *grants) widen(p sandbox.Policy) sandbox.Policy { return p }
