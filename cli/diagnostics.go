package cli

import (
	"fmt"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/hashicorp/hcl/v2"
)

// diagnostics shows warnings and mistakes: as text on stderr, or into the JSON lines.
func (v *voice) diagnostics(diags hcl.Diagnostics) {
	if v.collect != nil {
		*v.collect = append(*v.collect, diags...)
		return
	}
	for _, d := range spec.DescribeDiagnostics(diags, v.files) {
		level := "error"
		if d.Severity == "warning" {
			level = "warn"
		}
		v.stream.emit(level, "diagnostic", d.Summary, map[string]any{"diagnostic": d})
	}
	var long hcl.Diagnostics
	for _, d := range diags {
		if v.compactWarnings && d.Severity == hcl.DiagWarning {
			v.note("%s %s", v.paintNote(yellow, "Warning:"), compact(d))
			continue
		}
		long = append(long, d)
	}
	_ = spec.WriteDiagnostics(v.notes, long, v.files, v.width, v.notesColor)
}

// compact is a diagnostic in one line.
func compact(d *hcl.Diagnostic) string {
	text := strings.ReplaceAll(d.Summary, "\n", " ")
	if d.Subject != nil {
		text += fmt.Sprintf(" (%s:%d)", d.Subject.Filename, d.Subject.Start.Line)
	}
	return text
}
