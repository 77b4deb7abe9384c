package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the top of the repository.
const root = "../.."

// arrows are the imports allowed between the packages of this module, as in
// docs/architecture.md. Whatever is not listed may import nothing but protocol.
var arrows = map[string][]string{
	"protocol":       {},
	"rpc":            {},
	"internal/fake":  {},
	"account":        {"internal/oauth", "internal/redact"},
	"internal/oauth": {"internal/atomicfile", "internal/redact"},
	"session":        {"internal/backend", "internal/config", "internal/excerpt", "internal/git", "internal/imagefile", "internal/plainfile", "internal/process", "internal/prompt", "internal/rollout", "internal/skills", "internal/tools"},
	"internal/tools": {"internal/imagefile", "internal/process", "internal/process/shell", "internal/project", "internal/sandbox", "internal/tools/patch", "internal/tools/rules"},
	"cmd/app-server": {"rpc", "account", "session", "internal/backend", "internal/config", "internal/process",
		"internal/process/shell", "internal/git", "internal/oauth", "internal/rollout", "internal/sandbox", "internal/skills", "internal/tools"},
	"examples/parent":      {"internal/fake"},
	"internal/backend":     {"internal/redact"},
	"internal/config":      {"internal/atomicfile", "internal/plainfile", "internal/project"},
	"internal/rollout":     {"internal/atomicfile", "internal/excerpt"},
	"internal/process":     {"internal/excerpt"},
	"internal/redact":      {"internal/excerpt"},
	"internal/prompt":      {"internal/excerpt", "internal/plainfile", "internal/project"},
	"internal/skills":      {"internal/plainfile", "internal/project"},
	"internal/project":     {"internal/plainfile"},
	"internal/git":         {"internal/plainfile"},
	"internal/tools/rules": {"internal/plainfile"},
	"internal/tools/patch": {"internal/process/shell"},
}

// mayNotUseProtocol are the packages that stand below or beside the vocabulary.
var mayNotUseProtocol = []string{"protocol", "rpc"}

func TestImportsFollowTheLayout(t *testing.T) {
	out, err := exec.Command("go", "list", "-C", root, "-f", `{{.ImportPath}}: {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		pkg, imports, _ := strings.Cut(strings.TrimSpace(line), ": ")
		pkg = strings.TrimPrefix(pkg, "app-server/")
		allowed := slices.Clone(arrows[pkg])
		if !slices.Contains(mayNotUseProtocol, pkg) {
			allowed = append(allowed, "protocol")
		}
		for imp := range strings.FieldsSeq(imports) {
			if own, ok := strings.CutPrefix(imp, "app-server/"); ok && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s: no such arrow in the layout", pkg, own)
			}
		}
	}
}

// sources calls f with every Go file of the repository that is not a test.
func sources(t *testing.T, f func(name string, file *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != root && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f(filepath.ToSlash(rel), file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	docs := map[string]int{}
	sources(t, func(name string, file *ast.File) {
		dir := path.Dir(name)
		docs[dir] += 0
		if file.Doc != nil && len(file.Doc.Text()) > 80 {
			docs[dir]++
		}
	})
	for dir, n := range docs {
		if n != 1 {
			t.Errorf("%s: %d files with a package comment of more than a line, want 1", dir, n)
		}
	}
}

// Only rpc may write to stdout: whatever else landed there would break the
// parent's reader. It gets the stream from main.go, which also prints --help
// and --version there and then ends. The example is a parent, not the server.
func TestOnlyRPCWritesToStdout(t *testing.T) {
	allowed := map[string]bool{"cmd/app-server/main.go": true}
	sources(t, func(name string, file *ast.File) {
		if allowed[name] || strings.HasPrefix(name, "examples/") {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			printing := x.Name == "fmt" && strings.HasPrefix(sel.Sel.Name, "Print")
			if printing || x.Name == "os" && sel.Sel.Name == "Stdout" {
				t.Errorf("%s uses %s.%s", name, x.Name, sel.Sel.Name)
			}
			return true
		})
	})
}

// Files stay short enough to be read whole.
func TestFilesAreShort(t *testing.T) {
	const most = 500
	sources(t, func(name string, _ *ast.File) {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(b), "\n"); n > most {
			t.Errorf("%s has %d lines, more than %d", name, n, most)
		}
	})
}
