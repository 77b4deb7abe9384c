// Package account knows who is signed in and with which tokens.
//
// There are two owners of a sign-in. A parent application passes tokens in with
// account/login/start: they are kept in memory only, and where the backend
// answers 401 the parent is asked for new ones. Or the server itself signs in, by
// browser or device code (package oauth): these tokens are stored and refreshed
// here. Beside both stands the API key, which is stored and never refreshed.
//
// The package must not know HTTP to the backend, threads, or JSON-RPC: it
// reaches the parent through two small interfaces, [Asker] and [Notifier], that
// the program's main package fills, and the provider through an oauth.Client.
//
// # State
//
// A [Manager] holds one immutable [Snapshot] behind an atomic pointer, so that
// readers never wait. Each change (login, logout, refresh) gives it a new
// generation. One mutex orders the changes; it is never held while anybody is
// asked or told something, or while the store is changed. Changes of the store come
// one after the other and take memory along, so that both agree; external tokens,
// which are in memory only, wait for none of them.
//
// # Refresh
//
//	backend: 401 ──> Manager.Refresh(ctx, generation of the token used)
//	                   │ another generation is in force ──> that snapshot
//	                   │ nobody is signed in            ──> RefreshError
//	                   └ join the flight of this generation, or start it
//	                        flight: the refresher of the sign-in, once
//	                          external: ask the parent, 10 s at most
//	                          managed:  lock, read the store again, ask the
//	                                    provider, store what it gives
//	                          answer ──> new snapshot, new generation
//	                          fault  ──> RefreshError, old snapshot stays
//
// A flight belongs to the generation that it was started for. Logout, a new
// login and [Manager.Close] let its waiters go at once, and what still comes is
// not put in force. Of external tokens it is dropped; of managed ones it is
// stored, since it took the place of a refresh token that was used up, unless
// somebody logged out. Waiters come and go without changing it.
//
// # Managed login
//
// One attempt is under way at most. Whoever takes it out of its place (its end, a
// cancel, a logout, another login) tells the parent how it ended, so that this is
// told once; the answer to account/login/start always comes before.
//
// # Secrets
//
// Tokens and keys have type protocol.Secret. They leave the package through
// [Manager.Snapshot] for the backend, through the store of a managed sign-in or
// API key, and in the answer of getAuthStatus. Texts that somebody else wrote are
// cleaned of everything that looks like a token before they become part of an
// error.
package account
