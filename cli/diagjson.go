package cli

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// diagnostic is a warning or mistake in the shape of Terraform's JSON.
type diagnostic struct {
	Severity string    `json:"severity"`
	Summary  string    `json:"summary"`
	Detail   string    `json:"detail"`
	Range    *srcRange `json:"range,omitempty"`
	Snippet  *snippet  `json:"snippet,omitempty"`
}

type srcRange struct {
	Filename string `json:"filename"`
	Start    srcPos `json:"start"`
	End      srcPos `json:"end"`
}

type srcPos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Byte   int `json:"byte"`
}

type snippet struct {
	Code      string `json:"code"`
	StartLine int    `json:"start_line"`
}

// describeAll brings diagnostics into that shape.
func describeAll(diags hcl.Diagnostics, files map[string]*hcl.File) []diagnostic {
	all := make([]diagnostic, len(diags))
	for i, d := range diags {
		all[i] = diagnostic{Severity: "error", Summary: d.Summary, Detail: d.Detail}
		if d.Severity == hcl.DiagWarning {
			all[i].Severity = "warning"
		}
		if r := d.Subject; r != nil {
			all[i].Range = &srcRange{r.Filename, srcPos(r.Start), srcPos(r.End)}
			all[i].Snippet = snippetOf(r, files[r.Filename])
		}
	}
	return all
}

// snippetOf is the line of the source that the range begins in.
func snippetOf(r *hcl.Range, f *hcl.File) *snippet {
	if f == nil {
		return nil
	}
	lines := strings.Split(string(f.Bytes), "\n")
	if r.Start.Line < 1 || r.Start.Line > len(lines) {
		return nil
	}
	return &snippet{lines[r.Start.Line-1], r.Start.Line}
}
