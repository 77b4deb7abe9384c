// Package protocol is the vocabulary of the wire between a parent application
// and the server: method names, parameters, results, notifications, enums and
// error codes.
//
// Names, fields and codes are those of codex app-server 0.125.0 (the wire
// generation that [WireVersion] claims), as documented in docs/differences.md.
// The package imports only JSON and knows neither transport, files nor
// behaviour. Every other package may import it; it imports none of them.
//
// # Conventions
//
//   - A pointer field without omitzero is a nullable member that is always
//     written; with omitzero it is a member that may be absent.
//   - A field tagged required:"true" must be present and not null in what the
//     parent sends; [Decode] refuses the message otherwise.
//   - Enums that the parent sends are closed: [Decode] refuses unknown values.
//     Enums that come from a backend or a token keep values they do not know.
//   - Tokens and keys have type [Secret], which never prints its content.
package protocol
