package planner

import "github.com/cnmctl/cnmctl/spec"

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
