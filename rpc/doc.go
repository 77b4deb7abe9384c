// Package rpc speaks JSON-RPC with a parent process: one JSON object a line on
// an input and an output stream, calls in both directions. It owns framing,
// ids, order, back-pressure and shutdown, and knows no method's meaning.
//
// # How a message flows
//
//	input -> lineReader -> stream (classify) -> jsonrpc2.Conn -> Conn.dispatch
//	                                                 |               |
//	                                    answers: Conn.Ask      requests: lanes
//	                                                                 |
//	output <- writer goroutine <- outbox <- stream.WriteObject <- replies
//
// One goroutine reads the input and hands whole lines on. A second one, the
// dispatcher, belongs to the [jsonrpc2.Conn]: it classifies each line, decodes
// parameters and puts the request on a lane. It never runs a handler that may
// block, never waits for another goroutine and never writes, so that the input
// is read whatever the handlers and the output do. A lane is a queue of
// requests with the same key, served in order by one goroutine while there are
// any. One goroutine writes the output.
//
// The jsonrpc2 library keeps the ids of our own calls, the table of pending
// ones and the closed state. It sees stubs of messages only: it would encode
// parameters again, lose negative ids and close the connection at the first
// bad line.
//
// # Order
//
// A response is in the outbox before the function that its handler returned
// ([Then]) runs, and the outbox is a queue: what a Then sends comes after the
// response. Requests of one lane are answered in order of arrival. A handler
// registered with [HandleInline] is done before the next line is looked at.
//
// # Pressure
//
// Replies and asks never wait. [Conn.Notify] waits while the outbox holds more
// than its mark. A parent that neither reads nor stops sending meets the limit
// of waiting requests (error -32001) and, behind that, the bound of the
// outbox, where it counts as gone.
//
// # Bad lines
//
// No line ends the connection. What is no JSON, or not UTF-8 and without a
// readable id, is answered with -32700 and id null; an object that is no
// message, an id of a wrong type, a line over the limit and invalid UTF-8 with
// -32600 and the id, where it can be read. Blank lines are passed over. Answers
// to nothing are logged at debug level, without their content.
package rpc
