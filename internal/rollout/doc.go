// Package rollout keeps threads on disk: append-only JSONL files under
// CODEX_HOME that codex app-server (the reference) reads and continues, and the
// list of them. It is the only code that knows the file format. It knows
// neither the wire, nor turns as they run, nor who asks.
//
// # Use
//
//	store := rollout.New(home)
//	w, err := store.Create(meta)            // a new thread: no file until the first Append
//	w, log, err := store.Continue(ctx, id)  // an old one: locked, its torn end cut off
//	log, err := store.Read(ctx, id)         // an old one, to look at only
//	err = w.Append(rollout.TurnStarted(...), rollout.ResponseItem(raw))
//	err = w.Append(rollout.ItemCompleted(turnID, item))  // before the parent hears of it
//
// A [Log] is an outline of a file: what is where, made in one pass with memory
// for the outline and one line. [Log.History] gives what the model has been
// told, [Log.Turns] any range of turns; both read only what they need.
// [Store.List] lists threads with cursors, filters and names.
//
// # Promises
//
// What Append has returned nil for is with the operating system: it survives
// the death of this process. It is synced to the disk within a second, in the
// background. Nothing is ever rewritten in place: a file only grows, except that
// a torn last line is cut off, by the holder of the lock.
//
// A thread is locked while a [Writer] has it; a second one, of this process or
// another, gets [ErrInUse]. There are two locks: one of the thread's file, and
// the file thread-writer-locks/ID.lock, which is where the reference 0.169.0
// looks, so that the two programs keep out of each other's threads. The
// reference 0.125.0 looks at neither.
//
// # Files
//
//	sessions/YYYY/MM/DD/rollout-YYYY-MM-DDThh-mm-ss-ID.jsonl   a thread; local time
//	archived_sessions/rollout-....jsonl                        an archived one
//	session_index.jsonl          names, one line a change, the last one counts
//	app_server_metadata.jsonl    git facts set later, in the same way
//	app_server_index.json        what List remembers; may be deleted at any time
//	thread-writer-locks/         locks
//
// All but the app_server ones are the reference's. It keeps git facts that were
// set later in its database alone, which this package does not touch. New files
// have mode 0600, new folders 0700.
//
// # Lines
//
// A line is {"timestamp", "type", "payload"}. The types session_meta,
// event_msg, response_item, turn_context and compacted are written just as the
// reference 0.125.0 writes them, with the events that it writes for
// persistExtendedHistory. So the reference shows commands, file changes and
// calls of a thread that was written here.
//
// The reference's events lack what an exact copy of a turn needs: ids of items,
// members of newer kinds, statuses. Hence lines that stand for an item, or for
// the start or the end of a turn, have one more member beside payload:
//
//	"app_server": {"turn_id": ID, "item": {...}}   the item as it was streamed
//	"app_server": {"turn": {...}}                  the turn as it was told, without items
//	"app_server": {"turn_id": ID}                  a line of this program, told whole elsewhere
//
// An item of a kind for which the reference has no event is a line of type
// app_server_item with an empty payload. It was tried that the reference
// 0.94.0, 0.125.0 and 0.169.0 list, read, resume and continue files with such
// members, with event_msg of unknown type and with lines of unknown type: they
// pass over them and leave them in the file; of a thread with items of every
// kind, 0.125.0 counts just the app_server_item lines as unreadable. Lines that
// the reference adds, and files it wrote whole, have no app_server member; there
// items are rebuilt from the events, as it does itself.
//
// # What is read
//
// Files of the reference 0.94.0 (no task_started: a turn begins at a user
// message) and of 0.125.0. Unknown lines are passed over, lines that are no JSON
// too, and both stay in the file. A turn without an end is interrupted.
// thread_rolled_back takes the last turns away and, from the history, all that
// came since the first of them began; compacted replaces the history so far.
//
// Files of 0.169.0 differ more. Their lines have an ordinal, and items are
// item_completed events. A fork holds only its own lines, and so does a second
// file rollout-TIME-ID_SEGMENT.jsonl of a thread that was taken back to an
// earlier turn; history_base in the first line names the file that comes before.
// Old files may be compressed, .jsonl.zst. All of that is read. A file with
// ordinals is continued with ordinals and with item_completed events beside the
// others, since 0.169.0 refuses it otherwise, and a copy of it is such a file
// too; a compressed one is unpacked first. 0.169.0 heeds a rollback written here
// in the history, not in the turns it shows.
//
// # Listing
//
// For a list the first lines of each file are enough, up to the first thing the
// user said, and these never change. Measured with 10,000 threads of 45 KB on
// two cores: reading the first lines of all takes 0.8 to 1.4 s with warm caches
// and 2 s with cold ones, the same list with the index file 0.1 s, again in the
// same process 0.08 s. So there is an index, of 3.7 MB here, and it is a plain
// file: the list is sorted and filtered in memory, and a database would add
// nothing.
package rollout
