package protocol

// ConfigWarningNotification is configWarning: a setting could not be read.
type ConfigWarningNotification struct {
	Summary string     `json:"summary"`
	Details *string    `json:"details"`
	Path    *string    `json:"path,omitzero"`
	Range   *TextRange `json:"range,omitzero"`
}

// TextRange is a range in a text file.
type TextRange struct {
	Start TextPosition `json:"start"`
	End   TextPosition `json:"end"`
}

// TextPosition counts lines and columns from 1.
type TextPosition struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// WarningNotification is warning.
type WarningNotification struct {
	ThreadID *string `json:"threadId"`
	Message  string  `json:"message"`
}
