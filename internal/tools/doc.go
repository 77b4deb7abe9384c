// Package tools holds what the model may call: commands, patches, the plan,
// images, questions to the user, and the tools of the parent.
//
//	Registry   name -> Tool; one for the server
//	Thread     what tools keep for a thread: running commands, approvals that
//	           hold for the session, the parent's tools
//	Turn       the tools under the settings of one turn; it is called
//
// A turn of the model goes through [Turn.Specs], which lists what is offered,
// and [Turn.Run], which runs one call. A tool shows its work to the parent as
// items, asks for approval, and learns of an interrupt through a [Host], which
// the session fills. It always answers: what went wrong is a text for the
// model, and the turn goes on.
//
// What a command may touch is decided by internal/sandbox, how it runs by
// internal/process, what a patch means by internal/tools/patch. This package
// decides when the user is asked. It knows no history, no backend and no
// storage.
package tools
