// Package oauth is the sign-in with ChatGPT that this server does itself: the
// browser flow with its callback server, the device code flow, the token
// endpoint, and the place where the tokens are kept.
//
//	Client.StartBrowser ──> AuthURL ──> a person signs in
//	     │ callback on 127.0.0.1: state, code
//	     └─> code exchange ──> Accept(tokens) ──> page
//	Client.StartDevice  ──> user code ──> Wait polls ──> code exchange ──> tokens
//	Client.Refresh      ──> new tokens, or a Fault
//	Client.Revoke
//	Store               ──> auth.json, the system's keyring, or memory
//
// It must not know who is signed in, nor the wire: what the tokens say and when
// they are refreshed is the duty of package account. Endpoints, client id,
// parameters and the format of auth.json are those of the reference, so that
// both programs can share a home; each is configurable by the reference's
// environment variables, and so all of it is tested against a provider on the
// loopback.
//
// # Secrets
//
// Tokens, codes, verifiers and states are in no error, no log line and no page.
// What a provider says in words is cleaned before it is passed on.
package oauth
