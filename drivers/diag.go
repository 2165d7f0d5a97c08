package drivers

import (
	"strconv"

	"github.com/hashicorp/hcl/v2"
)

// Refuse is an error about something in the configuration.
func Refuse(at *hcl.Range, summary, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: at}
}

// lineOf is where something is declared, as "main.hcl:12".
func lineOf(at *hcl.Range) string {
	return at.Filename + ":" + strconv.Itoa(at.Start.Line)
}
