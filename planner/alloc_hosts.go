package planner

import (
	"net/netip"

	"github.com/cnmctl/cnmctl/spec"
)

// measureHosts finds out the MTU of the underlay where nothing is written: at this host, it
// is that of the link with the tunnels' end; other hosts have told when they planned. So
// all plan with the same, as soon as each has planned once.
func measureHosts(hosts []*spec.Host, held Held) {
	for _, h := range hosts {
		if h.MTU > 0 {
			continue
		}
		if link, ok := held.Facts.HostAddresses[h.VTEP]; ok {
			h.MTU = held.Facts.MTUs[link]
		} else {
			h.MTU = held.UnderlayMTUs[h.Name]
		}
	}
}

// underlay is where tunnels end, and the host's way there.
func (f Facts) underlay(hosts []*spec.Host) *prefixSet {
	set := &prefixSet{}
	for _, h := range hosts {
		if !h.VTEP.IsValid() {
			continue
		}
		set.add(takenPrefix{prefix: netip.PrefixFrom(h.VTEP, h.VTEP.BitLen())})
		for _, r := range f.HostRoutes {
			if r.Bits() > 0 && r.Contains(h.VTEP) {
				set.add(takenPrefix{prefix: r})
			}
		}
	}
	return set
}
