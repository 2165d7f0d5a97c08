package planner

import (
	"strconv"

	"github.com/hashicorp/hcl/v2"
)

// failure is an error that points at a block's attribute.
func failure(at *hcl.Range, summary, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: at}
}

// line is where something is declared, as "main.hcl:12".
func line(at *hcl.Range) string {
	return at.Filename + ":" + strconv.Itoa(at.Start.Line)
}
