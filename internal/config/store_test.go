package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/protocol"
)

func newStore(t *testing.T, file string, overrides ...string) (*Store, string) {
	t.Helper()
	home := t.TempDir()
	path := filepath.Join(home, fileName)
	if file != "" {
		if err := os.WriteFile(path, []byte(file), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return NewStore(Options{Home: home, Overrides: overrides, Cwd: home}), path
}

// put writes one value, with more about the target.
func put(t *testing.T, s *Store, key, value string, target protocol.ConfigWriteTarget) (protocol.ConfigWriteResponse, error) {
	t.Helper()
	return s.WriteValue(t.Context(), &protocol.ConfigValueWriteParams{
		ConfigEdit:        protocol.ConfigEdit{KeyPath: key, Value: jsontext.Value(value), MergeStrategy: protocol.MergeReplace},
		ConfigWriteTarget: target,
	})
}

// code is the stable code of a refused write, "" for other errors and none.
func code(err error) protocol.ConfigWriteErrorCode {
	var e *protocol.Error
	if !errors.As(err, &e) {
		return ""
	}
	c, _ := e.Data[protocol.ConfigWriteErrorKey].(protocol.ConfigWriteErrorCode)
	return c
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWriteKeepsTheRest(t *testing.T) {
	s, path := newStore(t, sample)
	r, err := put(t, s, "tui.theme", `"y"`, protocol.ConfigWriteTarget{})
	if err != nil || r.Status != protocol.WriteOK || r.FilePath != path || r.OverriddenMetadata != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := content(t, path); got != strings.Replace(sample, `"x"`, `"y"`, 1) {
		t.Error(got)
	}
	if st, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && st.Mode() != 0o640 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	// The version is that of what a read tells next, and good for the next write.
	read, err := s.Read(t.Context(), &protocol.ConfigReadParams{IncludeLayers: true})
	if err != nil || read.Layers[0].Version != r.Version {
		t.Errorf("%+v, %v, want %s", read.Layers, err, r.Version)
	}
	if r, err := put(t, s, "model", `"z"`, protocol.ConfigWriteTarget{ExpectedVersion: &r.Version, FilePath: &path}); err != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := put(t, s, "model", `"a"`, protocol.ConfigWriteTarget{ExpectedVersion: &r.Version}); code(err) != protocol.WriteVersionConflict {
		t.Error(err)
	}
	if m := s.Current().Model; m != "z" {
		t.Error(m)
	}
}

func TestWriteRefuses(t *testing.T) {
	other := filepath.Join(t.TempDir(), fileName)
	for name, tt := range map[string]struct {
		file, key, value string
		target           protocol.ConfigWriteTarget
		want             protocol.ConfigWriteErrorCode
	}{
		"wrong type":       {"", "model", `7`, protocol.ConfigWriteTarget{}, protocol.WriteValidationError},
		"unknown word":     {"", "approval_policy", `"zzz"`, protocol.ConfigWriteTarget{}, protocol.WriteValidationError},
		"not served here":  {"", "web_search", `"zzz"`, protocol.ConfigWriteTarget{}, protocol.WriteValidationError},
		"a table's member": {"", "sandbox_workspace_write.network_access", `1`, protocol.ConfigWriteTarget{}, protocol.WriteValidationError},
		"a member's table": {"", "sandbox_workspace_write", `{"network_access":1}`, protocol.ConfigWriteTarget{}, protocol.WriteValidationError},
		"built-in":         {"", "model_providers.openai", `{"name":"x"}`, protocol.ConfigWriteTarget{}, protocol.WriteValidationError},
		"no MCP server":    {"", "mcp_servers.a", `{}`, protocol.ConfigWriteTarget{}, protocol.WriteValidationError},
		"half of one":      {"[mcp_servers.a]\ncommand = 'x'\n", "mcp_servers.a.command", `null`, protocol.ConfigWriteTarget{}, protocol.WriteValidationError},
		"another file":     {"", "model", `"x"`, protocol.ConfigWriteTarget{FilePath: &other}, protocol.WriteLayerReadonly},
		"a broken file":    {"model = \n", "model", `"x"`, protocol.ConfigWriteTarget{}, protocol.WriteValidationError},
		"a key twice":      {"a = 1\na = 2\n", "model", `"x"`, protocol.ConfigWriteTarget{}, protocol.WriteValidationError},
	} {
		t.Run(name, func(t *testing.T) {
			s, path := newStore(t, tt.file)
			r, err := put(t, s, tt.key, tt.value, tt.target)
			if code(err) != tt.want {
				t.Errorf("%+v, %v", r, err)
			}
			if b, _ := os.ReadFile(path); string(b) != tt.file {
				t.Errorf("the file was written: %q", b)
			}
		})
	}
}

// What is wrong elsewhere in the file does not keep a parent from mending it,
// and references may be written before what they name.
func TestWriteMends(t *testing.T) {
	s, path := newStore(t, "model = 7\nsandbox_mode = 'zz'\n")
	for _, e := range []set{{"model", `"x"`, ""}, {"model_provider", `"later"`, ""}, {"profile", `"later"`, ""}, {"model_providers.later.name", `"L"`, ""}, {"sandbox_mode", `null`, ""}} {
		if _, err := put(t, s, e.key, e.value, protocol.ConfigWriteTarget{}); err != nil {
			t.Errorf("%s: %v", e.key, err)
		}
	}
	if got := content(t, path); got != "model = \"x\"\nmodel_provider = \"later\"\nprofile = \"later\"\n\n[model_providers.later]\nname = \"L\"\n" {
		t.Error(got)
	}
}

func TestWriteNewFileAndLink(t *testing.T) {
	dir := t.TempDir()
	s := NewStore(Options{Home: filepath.Join(dir, "new", "home")})
	if _, err := put(t, s, "model", `"x"`, protocol.ConfigWriteTarget{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "new", "home", fileName)
	if got := content(t, path); got != "model = \"x\"\n" {
		t.Error(got)
	}
	if runtime.GOOS == "windows" {
		return // links need rights there
	}
	real := filepath.Join(dir, "real.toml")
	if err := os.Rename(path, real); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, path); err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, s, "model", `"y"`, protocol.ConfigWriteTarget{}); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Lstat(path); err != nil || st.Mode()&os.ModeSymlink == 0 || content(t, real) != "model = \"y\"\n" {
		t.Errorf("%v, %v", st, err)
	}
}

func TestWriteBatchIsWhole(t *testing.T) {
	s, path := newStore(t, "model = 'a'\n")
	write := func(edits ...set) (protocol.ConfigWriteResponse, error) {
		p := &protocol.ConfigBatchWriteParams{}
		for _, e := range edits {
			p.Edits = append(p.Edits, e.wire())
		}
		return s.WriteBatch(t.Context(), p)
	}
	if _, err := write(set{"model", `"b"`, ""}, set{"approval_policy", `"zzz"`, ""}); code(err) != protocol.WriteValidationError {
		t.Error(err)
	}
	if got := content(t, path); got != "model = 'a'\n" {
		t.Error(got)
	}
	if _, err := write(set{"model_provider", `"m"`, ""}, set{"model_providers.m", `{"name":"M","base_url":"http://localhost"}`, ""}); err != nil {
		t.Error(err)
	}
	if c := s.Current(); c.ModelProvider != "m" || len(c.Problems) > 0 {
		t.Errorf("%s, %v", c.ModelProvider, c.Problems)
	}
	if r, err := write(); err != nil || r.Status != protocol.WriteOK {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWriteOverridden(t *testing.T) {
	s, _ := newStore(t, "", `model="flag"`, `tui.theme="dark"`)
	for _, tt := range []struct{ key, value, effective string }{
		{"model", `"x"`, `"flag"`}, {"model", `"flag"`, ""}, {"tui", `{"theme":"light","sound":true}`, `{"sound":true,"theme":"dark"}`},
		{"tui.sound", `false`, ""}, {"review_model", `"r"`, ""}, {"model", `null`, `"flag"`},
	} {
		r, err := put(t, s, tt.key, tt.value, protocol.ConfigWriteTarget{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if m := r.OverriddenMetadata; m != nil {
			got = string(m.EffectiveValue)
			if m.OverridingLayer.Name.Type != protocol.LayerSessionFlags || r.Status != protocol.WriteOKOverridden {
				t.Errorf("%+v", r)
			}
		}
		if got != tt.effective {
			t.Errorf("%s: %s, want %s", tt.key, got, tt.effective)
		}
	}
}

// Writes of one process do not lose each other.
func TestWritesAtOnce(t *testing.T) {
	s, path := newStore(t, "")
	var wg sync.WaitGroup
	for i := range 20 {
		key := "t.k" + string(rune('a'+i))
		wg.Go(func() {
			if _, err := put(t, s, key, `1`, protocol.ConfigWriteTarget{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(content(t, path), " = 1\n"); n != 20 {
		t.Errorf("%d of 20 writes are there", n)
	}
}

// A tree as deep as a long line could make it would be the end of the process:
// functions that walk it call themselves.
func TestKeysWithTooManyParts(t *testing.T) {
	deep := strings.Repeat("a.", 1<<17) + "a"
	home := t.TempDir()
	s := NewStore(Options{Home: home, Overrides: []string{deep + "=1"}})
	edit := protocol.ConfigEdit{KeyPath: deep, Value: jsontext.Value("1"), MergeStrategy: protocol.MergeReplace}
	if _, err := s.WriteValue(t.Context(), &protocol.ConfigValueWriteParams{ConfigEdit: edit}); err == nil || len(err.Error()) > 200 {
		t.Errorf("%.200v", err)
	}
	if _, err := s.Current().With(overrides(t, map[string]any{deep: 1})); err == nil || len(err.Error()) > 400 {
		t.Error("taken for a thread")
	}
	text := "model = \"m\"\n" + deep + " = 1\nb = { " + deep + " = 1 }\n[" + deep + "]\nc = 1\n[tools]\nd." + deep + " = 1\n"
	if err := os.WriteFile(filepath.Join(home, fileName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := s.Current()
	if n := len(cfg.Problems); cfg.Model != "m" || n != 5 { // four in the file
		t.Errorf("model %q, %d problems", cfg.Model, n)
	}
	cfg.Describe()
}

func TestWriteKeepsTheMark(t *testing.T) {
	s, path := newStore(t, mark+"model = \"a\"\n")
	for _, value := range []string{`"b"`, `"c"`} {
		if _, err := put(t, s, "model", value, protocol.ConfigWriteTarget{}); err != nil {
			t.Fatal(err)
		}
		if want, got := mark+"model = "+value+"\n", content(t, path); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestDeepEdits(t *testing.T) {
	s, path := newStore(t, "model = \"a\"\n")
	for _, tt := range []struct {
		key  string
		open string
		n    int
		ok   bool
	}{
		{"deep", "[", maxEditDepth - 1, true},
		{"deep", "[", maxEditDepth, false},
		{"deep", `{"a":`, maxEditDepth - 1, true},
		{"a.b.c", "[", maxEditDepth - 3, true},
		{"a.b.c", "[", maxEditDepth - 2, false},
		{"deep", "[", 9000, false},
		{strings.Repeat("a.", maxEditDepth) + "b", "[", 0, false},
	} {
		end := map[string]string{"[": "]"}[tt.open]
		if end == "" {
			end = "}"
		}
		before := content(t, path)
		_, err := put(t, s, tt.key, strings.Repeat(tt.open, tt.n)+"1"+strings.Repeat(end, tt.n), protocol.ConfigWriteTarget{})
		if (err == nil) != tt.ok || !tt.ok && (code(err) != protocol.WriteValidationError || content(t, path) != before) {
			t.Errorf("%s %d: %.200v", tt.key, tt.n, err)
		}
	}
}

// Two servers of one home write at the same time.
func TestTwoStores(t *testing.T) {
	one, path := newStore(t, "")
	two := NewStore(one.options)
	var wg sync.WaitGroup
	const each = 15
	for i := range each {
		for name, s := range map[string]*Store{"one": one, "two": two} {
			wg.Go(func() {
				if _, err := put(t, s, fmt.Sprintf("tui.%s%d", name, i), "1", protocol.ConfigWriteTarget{}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if n := strings.Count(content(t, path), " = 1"); n != 2*each {
		t.Errorf("%d of %d writes are left", n, 2*each)
	}
}
