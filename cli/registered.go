package cli

import (
	"slices"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

// registeredHosts are the hosts that their agents have registered and the configuration
// does not declare.
func registeredHosts(records state.World, declared []*spec.Host) (more []*spec.Host) {
	for _, k := range records.KeysOf(state.KindHost) {
		h, ok := records[k].(state.HostRecord)
		if !ok {
			continue
		}
		same := func(d *spec.Host) bool { return d.Name == h.Name || d.Mark == h.Mark }
		if h.Registered && !slices.ContainsFunc(declared, same) {
			more = append(more, &spec.Host{Mark: h.Mark, Name: h.Name, VTEP: h.VTEP, MTU: h.MTU, Registered: true})
		}
	}
	return more
}
