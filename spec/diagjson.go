package spec

import (
	"encoding/json"
	"io"

	"github.com/hashicorp/hcl/v2"
)

// Diagnostic is a diagnostic in the shape of Terraform's JSON, which editors read.
type Diagnostic struct {
	Severity string       `json:"severity"`
	Summary  string       `json:"summary"`
	Detail   string       `json:"detail"`
	Range    *JSONRange   `json:"range,omitempty"`
	Snippet  *JSONSnippet `json:"snippet,omitempty"`
}

// JSONRange is a place in the source.
type JSONRange struct {
	Filename string  `json:"filename"`
	Start    JSONPos `json:"start"`
	End      JSONPos `json:"end"`
}

// JSONPos is a position in a file: line and column from 1, byte from 0.
type JSONPos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Byte   int `json:"byte"`
}

// JSONSnippet is the source that a diagnostic is about. The highlight is in bytes of Code.
type JSONSnippet struct {
	Context        *string     `json:"context"`
	Code           string      `json:"code"`
	StartLine      int         `json:"start_line"`
	HighlightStart int         `json:"highlight_start_offset"`
	HighlightEnd   int         `json:"highlight_end_offset"`
	Values         []valueNote `json:"values"`
}

// Report is what validate -json writes.
type Report struct {
	FormatVersion string       `json:"format_version"`
	Valid         bool         `json:"valid"`
	ErrorCount    int          `json:"error_count"`
	WarningCount  int          `json:"warning_count"`
	Diagnostics   []Diagnostic `json:"diagnostics"`
}

// DescribeDiagnostics brings diagnostics into the shape of JSON.
func DescribeDiagnostics(diags hcl.Diagnostics, files map[string]*hcl.File) []Diagnostic {
	out := make([]Diagnostic, len(diags)) // never null in JSON
	for i, d := range diags {
		out[i] = Diagnostic{Severity: "error", Summary: d.Summary, Detail: d.Detail}
		if d.Severity == hcl.DiagWarning {
			out[i].Severity = "warning"
		}
		if d.Subject == nil || d.Subject.Filename == "" {
			continue
		}
		out[i].Range = &JSONRange{d.Subject.Filename, JSONPos(d.Subject.Start), JSONPos(d.Subject.End)}
		if s := snippetOf(d, files); s != nil {
			out[i].Snippet = &JSONSnippet{Code: s.code, StartLine: s.line, HighlightStart: s.from, HighlightEnd: s.to, Values: []valueNote{}}
			if s.context != "" {
				out[i].Snippet.Context = &s.context
			}
			out[i].Snippet.Values = append(out[i].Snippet.Values, valuesOf(d)...)
		}
	}
	return out
}

// NewReport is the report of all diagnostics of a validation.
func NewReport(diags hcl.Diagnostics, files map[string]*hcl.File) Report {
	r := Report{FormatVersion: "1.0", Diagnostics: DescribeDiagnostics(diags, files)}
	for _, d := range r.Diagnostics {
		if d.Severity == "warning" {
			r.WarningCount++
		} else {
			r.ErrorCount++
		}
	}
	r.Valid = r.ErrorCount == 0
	return r
}

// DiagnosticsJSON writes the report of a validation.
func DiagnosticsJSON(w io.Writer, diags hcl.Diagnostics, files map[string]*hcl.File) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(NewReport(diags, files))
}
