// Package fake holds what tests and the demo need instead of the real world: a
// scripted model backend, test identities, a small parent application, and the
// runner of the stories in testdata/scripts.
//
//   - [Backend] is an http.Handler that answers from a list of [Reply] values
//     and keeps every [Request]. It listens on loopback or in memory; in memory
//     it works inside testing/synctest.
//   - [Provider] is a sign-in provider whose codes and refresh tokens work once.
//   - [Identity] builds unsigned tokens; [APIKeyAuth] and [ChatGPTAuth] build
//     auth.json files in the reference's format.
//   - [Parent] speaks the wire from the parent's side; [Spawn] starts a child.
//   - [Story] is one conversation kept as data; [Run] plays it. The format is
//     described in testdata/scripts/README.md.
//
// Nothing here is part of the server: only tests and examples may import it.
package fake
