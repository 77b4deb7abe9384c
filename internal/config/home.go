package config

import (
	"errors"
	"path/filepath"
	"runtime"
)

// Home returns the absolute path of the server's folder: $CODEX_HOME, or
// .codex in the user's home. cwd is what a relative $CODEX_HOME starts at.
func Home(getenv func(string) string, cwd string) (string, error) {
	if dir := getenv("CODEX_HOME"); dir != "" {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(cwd, dir)
		}
		return filepath.Clean(dir), nil
	}
	home := UserHome(getenv)
	if home == "" {
		return "", errors.New("config: neither CODEX_HOME nor a home folder is set")
	}
	return filepath.Join(home, ".codex"), nil
}

// UserHome is the user's home folder as the environment names it, or "".
func UserHome(getenv func(string) string) string {
	if getenv == nil {
		return ""
	}
	if runtime.GOOS == "windows" {
		return getenv("USERPROFILE")
	}
	return getenv("HOME")
}
