package drivers

import "github.com/hashicorp/hcl/v2"

// Refuse is an error about something in the configuration.
func Refuse(at *hcl.Range, summary, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: at}
}
