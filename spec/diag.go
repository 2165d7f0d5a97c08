package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
)

// fault is an error at a place in the configuration. The summary names the kind of
// mistake, the detail says what is wrong here and what to do.
func fault(at *hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: at}
}

// caution is a warning at a place in the configuration.
func caution(at *hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	d := fault(at, summary, detail, args...)
	d.Severity = hcl.DiagWarning
	return d
}

// closest is the name that was probably meant, "" when none is near.
func closest(given string, names []string) string {
	best, distance := "", max(2, len(given)/3)+1
	for _, name := range slices.Sorted(slices.Values(names)) {
		if d := levenshtein.Distance(given, name, nil); d < distance && d < len(given) {
			best, distance = name, d
		}
	}
	return best
}

// didYouMean is a sentence with the name that was probably meant; else a sentence that
// begins with none and lists all there are.
func didYouMean(given string, names []string, none string) string {
	if name := closest(given, names); name != "" {
		return fmt.Sprintf(" Did you mean %q?", name)
	}
	if len(names) == 0 || none == "" {
		return ""
	}
	sorted := slices.Sorted(slices.Values(names))
	if len(sorted) > 24 {
		sorted = append(sorted[:24], "…")
	}
	return " " + none + " " + strings.Join(sorted, ", ") + "."
}

// place is a range as it stands in the text of a message: main.hcl:3.
func place(r hcl.Range) string { return fmt.Sprintf("%s:%d", r.Filename, r.Start.Line) }

// The most that is said of one mistake at one place: a block with for_each may repeat it
// for thousands of instances.
const sameMistake = 3

// tidy brings the diagnostics of a run into the order of the source, drops repetitions
// and counts what a mistake in a repeated block did to all the other instances.
func tidy(diags hcl.Diagnostics) hcl.Diagnostics {
	type spot struct {
		summary, file string
		byte          int
	}
	seen := map[string]bool{}
	kept := map[spot][]*hcl.Diagnostic{}
	more := map[spot]int{}
	var out hcl.Diagnostics
	for _, d := range diags {
		s := spot{summary: d.Summary}
		if d.Subject != nil {
			s.file, s.byte = d.Subject.Filename, d.Subject.Start.Byte
		}
		text := fmt.Sprint(s, d.Detail)
		if seen[text] {
			continue
		}
		seen[text] = true
		if d.Subject != nil && len(kept[s]) == sameMistake {
			more[s]++
			continue
		}
		kept[s] = append(kept[s], d)
		out = append(out, d)
	}
	for s, n := range more {
		last := kept[s][sameMistake-1]
		what := "instances"
		if n == 1 {
			what = "instance"
		}
		last.Detail += fmt.Sprintf("\n\nThe same is wrong in %d more %s.", n, what)
	}
	slices.SortStableFunc(out, compareDiagnostics)
	return out
}

// InOrder brings diagnostics that were found in different ways into one report.
func InOrder(diags hcl.Diagnostics) hcl.Diagnostics { return tidy(diags) }

// compareDiagnostics orders by place; what has none comes first.
func compareDiagnostics(a, b *hcl.Diagnostic) int {
	x, y := a.Subject, b.Subject
	switch {
	case x == nil && y == nil:
		return 0
	case x == nil:
		return -1
	case y == nil:
		return 1
	case x.Filename != y.Filename:
		return strings.Compare(x.Filename, y.Filename)
	}
	return x.Start.Byte - y.Start.Byte
}
