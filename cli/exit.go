package cli

import (
	"context"
	"errors"

	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// The exit codes.
const (
	codeDone        = 0
	codeError       = 1
	codeChanges     = 2
	codeUnformatted = 3
	codeLocked      = 4
	codeStale       = 5
	codeNotRun      = 126 // exec: the command cannot be run
	codeNotFound    = 127 // exec: there is no such command
	codeInterrupted = 130
)

// exitError ends a run with a code of its own. Without an Err there is nothing more to say.
type exitError struct {
	Code int
	Err  error
}

func (e *exitError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

func (e *exitError) Unwrap() error { return e.Err }

// quietly ends a run with code, everything having been said.
func quietly(code int) error { return &exitError{Code: code} }

// exitCode is the code that a run with this outcome ends with.
func exitCode(err error) int {
	var exit *exitError
	var locked *state.LockedError
	var stale *planner.StaleError
	switch {
	case err == nil:
		return codeDone
	case errors.As(err, &exit):
		return exit.Code
	case errors.As(err, &locked):
		return codeLocked
	case errors.As(err, &stale):
		return codeStale
	case errors.Is(err, applier.ErrInterrupted), errors.Is(err, context.Canceled):
		return codeInterrupted
	}
	return codeError
}
