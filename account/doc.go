// Package account knows who is signed in and with which tokens.
//
// Its main duty is the sign-in that a parent application owns: the parent
// passes tokens in with account/login/start, the server keeps them in memory
// only, and where the backend answers 401 the server asks the parent for new
// ones. Beside it stand the sign-in by API key, which is stored in auth.json in
// the reference's format, and the reading of a ChatGPT sign-in that the
// reference left there.
//
// The package must not know HTTP to the backend, threads, or JSON-RPC: it
// reaches the parent through two small interfaces, [Refresher] and [Notifier],
// that the program's main package fills.
//
// # State
//
// A [Manager] holds one immutable [Snapshot] behind an atomic pointer, so that
// readers never wait. Each change (login, logout, refresh) gives it a new
// generation. One mutex orders the changes; it is never held while the parent
// is asked or told something.
//
// # Refresh
//
//	backend: 401 ──> Manager.Refresh(ctx, generation of the token used)
//	                   │ another generation is in force ──> that snapshot
//	                   │ nobody is signed in            ──> RefreshError
//	                   └ join the flight of this generation, or start it
//	                        flight: ask the parent once, 10 s at most
//	                          answer ──> new snapshot, new generation
//	                          fault  ──> RefreshError, old snapshot stays
//
// A flight belongs to the generation that it was started for. Logout, a new
// login and [Manager.Close] end it at once, and what the parent answers after
// that is dropped. Waiters come and go without changing it.
//
// # Secrets
//
// Tokens and keys have type protocol.Secret. They leave the package through
// [Manager.Snapshot] for the backend, through auth.json in API key mode, and in
// the answer of getAuthStatus. Texts that a parent wrote are cleaned of
// everything that looks like a token before they become part of an error.
package account
