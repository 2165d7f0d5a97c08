package cli

// Escape sequences of a terminal (ECMA-48 SGR).
const (
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	faint  = "\x1b[90m"
	reset  = "\x1b[0m"
)

// paint is text in a color, when stdout has colors.
func (v *voice) paint(color, text string) string {
	if !v.textColor {
		return text
	}
	return color + text + reset
}

// paintNote is text in a color, when stderr has colors.
func (v *voice) paintNote(color, text string) string {
	if !v.notesColor {
		return text
	}
	return color + text + reset
}
