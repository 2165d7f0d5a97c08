// Package planner decides: Allocate chooses what a configuration leaves open, Diff finds
// what has to change, and a Plan says it to people, files and the applier. It is pure.
package planner

import (
	"github.com/cnmctl/cnmctl/state"
)

// Plan is everything that one run changes, in order. It is pure data: it is printed, saved
// and run, and nothing is decided after it.
type Plan struct {
	Stack string
	// Ops in an order in which each may run after all before it.
	Ops []state.Op
	// Waves cuts Ops into runs whose members need nothing of each other, so that a target
	// may batch them: Waves[i] is the index after the last op of wave i.
	Waves []int
}
