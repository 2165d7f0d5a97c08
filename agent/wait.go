package agent

import (
	"maps"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// Concerned lists the hosts that records are for: those with sandboxes, and those that have
// said something, which may have had some.
func Concerned(records state.World, said []state.Status) []string {
	hosts := map[string]bool{}
	for _, o := range records {
		if s, ok := o.(state.Sandbox); ok && s.Host != "" {
			hosts[s.Host] = true
		}
	}
	for _, s := range said {
		hosts[s.Host] = true
	}
	return slices.Sorted(maps.Keys(hosts))
}

// Caught reports that a host has converged to the records. Of a stack that is gone a host
// says nothing more when it has nothing left of it.
func Caught(r Records, host string, said []state.Status) bool {
	i := slices.IndexFunc(said, func(s state.Status) bool { return s.Host == host })
	if i < 0 {
		return !holdsBlocks(r.World)
	}
	return said[i].Error == "" && said[i].Index >= r.Revision.Index && r.Revision.Index > 0
}
