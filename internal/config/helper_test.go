package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// load writes a settings file into a fresh home and loads it.
func load(t testing.TB, file string, overrides ...string) *Config {
	t.Helper()
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, fileName), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	return loadHome(home, overrides...)
}

func loadHome(home string, overrides ...string) *Config {
	return Load(Options{Home: home, Overrides: overrides, Cwd: "/some/dir", Getenv: func(name string) string {
		if name == "HOME" || name == "USERPROFILE" {
			return "/home/me"
		}
		return ""
	}})
}

// place is a Problem reduced to what tables state.
type place struct {
	Key                            string
	Line, Column, ToLine, ToColumn int
}

func places(c *Config) []place {
	var out []place
	for _, p := range c.Problems {
		at := place{Key: p.Key}
		if p.Range != nil {
			at.Line, at.Column = p.Range.Start.Line, p.Range.Start.Column
			at.ToLine, at.ToColumn = p.Range.End.Line, p.Range.End.Column
		}
		out = append(out, at)
	}
	return out
}

// overrides are those of a thread as they come from a parent.
func overrides(t testing.TB, values map[string]any) map[string]jsontext.Value {
	t.Helper()
	out := map[string]jsontext.Value{}
	for key, v := range values {
		raw, ok := v.(jsontext.Value)
		if !ok {
			var err error
			if raw, err = json.Marshal(v); err != nil {
				t.Fatal(err)
			}
		}
		out[key] = raw
	}
	return out
}
