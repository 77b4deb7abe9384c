package session

// Bounds on what a parent may hand to a turn.
const (
	// maxInputChars is the reference's: one MiB of characters for all of one
	// input.
	maxInputChars = 1 << 20
	// maxSteers is how many inputs may wait for the model's next request. A user
	// types one now and then; more is a fault of the parent.
	maxSteers = 64
	// maxSteerChars bounds them together, to a few inputs of full size.
	maxSteerChars = 4 * maxInputChars
	// maxPreview is how much of the first words of a thread its preview shows, in
	// bytes. A page of a list holds many of them.
	maxPreview = 4 << 10
)
