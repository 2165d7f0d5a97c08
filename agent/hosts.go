package agent

import (
	"maps"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// Known lists the hosts of a stack: those with a record or a sandbox, and those that have
// said something.
func Known(records state.World, said []state.Status) []string {
	hosts := map[string]bool{}
	for _, o := range records {
		switch o := o.(type) {
		case state.HostRecord:
			hosts[o.Name] = true
		case state.Sandbox:
			hosts[o.Host] = true
		}
	}
	for _, s := range said {
		hosts[s.Host] = true
	}
	delete(hosts, "")
	return slices.Sorted(maps.Keys(hosts))
}

// WithoutHost is what is left of the records when a host is dead: without its record, its
// sandboxes, the endpoints in them, and their addresses.
func WithoutHost(records state.World, host string) state.World {
	gone := map[state.Address]bool{}
	for _, o := range records {
		switch o := o.(type) {
		case state.HostRecord:
			gone[o.Mark.Address] = gone[o.Mark.Address] || o.Name == host
		case state.Sandbox:
			gone[o.Mark.Address] = gone[o.Mark.Address] || o.Host == host
		case state.Endpoint:
			gone[o.Mark.Address] = gone[o.Mark.Address] || o.Sandbox != "" && o.Host == host
		}
	}
	left := maps.Clone(records)
	maps.DeleteFunc(left, func(_ state.Key, o state.Object) bool { return gone[o.Owner().Address] })
	return left
}
