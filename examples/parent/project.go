package main

import (
	"fmt"
	"os"
	"path/filepath"

	"app-server/internal/fake"
)

// task is what the scripted model is asked to do in the project.
const task = "Rename Hello to Greet in this project, and see that it still builds."

// buildCommand is what the scripted model runs to see whether the project
// builds. Go keeps its cache in the user's home, where the sandbox lets no
// command write, so it asks to run outside.
const buildCommand = `{"cmd":"go build ./...","yield_time_ms":30000,"sandbox_permissions":"require_escalated","justification":"Go writes its build cache outside of the project. May it?"}`

// makeProject makes a small Go project in a folder.
func makeProject(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("project: %w", err)
	}
	for name, text := range map[string]string{
		"go.mod":   "module hello\n\ngo 1.24\n",
		"hello.go": "package main\n\n// Hello greets somebody.\nfunc Hello(name string) string {\n\treturn \"Hello, \" + name\n}\n",
		"main.go":  "package main\n\nfunc main() {\n\tprintln(Hello(\"world\"))\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("project: %w", err)
		}
	}
	return nil
}

// agentReplies are a model at work: it looks, changes one file and forgets the
// other, sees the build fail, and mends it.
func agentReplies() []fake.Reply {
	responses := 0
	response := func(steps ...fake.Step) fake.Reply {
		responses++
		id := fmt.Sprintf("resp-agent-%d", responses)
		all := append([]fake.Step{fake.Created(id)}, steps...)
		return slowly(append(all, fake.Completed(id, fake.Usage{Input: 100, Output: 20})))
	}
	return []fake.Reply{
		response(fake.MessageDone("m1", "I look at the project first."), fake.FunctionCall("c1", "exec_command", `{"cmd":"cat hello.go main.go"}`)),
		response(fake.CustomCall("c2", "apply_patch", `*** Begin Patch
*** Update File: hello.go
@@
-// Hello greets somebody.
-func Hello(name string) string {
+// Greet greets somebody.
+func Greet(name string) string {
*** End Patch
`)),
		response(fake.FunctionCall("c3", "exec_command", buildCommand)),
		response(fake.MessageDone("m2", "main.go still calls it by the old name."), fake.CustomCall("c4", "apply_patch", `*** Begin Patch
*** Update File: main.go
@@
-	println(Hello("world"))
+	println(Greet("world"))
*** End Patch
`)),
		response(fake.FunctionCall("c5", "exec_command", buildCommand)),
		slowly(fake.Answer(3, "Hello is Greet now, in hello.go and in the call in main.go, and the project builds.")),
	}
}
