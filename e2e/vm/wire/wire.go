// Package wire is what the two sides of the virtual machine have agreed on: the files
// that the host puts into it, and the lines by which the guest tells of its jobs.
package wire

import (
	"fmt"
	"strings"
)

// The files that the guest reads.
const (
	// JobsFile holds a list of Job.
	JobsFile = "/vm/jobs"
	// ModulesFile has a line for each name that the kernel may ask for: a pattern (see
	// ModuleName) and the module files to load, in this order.
	ModulesFile = "/vm/modules"
)

// Job is a program to run in the machine.
type Job struct {
	Dir  string
	Argv []string
	Env  []string
}

// ModuleName is the name of a module or an alias with one sort of dash, as modprobe
// compares them.
func ModuleName(name string) string { return strings.ReplaceAll(name, "-", "_") }

// mark begins a line of ours: a control byte that no program prints at the start of one
// (test2json uses 0x16).
const mark = "\x1d"

// Begin is the line before the output of a job.
func Begin(job int) string { return fmt.Sprintf("%sbegin %d\n", mark, job) }

// End is the line after it. It begins with a line break of its own, for a job that ended
// in the middle of a line.
func End(err error) string {
	if err == nil {
		return "\n" + mark + "end\n"
	}
	return fmt.Sprintf("\n%send %s\n", mark, strings.ReplaceAll(err.Error(), "\n", " "))
}

// Event is a line from the guest.
type Event struct {
	// Begun is set at the beginning of the job with that number.
	Begun bool
	Job   int
	// Ended is set at its end; Why is empty if it ended well.
	Ended bool
	Why   string
}

// Parse reads a line, and reports whether it is one of ours.
func Parse(line string) (Event, bool) {
	rest, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), mark)
	if !ok {
		return Event{}, false
	}
	if why, ok := strings.CutPrefix(rest, "end"); ok {
		return Event{Ended: true, Why: strings.TrimSpace(why)}, true
	}
	e := Event{Begun: true}
	_, err := fmt.Sscanf(rest, "begin %d", &e.Job)
	return e, err == nil
}
