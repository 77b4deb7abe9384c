// Package sandbox confines a command to what a policy allows: read-only, writes
// in some folders only, with or without network. It knows files, namespaces and
// system calls; it knows no threads, turns or approvals.
//
// A server makes one [Sandbox] and calls [Sandbox.Command] for each command. The
// answer is an argument vector that starts the server's own binary again with a
// hidden first argument, and the process attributes to start it with. In that
// child, main calls [Run] before anything else; Run confines the process and
// then replaces it by the command, so that the process keeps its id, group,
// terminal and parent, and signals reach the command.
//
//	argv --> Sandbox.Command --> exec.Cmd --> main --> Run --> execve(argv)
//
// # Linux
//
// Three walls, one behind the other:
//
//   - Namespaces (mounts_linux.go). A user, mount, IPC and, without network
//     access, network namespace. All mounts become read-only, the writable
//     folders are mounted back, and what must stay read-only inside of them is
//     mounted over that once more. For a .codex that is missing an empty folder
//     stands in as long as the command runs (hold.go); who moves to a session of
//     its own and outlives the command could make one afterwards.
//   - Landlock (landlock_linux.go). The same rules by path, and no signals or
//     abstract sockets to processes outside. It cannot take a folder out of a
//     writable one, so alone it does not keep .git.
//   - Seccomp (seccomp_linux.go). No network sockets, no tracing, no mounts, no
//     new namespaces, no set-user-id files.
//
// [Sandbox.Probe] tries, once, which of them this host allows. Namespaces or
// Landlock must be there, and seccomp always; otherwise Command fails. Nothing
// runs unconfined unless the policy says full access.
//
// # Elsewhere
//
// macOS uses sandbox-exec with a profile (seatbelt.go). On other systems Command
// answers [ErrUnsupported] for every policy but full access.
//
// # Files
//
// sandbox.go has the API, roots.go turns a policy into folders, hold.go makes what
// is missing of those for a while, layers.go puts them in order, plan.go is what
// the parent tells the child, launch_*.go the parent's half of each system,
// run_*.go the child's half.
package sandbox
