package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/hcl/v2"
)

// voice is how a run speaks:
//   - results go to stdout as text, or as JSON lines, or both with -json-into;
//   - diagnostics go to stderr, or into the JSON lines;
//   - colors only to terminals, hints only to people.
type voice struct {
	// text takes results, notes what is said beside them; both nowhere with -json.
	text, notes io.Writer
	// stream takes JSON lines; nil without -json and -json-into.
	stream *stream
	// files are the sources that diagnostics quote.
	files map[string]*hcl.File

	textColor, notesColor bool
	compactWarnings       bool
	// width is where text on stderr is wrapped.
	width int
	// collect takes diagnostics instead of showing them, when they are to be part of a
	// document.
	collect *hcl.Diagnostics
	hints   bool
}

func newVoice(env Env, noColor, compact bool) *voice {
	return &voice{
		text: env.Stdout, notes: env.Stderr,
		textColor:       env.color(env.Stdout, noColor),
		notesColor:      env.color(env.Stderr, noColor),
		compactWarnings: compact,
		width:           width(env.Stderr),
		hints:           !env.inAutomation(),
	}
}

// line says something to people.
func (v *voice) line(format string, args ...any) { fmt.Fprintf(v.text, format+"\n", args...) }

// hint says what one could do next.
func (v *voice) hint(format string, args ...any) {
	if v.hints {
		v.line("\n"+format, args...)
	}
}

// note says something about the run itself, on stderr.
func (v *voice) note(format string, args ...any) { fmt.Fprintf(v.notes, format+"\n", args...) }

// failure says why the run ends. Diagnostics that came as an error keep their places.
func (v *voice) failure(err error) {
	var exit *exitError
	if errors.As(err, &exit) && exit.Err == nil {
		return
	}
	var diags hcl.Diagnostics
	if errors.As(err, &diags) {
		v.diagnostics(diags)
		return
	}
	v.diagnostics(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: err.Error()}})
}
