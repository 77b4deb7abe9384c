//go:build !linux

package oauth

// SystemKeyring is the keyring of the operating system.
func SystemKeyring(func(string) string) Keyring { return systemKeyring{} }
