// Package backend is the client of the Responses API: it shapes requests, adds
// credentials, reads the event stream, repeats what may be repeated and tells
// every failure as one typed [Error].
//
// # How a call flows
//
//	session -> Client.Stream(Request)
//	             body encoded once -> credential -> POST -> 401? Refresh, POST again
//	                                              -> 5xx, no connection? wait, POST again
//	             headers -> EventStarted; events -> Event values; end -> EventCompleted or *Error
//
// Stream is one attempt of a stream. The repeats inside it are silent; those
// that a user is told of (stream_max_retries) belong to the caller, who finds
// in [Error.Retry] and [Error.RetryAfter] what is worth doing.
//
// The package knows neither threads nor the parent's wire. It gets tokens
// through [Credentials], and no other part of the program puts one into a
// request. Tokens, header values and prompts never reach an error or a log.
package backend
