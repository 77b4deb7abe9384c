package account

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

// authFile is the name of the file in the home that the reference and this
// server share.
const authFile = "auth.json"

// maxAuthFile is in bytes. A real file has a few thousand.
const maxAuthFile = 1 << 20

// authFileMode lets only the owner read the key.
const authFileMode = 0o600

// errUnusable says no more, since what is wrong may be a part of a token.
var errUnusable = errors.New(authFile + " holds no usable credentials")

// storedAuth is auth.json as far as it is read here. A file that a ChatGPT
// sign-in of the reference wrote has more members; it is only ever read or
// replaced as a whole.
type storedAuth struct {
	Mode   *string         `json:"auth_mode"`
	APIKey protocol.Secret `json:"OPENAI_API_KEY"`
	Tokens *storedTokens   `json:"tokens"`
}

type storedTokens struct {
	IDToken     protocol.Secret `json:"id_token"`
	AccessToken protocol.Secret `json:"access_token"`
	AccountID   string          `json:"account_id"`
}

// stores reports whether sign-ins live in auth.json.
func (m *Manager) stores() bool {
	switch m.policy.Store {
	case "", "file", "auto":
		return true
	}
	return false
}

// stored reads the sign-in of auth.json; nil and nil where there is none. What
// forced_login_method excludes is not used either, and an error says so.
func (m *Manager) stored() (*Snapshot, error) {
	if !m.stores() {
		return nil, nil
	}
	a, err := readStored(m.home)
	if a == nil || err != nil {
		return nil, err
	}
	// A file without auth_mode is from an older reference: there a key wins.
	mode := protocol.AuthModeChatGPT
	switch {
	case a.Mode != nil:
		mode = protocol.AuthMode(*a.Mode)
	case !a.APIKey.IsEmpty():
		mode = protocol.AuthModeAPIKey
	}
	switch {
	case a.Mode == nil && a.APIKey.IsEmpty() && a.Tokens == nil:
		return nil, nil
	case mode == protocol.AuthModeAPIKey:
		if err := m.policy.checkMethod(protocol.LoginAPIKey); err != nil {
			return nil, err
		}
		if !fitsHeader(a.APIKey.Reveal()) {
			return nil, errUnusable
		}
		return &Snapshot{Mode: mode, Token: a.APIKey}, nil
	case mode == protocol.AuthModeChatGPT && a.Tokens != nil:
		if err := m.policy.checkMethod(protocol.LoginChatGPT); err != nil {
			return nil, err
		}
		return managedSnapshot(a.Tokens, &m.policy)
	}
	return nil, errUnusable
}

// readStored returns nil and nil where there is no file. Its errors hold
// nothing of the content.
func readStored(home string) (*storedAuth, error) {
	path := filepath.Join(home, authFile)
	// A pipe in its place would block the start for ever.
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	} else if !info.Mode().IsRegular() || info.Size() > maxAuthFile {
		return nil, fmt.Errorf("account: %s is no regular file of up to %d bytes", path, maxAuthFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxAuthFile))
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	var a storedAuth
	// The decoder's error may quote what it read.
	if json.Unmarshal(raw, &a) != nil || jsontext.Value(raw).Kind() != '{' {
		return nil, fmt.Errorf("account: %s is not in the expected format", path)
	}
	return &a, nil
}

// storeAPIKey checks a key, writes it to auth.json where the policy wants that,
// and returns its snapshot. Whatever the file held is replaced. mu is held.
func (m *Manager) storeAPIKey(key protocol.Secret) (*Snapshot, error) {
	if !fitsHeader(key.Reveal()) {
		return nil, protocol.Invalid(protocol.ReasonInvalidToken, "apiKey is empty or cannot be sent in a header")
	}
	switch {
	case m.stores():
		if err := writeStored(m.home, key); err != nil {
			return nil, protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "%s could not be written: %v", authFile, err)
		}
	case m.policy.Store != "ephemeral":
		return nil, protocol.Invalid(protocol.ReasonNotServed, "cli_auth_credentials_store %q is not served yet, so the key cannot be stored", m.policy.Store)
	}
	return &Snapshot{Mode: protocol.AuthModeAPIKey, Token: key}, nil
}

// writeStored replaces auth.json in one step: a reader sees the old file or the
// new one, and after a crash one of both is there.
func writeStored(home string, key protocol.Secret) error {
	raw, err := json.Marshal(struct {
		Mode protocol.AuthMode `json:"auth_mode"`
		Key  string            `json:"OPENAI_API_KEY"`
	}{protocol.AuthModeAPIKey, key.Reveal()}, jsontext.WithIndent("  "))
	if err != nil {
		return errors.New("the key is not valid text")
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	return replaceFile(filepath.Join(home, authFile), append(raw, '\n'))
}

// removeStored removes auth.json. Where that cannot be (a file that is mounted
// into a container, say) it is emptied in place, which ends the sign-in, too.
func removeStored(home string) error {
	path := filepath.Join(home, authFile)
	err := os.Remove(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	f, openErr := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if openErr != nil {
		return err
	}
	_, writeErr := io.Copy(f, bytes.NewReader([]byte("{}\n")))
	if closeErr := f.Close(); writeErr != nil || closeErr != nil {
		return err
	}
	return nil
}
