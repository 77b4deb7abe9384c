// Package session owns threads: their turns, items and history. It takes the
// parent's requests about them, drives the model, and tells the parent what
// happens as notifications.
//
// # How a turn flows
//
//	Manager.StartTurn ---- asks ----> thread goroutine: new turn, id
//	       |                                 |
//	  response, then the func returned       | starts
//	                                         v
//	                                  turn goroutine
//	       context and words -> backend.Request -> Model.Stream
//	       each event: once into history, once into a notification
//	       calls of the model -> Tools -> outputs into history -> next request
//	       history too long -> a summary of it takes its place -> next request
//	       end: thread/status/changed, turn/completed
//
// # How a thread lasts
//
// A thread that is not ephemeral has a [rollout.Writer]. What the parent is told
// of, and what the model is told, is appended before, by the goroutine that tells
// it; a disk that takes nothing costs a warning, never a turn. In memory are the
// conversation and the last few turns; those before are read from the file when a
// parent asks for them. thread/resume and thread/fork load a thread
// in one way. What a killed turn has left open (calls without an output, an
// interrupt that the model does not know of) is owed to the model, and given when
// the next turn begins. A rollback is a line in the file, after which the
// conversation is read again.
//
// # Who owns what
//
// Each live thread has one goroutine that owns its state: settings, finished
// items, which turn runs. It never waits for the parent or the backend, so
// reads, lists and interrupts are answered whatever a turn is doing. A turn has
// a goroutine of its own, which alone may wait; it owns the conversation (what
// the model has been told; during a review that of the reviewer as well) while
// it runs, and reports to the thread. At most one turn of a thread runs at a
// time. [Manager.Shutdown] ends and waits for all of them. A thread alone ends when
// it is archived, and when nobody has listened to it for long: its turn, its
// commands and its goroutine, then its hold on its file, then its place among the
// live ones; who asks for it meanwhile waits.
//
// The package knows no tokens, no HTTP, no standard streams and no file
// formats of stored threads.
package session
